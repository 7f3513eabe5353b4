import pytest

from freehold.core.effects import EffectKind, Place
from freehold.guard.calls.kinds import (
    FIXED,
    KINDS,
    LANGUAGES,
    MEMBERS,
    VERBS,
    ToolKind,
    deed_by_name,
    kind_by_description,
    kind_by_name,
    names_of,
)


@pytest.mark.parametrize(
    ("tool", "kind"),
    [
        ("Bash", ToolKind.SHELL),
        ("bash", ToolKind.SHELL),
        ("run_terminal_cmd", ToolKind.SHELL),
        ("runTerminalCommand", ToolKind.SHELL),
        ("container.exec", ToolKind.SHELL),
        ("functions.shell", ToolKind.SHELL),
        ("local_shell_call", ToolKind.SHELL),
        ("mcp__desktop_commander__execute_command", ToolKind.SHELL),
        ("code_interpreter", ToolKind.PYTHON),
        ("code_interpreter_call", ToolKind.PYTHON),
        ("execute_sql", ToolKind.SQL),
        ("mcp__postgres__query", ToolKind.SQL),
        ("str_replace_based_edit_tool", ToolKind.FILE_WRITE),
        ("Write", ToolKind.FILE_WRITE),
        ("MultiEdit", ToolKind.FILE_WRITE),
        ("NotebookEdit", ToolKind.FILE_WRITE),
        ("filesystem/write_file", ToolKind.FILE_WRITE),
        ("apply_patch", ToolKind.PATCH),
        ("Read", ToolKind.FILE_READ),
        ("Grep", ToolKind.FILE_READ),
        ("WebFetch", ToolKind.HTTP),
        ("mcp__fetch__fetch", ToolKind.HTTP),
        ("WebSearch", ToolKind.SEARCH),
        ("TodoWrite", ToolKind.DATA),
        ("frobnicate", None),
        ("", None),
    ],
)
def test_tools_that_agents_have_are_known_by_name(tool: str, kind: ToolKind | None) -> None:
    assert kind_by_name(tool) is kind


@pytest.mark.parametrize(
    ("tool", "kind", "place"),
    [
        ("send_email", EffectKind.SEND, Place.HOST),
        ("slack_post_message", EffectKind.SEND, Place.HOST),
        ("github-create-issue", EffectKind.SEND, Place.HOST),
        ("uploadFile", EffectKind.SEND, Place.HOST),
        ("delete_calendar_event", EffectKind.DELETE, Place.HOST),
        ("cancel_order", EffectKind.DELETE, Place.HOST),
        ("create_user", EffectKind.ACCOUNT, Place.HOST),
        ("removeMember", EffectKind.ACCOUNT, Place.HOST),
        ("transfer_funds", EffectKind.SPEND, Place.HOST),
        ("deploy_to_production", EffectKind.PUBLISH, Place.HOST),
        ("update_record", EffectKind.WRITE, Place.NOTHING),
        ("get_weather", EffectKind.READ, Place.NOTHING),
        ("list_sent_messages", EffectKind.READ, Place.NOTHING),
        ("git_push", EffectKind.PUBLISH, Place.HOST),
        ("mcp__git__git_status", EffectKind.READ, Place.WORKSPACE),
    ],
)
def test_a_name_nobody_knows_is_read_by_its_verb(tool: str, kind: EffectKind, place: Place) -> None:
    deed = deed_by_name(tool)
    assert deed is not None
    assert deed[:2] == (kind, place)


def test_a_name_without_a_verb_says_nothing() -> None:
    assert deed_by_name("weather") is None


@pytest.mark.parametrize(
    ("description", "kind"),
    [
        ("Executes a given bash command in a persistent session.", ToolKind.SHELL),
        ("Run Python in a sandbox and return what it prints", ToolKind.PYTHON),
        ("Runs read-only SQL queries against the warehouse", ToolKind.SQL),
        ("Sends an email to a customer", ToolKind.SEND),
        ("Creates or overwrites a file on disk", ToolKind.FILE_WRITE),
        ("Fetches a URL and returns markdown", ToolKind.HTTP),
        ("Returns the weather of a city", None),
    ],
)
def test_a_description_tells_a_kind(description: str, kind: ToolKind | None) -> None:
    assert kind_by_description(description) is kind


def test_the_tables_are_in_the_form_that_names_are_looked_for() -> None:
    for name in (*KINDS, *FIXED, *VERBS):
        assert names_of(name) == [name]
    for name in (member for members in MEMBERS.values() for member in members):
        assert name == name.lower().replace("_", "").replace("-", "")
    assert not KINDS.keys() & FIXED.keys()
    assert {kind.value for kind in LANGUAGES} == {language.value for language in LANGUAGES.values()}
