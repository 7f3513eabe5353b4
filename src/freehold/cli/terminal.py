"""How a long job shows on a terminal, and in a log."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Column, Table

WIDE_CHARS = 10_000  # wider than any table: what reads a pipe wants values whole


def print_table(table: Table, *, to_stderr: bool = False) -> None:
    """On a terminal as wide as it is; elsewhere every row is one line with nothing cut off."""
    console = Console(stderr=to_stderr, soft_wrap=True, markup=False, highlight=False)
    if not console.is_terminal:
        console.width = WIDE_CHARS
    console.print(table)


class PullProgress:
    """Implements `provenance.progress.Progress`: bars on a terminal, a line a step elsewhere, only notes when `quiet`.

    Writes to standard error, so that a command's result stays alone on standard output.
    """

    def __init__(self, console: Console | None = None, *, quiet: bool = False) -> None:
        self._console = console or Console(stderr=True)
        self._quiet = quiet
        self._bars: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> "PullProgress":
        if self._console.is_terminal and not self._quiet:
            what = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1))
            one_line = Column(no_wrap=True)
            numbers = (DownloadColumn(table_column=one_line), TransferSpeedColumn(one_line.copy()), TimeRemainingColumn())
            self._bars = Progress(what, BarColumn(bar_width=16), *numbers, console=self._console, expand=True)
            self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bars is not None:
            if kind is None:
                self._finish_task()
            self._bars.stop()
            self._bars = None

    def step(self, what: str, total_bytes: int | None) -> None:
        if self._bars is not None:
            self._finish_task()
            self._task = self._bars.add_task(what, total=total_bytes)
        elif not self._quiet:
            size = "" if total_bytes is None else f" ({total_bytes / 1e6:.0f} MB)"
            self._console.print(f"{what}{size}", markup=False, highlight=False, soft_wrap=True)

    def advance(self, done_bytes: int) -> None:
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, completed=done_bytes)

    def note(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _finish_task(self) -> None:
        """Leave the bar full, or take it away where its size was never known."""
        if self._bars is None or self._task is None:
            return
        (task,) = (task for task in self._bars.tasks if task.id == self._task)
        if task.total is None:
            self._bars.remove_task(task.id)
        else:
            self._bars.update(task.id, completed=task.total)
        self._task = None
