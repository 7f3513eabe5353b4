"""What a text would do if it were run. One analyser a language, one line each in the table.

An analyser's file is imported when it is asked for: who judges one command does not wait for eight languages to load.
"""

from collections.abc import Mapping

from freehold.core.effects import Effect
from freehold.core.late import Late
from freehold.guard.effects.scene import LIMIT_EFFECTS, Analyser, Scene, unknown
from freehold.guard.syntax import Language

LIMIT_CHARS = 128 << 10  # of one text; longer is unknown

ANALYSERS: Mapping[Language, Analyser] = Late(
    __package__,
    {
        Language.BATCH: "batch:batch",
        Language.POWERSHELL: "powershell:powershell",
        Language.YAML: "workflow:workflow",
        Language.DOCKERFILE: "dockerfile:dockerfile",
        Language.SHELL: "shell:effects_of_shell",
        Language.JAVASCRIPT: "javascript:javascript",
        Language.TYPESCRIPT: "javascript:javascript",
        Language.TSX: "javascript:javascript",
        Language.PYTHON: "python:python",
        Language.SQL: "sql:sql",
        Language.RUBY: "scripting:ruby",
        Language.PHP: "scripting:php",
        Language.PERL: "scripting:perl",
        Language.JAVA: "scripting:java",
        Language.GO: "scripting:go",
        Language.C: "scripting:c",
        Language.CPP: "scripting:c",
        Language.CSHARP: "scripting:csharp",
    },
)


def analyse(text: str, language: Language, *, folder: str = "", variables: Mapping[str, str] | None = None) -> tuple[Effect, ...]:
    """Never raises, whatever the text; what can't be resolved is an effect of kind UNKNOWN. The same effect is given once."""
    analyser = ANALYSERS.get(language)
    if analyser is None:
        return (unknown(f"{language} code, which is not analysed"),)
    if len(text) > LIMIT_CHARS:
        return (unknown(f"longer than {LIMIT_CHARS} characters"),)
    try:
        found = analyser(text, Scene(analysers=ANALYSERS, folder=folder, variables=variables or {}))
    except RecursionError:
        return (unknown("nested too deep to be followed"),)
    effects = tuple(dict.fromkeys({id(one): one for one in found}.values()))  # most that are equal are one and the same
    return effects if len(effects) <= LIMIT_EFFECTS else (*effects[:LIMIT_EFFECTS], unknown("more effects than are kept"))
