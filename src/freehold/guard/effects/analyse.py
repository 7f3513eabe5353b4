"""What a text would do if it were run. One analyser a language, one line each in the table."""

from collections.abc import Mapping

from freehold.core.effects import Effect
from freehold.guard.effects.batch import batch
from freehold.guard.effects.dockerfile import dockerfile
from freehold.guard.effects.javascript import javascript
from freehold.guard.effects.powershell import powershell
from freehold.guard.effects.python import python
from freehold.guard.effects.scene import LIMIT_EFFECTS, Analyser, Scene, unknown
from freehold.guard.effects.shell import effects_of_shell
from freehold.guard.effects.sql import sql
from freehold.guard.effects.workflow import workflow
from freehold.guard.syntax import Language

LIMIT_CHARS = 128 << 10  # of one text; longer is unknown

ANALYSERS: dict[Language, Analyser] = {
    Language.BATCH: batch,
    Language.POWERSHELL: powershell,
    Language.YAML: workflow,
    Language.DOCKERFILE: dockerfile,
    Language.SHELL: effects_of_shell,
    Language.JAVASCRIPT: javascript,
    Language.TYPESCRIPT: javascript,
    Language.TSX: javascript,
    Language.PYTHON: python,
    Language.SQL: sql,
}


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
    effects = tuple(dict.fromkeys(found))
    return effects if len(effects) <= LIMIT_EFFECTS else (*effects[:LIMIT_EFFECTS], unknown("more effects than are kept"))
