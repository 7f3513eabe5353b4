"""What an engine says when it will not run a model, and for how long asking again would change nothing.

An engine that crashes is started again after growing waits. One that looked at the model and said no would say it again, and scan
the model for it each time: it is asked again when what it looked at is another, when an operator says so, or after a long wait.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Final

from freehold.core.errors import ArtefactError, ClientError, ConfigError, DeviceError
from freehold.engine.fit import duration
from freehold.engine.frames import Refused, error_of

LOOK_EVERY_S: Final = 1.0
MODEL_WAIT_S: Final = 600.0  # of files and settings each change is seen: this is for what lies where nobody looks
DEVICE_WAIT_S: Final = 60.0  # memory that others have comes free, a disk comes back


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    message: str
    code: str
    wait_s: float

    def words(self, model: str) -> str:
        """For whoever asks the model something, and whoever can mend it."""
        return (
            f"the engine does not run {model}: {self.message.rstrip('.')}. It is tried again when the model's files or the "
            f"settings change, at SIGHUP, and every {duration(self.wait_s)}"
        )


def refusal(frame: Refused) -> Refusal | None:
    """None for what may have been chance: the process is then started again as after a crash."""
    match error := error_of(frame):
        case ArtefactError() | ClientError() | ConfigError():
            return Refusal(message=error.message, code=frame.code, wait_s=MODEL_WAIT_S)
        case DeviceError():
            return Refusal(message=error.message, code=frame.code, wait_s=DEVICE_WAIT_S)
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What an engine depends on beside its node. Both read files, and raise nothing."""

    look: Callable[[], Hashable]  # another value when a file or a setting is another
    command: Callable[[], Sequence[str]]  # by the settings as they are now
