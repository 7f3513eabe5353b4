"""Programs in Ruby, PHP, Perl and the compiled languages to effects.

Ruby and PHP are walked on tree-sitter's nodes (`scripting_ruby`, `scripting_php`), Perl is read by its own tokens
(`scripting_perl`), and of Java, Go, C, C++ and C# the names that are called are looked up (`scripting_compiled`).
"""

import re

from freehold.core.effects import Effect
from freehold.guard.effects.scene import Scene
from freehold.guard.effects.scripting_compiled import effects_of_compiled
from freehold.guard.effects.scripting_perl import effects_of_perl
from freehold.guard.effects.scripting_php import Php
from freehold.guard.effects.scripting_ruby import Ruby
from freehold.guard.syntax import Language

_FENCE = re.compile(r"```[ \t]*+\w{0,20}[ \t]*+\n(.*?)(?:```|\Z)", re.DOTALL)


def _unfenced(text: str) -> str:
    found = _FENCE.findall(text) if "```" in text else []
    return "\n".join(found) if found else text


def ruby(text: str, scene: Scene) -> list[Effect]:
    """An `Analyser`."""
    walk = Ruby(scene)
    walk.program(_unfenced(text))
    return walk.sinks.effects


def php(text: str, scene: Scene) -> list[Effect]:
    """An `Analyser`. A one-liner has no tag."""
    walk = Php(scene)
    text = _unfenced(text)
    walk.program(text if "<?" in text else f"<?php {text}")
    return walk.sinks.effects


def perl(text: str, scene: Scene) -> list[Effect]:
    """An `Analyser`."""
    return effects_of_perl(_unfenced(text), scene)


def java(text: str, scene: Scene) -> list[Effect]:
    """An `Analyser`."""
    return effects_of_compiled(_unfenced(text), Language.JAVA, scene)


def go(text: str, scene: Scene) -> list[Effect]:
    """An `Analyser`."""
    return effects_of_compiled(_unfenced(text), Language.GO, scene)


def c(text: str, scene: Scene) -> list[Effect]:
    """An `Analyser`, for C++ as well."""
    return effects_of_compiled(_unfenced(text), Language.C, scene)


def csharp(text: str, scene: Scene) -> list[Effect]:
    """An `Analyser`."""
    return effects_of_compiled(_unfenced(text), Language.CSHARP, scene)
