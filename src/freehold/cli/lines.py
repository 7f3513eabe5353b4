"""How a long job shows where there is no terminal: a line a step. What draws bars (`terminal.py`) is 2 MiB that a node keeps."""

from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:
    from freehold.cli.terminal import PullProgress


class Lines:
    """Implements `provenance.progress.Progress`; only notes when `quiet`."""

    def __init__(self, out: TextIO, *, quiet: bool = False) -> None:
        self._out, self._quiet = out, quiet

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass

    def step(self, what: str, total_bytes: int | None) -> None:
        if not self._quiet:
            self.note(what if total_bytes is None else f"{what} ({total_bytes / 1e6:.0f} MB)")

    def advance(self, done_bytes: int) -> None:
        pass

    def note(self, text: str) -> None:
        print(text, file=self._out, flush=True)


def progress_on(out: TextIO, *, quiet: bool = False) -> "Lines | PullProgress":
    """Bars where `out` is a terminal, lines elsewhere."""
    if quiet or not out.isatty():
        return Lines(out, quiet=quiet)
    from rich.console import Console  # noqa: PLC0415  # see above

    from freehold.cli.terminal import PullProgress  # noqa: PLC0415

    return PullProgress(Console(file=out))
