import io

from rich.console import Console

from freehold.cli.terminal import PullProgress


def shown(*, terminal: bool, quiet: bool = False) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=80, color_system=None)
    with PullProgress(console, quiet=quiet) as progress:
        progress.step("downloading a [file] with a rather long name, longer than fits", 2_000_000)
        progress.advance(1_000_000)
        progress.note("a [note]")
        progress.step("checking", None)
    return out.getvalue()


def test_elsewhere_than_on_a_terminal_a_step_is_a_plain_line() -> None:
    assert shown(terminal=False).splitlines() == [
        "downloading a [file] with a rather long name, longer than fits (2 MB)",
        "a [note]",
        "checking",
    ]


def test_quiet_shows_notes_alone() -> None:
    assert shown(terminal=False, quiet=True) == "a [note]\n"
    assert shown(terminal=True, quiet=True).strip() == "a [note]"


def test_on_a_terminal_there_is_a_bar_that_ends_full() -> None:
    text = shown(terminal=True)
    assert "2.0/2.0 MB" in text
    assert "a [note]" in text
