import pytest

from freehold.core.events import PromptText
from freehold.core.findings import Channel
from freehold.guard.calls.surroundings import LIMIT_TEXTS, Surroundings, is_free

ADA, MAC = "/home/ada", "/Users/ada"


def after(*texts: tuple[Channel, str]) -> Surroundings:
    made = Surroundings()
    for leaf, (channel, text) in enumerate(texts):
        made.observe(PromptText(leaf=leaf, channel=channel, text=text))
    return made


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        (f"<env>\nWorking directory: {ADA}/shop\nIs directory a git repo: Yes\n</env>", f"{ADA}/shop"),
        (f"<environment_context>\n  <cwd>{MAC}/shop</cwd>\n", f"{MAC}/shop"),
        ("I'm currently working in the directory: /srv/shop/", "/srv/shop"),
        (f"The absolute path of the user's workspace is `{ADA}/shop`.", f"{ADA}/shop"),
        (f"# Current Working Directory ({ADA}/shop) Files", f"{ADA}/shop"),
        ("Workspace Path: C:\\Users\\ada\\shop\n", f"C:{MAC}/shop"),
        ("Working directory: /workspace", "/workspace"),
        ("You are a helpful assistant.", ""),
        ("Working directory: /", ""),
        ("Working directory: /home/ada", ""),
        ("Working directory: /root", ""),
        ("Working directory: C:\\\n", ""),
        ("Working directory: /etc", ""),
        (f"Working directory: {ADA}/.ssh", ""),
        (f"Working directory: {ADA}/../../etc", ""),
    ],
)
def test_the_working_folder_is_what_the_agents_prompt_names(text: str, folder: str) -> None:
    assert after((Channel.SYSTEM, text)).folder == folder
    assert after((Channel.USER, text)).folder == folder


def test_a_tool_result_names_no_folder() -> None:
    assert after((Channel.TOOL_RESULT, "Working directory: /srv/shop")).folder == ""


def test_the_first_that_may_be_one_counts() -> None:
    found = after((Channel.SYSTEM, "cwd: /"), (Channel.SYSTEM, "cwd: /srv/a"), (Channel.USER, "cwd: /srv/b"))
    assert found.folder == "/srv/a"
    late = [(Channel.USER, "hello")] * LIMIT_TEXTS
    assert after(*late, (Channel.USER, "cwd: /srv/b")).folder == ""


def test_a_folder_that_is_given_counts() -> None:
    made = Surroundings("/srv/given")
    made.observe(PromptText(leaf=0, channel=Channel.SYSTEM, text="cwd: /srv/other"))
    assert made.folder == "/srv/given"
    assert is_free("/srv/given")
    assert not is_free("/usr")


def test_a_tools_description_is_what_the_request_says_of_it() -> None:
    made = Surroundings()
    for leaf, text in enumerate(("Executes commands in a shell", "the command", "how long")):
        made.observe(PromptText(leaf=leaf, channel=Channel.TOOL_DESCRIPTION, text=text, tool="frob"))
    assert made.description("frob").startswith("Executes commands in a shell\n")
    assert made.description("other") == ""
