"""How a long job tells what it is doing. The command line draws it; everything else stays silent."""

from collections.abc import Callable
from typing import Protocol


class Progress(Protocol):
    def step(self, what: str, total_bytes: int | None) -> None:
        """A new step begins; `total_bytes` is None where its size is not known yet."""

    def advance(self, done_bytes: int) -> None:
        """So many bytes of this step are done, from its beginning."""

    def note(self, text: str) -> None:
        """Something a person should know."""


class Silent:
    def step(self, what: str, total_bytes: int | None) -> None:
        pass

    def advance(self, done_bytes: int) -> None:
        pass

    def note(self, text: str) -> None:
        pass


def counted(progress: Progress) -> Callable[[int], None]:
    """For who tells how many bytes more are done."""
    done_bytes = 0

    def advanced(more_bytes: int) -> None:
        nonlocal done_bytes
        done_bytes += more_bytes
        progress.advance(done_bytes)

    return advanced
