import io

from freehold.cli.lines import progress_on


def told(*, quiet: bool = False) -> str:
    out = io.StringIO()
    with progress_on(out, quiet=quiet) as progress:
        progress.step("downloading a-model [fast]", 93_000_000)
        progress.advance(1_000_000)
        progress.step("verifying", None)
        progress.note("a note")
    return out.getvalue()


def test_what_is_no_terminal_gets_a_line_a_step() -> None:
    assert told() == "downloading a-model [fast] (93 MB)\nverifying\na note\n"


def test_quiet_leaves_the_notes() -> None:
    assert told(quiet=True) == "a note\n"
