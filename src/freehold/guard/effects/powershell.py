"""What a PowerShell script does. The reading is in `powershell_syntax`, the following in `powershell_walk`; here they are put
together.
"""

from freehold.core.effects import Effect
from freehold.guard.effects.powershell_commands import run_command
from freehold.guard.effects.powershell_methods import call_method
from freehold.guard.effects.powershell_syntax import read
from freehold.guard.effects.powershell_walk import Spent, Walk
from freehold.guard.effects.scene import Scene, unknown

LIMIT_CHARS = 64 << 10


def powershell(text: str, scene: Scene) -> list[Effect]:
    """The analyser of `Language.POWERSHELL`."""
    if len(text) > LIMIT_CHARS:
        return [unknown(f"longer than {LIMIT_CHARS} characters")]
    walk = Walk(scene, run_command, call_method)
    try:
        walk.run(read(text))
    except Spent:
        walk.found.append(unknown("more is done than is followed"))
    return walk.found
