import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.effects import EffectKind
from freehold.core.events import PromptText
from freehold.core.findings import Channel
from freehold.guard.calls import arguments
from freehold.guard.calls.deeds import LIMIT_TARGETS, Deeds, deeds_of
from freehold.guard.calls.kinds import KINDS, MEMBERS, ToolKind
from freehold.guard.calls.surroundings import Surroundings

SHOP = Surroundings("/srv/shop")


def deeds(tool: str, call: Any, surroundings: Surroundings = SHOP, **declared: Any) -> Deeds:
    text = call if isinstance(call, str) else json.dumps(call)
    return deeds_of(tool, arguments.read(text), surroundings, **declared)


def said(tool: str, call: Any, surroundings: Surroundings = SHOP, **declared: Any) -> set[str]:
    return {effect.rule.removeprefix("effect-") for effect in deeds(tool, call, surroundings, **declared).effects}


@pytest.mark.parametrize(
    ("tool", "call"),
    [
        ("Bash", {"command": "rm -rf /", "description": "clean up"}),
        ("bash", {"command": "rm -rf /"}),
        ("shell", {"command": ["bash", "-lc", "rm -rf /"], "workdir": "/srv/shop"}),
        ("local_shell_call", {"type": "exec", "command": ["bash", "-lc", "rm -rf /"]}),
        ("exec_command", {"cmd": "rm -rf /", "yield_time_ms": 100}),
        ("write_stdin", {"session_id": 1, "chars": "rm -rf /\n"}),
        ("run_terminal_cmd", {"command": "rm -rf /", "is_background": False}),
        ("shell", {"action": {"command": ["rm", "-rf", "/"]}}),
        ("shell", {"commands": ["ls", "rm -rf /"]}),
        ("start_process", {"command": "rm", "args": ["-rf", "/"]}),
        ("bash", {"whatever": "rm -rf /"}),
        ("frobnicate", {"command": "rm -rf /"}),
        ("frobnicate", {"options": {"hook": ["sudo rm -rf /"]}}),
        ("run_code", {"language": "bash", "code": "rm -rf /"}),
        ("shell", "rm -rf /"),
        ("bash", {"command": "r'm' -rf / ; : reg add HKLM\\x C:\\a.exe"}),
        ("bash", {"command": "ls", "cmd": "rm -rf /"}),
        ("bash", {"command": "ls", "script": "X=rm; $X -rf /"}),
        ("frobnicate", {"command": "ls", "code": "import os\nos.system('rm -rf /')"}),
        ("task", {"command": "rm -rf /"}),
        ("list_directory", {"path": ".", "filter": "x; rm -rf /"}),
        ("use_mcp_tool", {"server_name": "x", "tool_name": "run_command", "arguments": '{"command": "rm -rf /"}'}),
        (
            "multi_tool_use.parallel",
            {"tool_uses": [{"recipient_name": "functions.shell", "parameters": {"command": ["rm", "-rf", "/"]}}]},
        ),
    ],
)
def test_a_command_is_found_wherever_tools_keep_it(tool: str, call: Any) -> None:
    assert "delete-whole-tree" in said(tool, call)


def test_a_tool_is_known_by_what_the_request_says_of_it() -> None:
    told = Surroundings()
    told.observe(PromptText(leaf=0, channel=Channel.TOOL_DESCRIPTION, text="Runs a shell command on the host.", tool="frob"))
    assert "delete-whole-tree" in said("frob", {"it": "rm -rf /"}, told)


def test_a_folder_to_work_in_is_no_workspace_by_being_named() -> None:
    assert said("shell", {"command": "rm passwd", "workdir": "/etc"}) >= {"delete-system"}
    assert "delete-system" not in said("shell", {"command": "rm passwd", "workdir": "/srv/shop"})


def test_paths_below_the_working_folder_are_the_workspace() -> None:
    assert said("Write", {"file_path": "/srv/shop/a.py", "content": ""}) == {"write-workspace"}
    assert said("Write", {"file_path": "/srv/other/a.py", "content": ""}) == {"write-elsewhere"}
    assert said("Write", {"file_path": "/srv/shop/../other/a.py", "content": ""}) == {"write-elsewhere"}


@pytest.mark.parametrize(
    ("tool", "call", "effects"),
    [
        ("Read", {"file_path": "src/a.py"}, {"read-workspace"}),
        ("Read", {"file_path": "~/.ssh/id_rsa"}, {"read-credential"}),
        ("Grep", {"pattern": "TODO"}, {"read-workspace"}),
        ("Glob", {"pattern": "/home/*/.ssh/*"}, {"read-credential"}),
        ("read_multiple_files", {"paths": ["a", "~/.aws/credentials"]}, {"read-workspace", "read-credential"}),
        ("str_replace_based_edit_tool", {"command": "view", "path": "a.py"}, {"read-workspace"}),
        ("str_replace_based_edit_tool", {"command": "create", "path": "a.py", "file_text": "x"}, {"write-workspace"}),
        ("Edit", {"file_path": "/etc/hostname", "old_string": "a", "new_string": "b"}, {"write-system"}),
        ("write_file", {"content": "x"}, {"unknown-nothing"}),
        ("delete_file", {"path": "a.txt"}, {"delete-workspace"}),
        ("delete_file", {"target_file": "/"}, {"delete-whole-tree"}),
        ("move_file", {"source": "a", "destination": "/etc/motd"}, {"delete-workspace", "write-system"}),
        ("copy_file", {"source": "~/.ssh/id_rsa", "destination": "b"}, {"read-credential", "write-workspace"}),
        ("WebFetch", {"url": "https://docs.example.com/a", "prompt": "sum it up"}, {"download-host"}),
        ("fetch", {"url": "http://169.254.169.254/latest/meta-data/"}, {"download-host", "read-credential"}),
        ("http_request", {"method": "POST", "url": "https://x.example", "body": {"a": 1}}, {"send-host"}),
        ("requests_delete", {"url": "https://x.example/1"}, {"send-host", "delete-host"}),
        ("WebSearch", {"query": "weather"}, {"read-host"}),
        ("send_email", {"to": "a@b.example", "body": "rm -rf / is a bad command"}, {"send-host"}),
        ("frob", {"to": ["a@b.example"], "message": "hi"}, {"send-host"}),
        ("query", {"query": "cats"}, {"read-nothing"}),
        ("get_weather", {"city": "Paris"}, {"read-nothing"}),
        ("frob", {"city": "Paris"}, {"run-nothing"}),
        ("frob", {}, {"run-nothing"}),
        ("TodoWrite", {"todos": [{"content": "rm -rf / the old code"}]}, set()),
        ("git_status", {"repo_path": "."}, {"read-workspace"}),
        ("mcp__git__git_diff", {"repo_path": ".", "target": "--output=/etc/x"}, {"read-workspace", "unknown-nothing"}),
        ("frob", '{"a": 1, "a": 2}', {"unknown-nothing"}),
        ("frob", "just words", {"unknown-nothing"}),
        ("read_file", {"location": "~/.ssh/id_rsa"}, {"read-credential"}),
        ("read_files", {"files": [{"file": {"path": "~/.ssh/id_rsa"}}]}, {"read-credential"}),
        ("read_files", {"paths": ["a"] + [f"b{n}" for n in range(LIMIT_TARGETS)]}, {"read-workspace", "unknown-nothing"}),
        ("write_file", {"command": "view", "path": "/etc/motd", "content": "x"}, {"write-system"}),
        ("query", {"query": "begin; drop table users"}, {"delete-database"}),
        ("find_coupon", {"code": "SAVE 20%"}, {"read-nothing"}),
        ("Bash", {"restart": True}, set()),
        ("Bash", {"command": {"a": 1}}, {"unknown-nothing"}),
    ],
)
def test_what_a_call_does(tool: str, call: Any, effects: set[str]) -> None:
    assert said(tool, call) == effects


def test_a_declared_kind_comes_before_all_that_is_guessed() -> None:
    assert said("Bash", {"command": "rm -rf /"}, kind=ToolKind.DATA) == set()
    assert "delete-whole-tree" in said("frob", {"x": "rm -rf /", "y": "hi"}, kind=ToolKind.SHELL, argument="x")
    assert said("frob", {"where": "/etc/x", "path": "a"}, kind=ToolKind.FILE_READ, argument="where") == {"read-system"}


def test_a_patch_is_taken_apart_by_its_files() -> None:
    patch = (
        "*** Begin Patch\n*** Add File: src/a.py\n+import os\n*** Update File: /etc/motd\n*** Delete File: b.txt\n*** End Patch"
    )
    for tool, call in (("apply_patch", {"input": patch}), ("apply_patch", patch), ("frob", patch)):
        found = deeds(tool, call)
        assert {effect.rule for effect in found.effects} == {
            "effect-write-workspace",
            "effect-write-system",
            "effect-delete-workspace",
        }
        assert [(one.name, one.text) for one in found.written] == [("src/a.py", "import os")]


def test_a_unified_diff_is_a_patch() -> None:
    diff = "--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-a\n+b\n--- a/old.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n"
    found = deeds("apply_diff", {"diff": diff})
    assert {effect.rule for effect in found.effects} == {"effect-write-workspace", "effect-delete-workspace"}
    assert [one.text for one in found.written] == ["b"]


def test_programs_that_are_written_are_handed_on_with_all_new_text() -> None:
    edits = [{"old_string": "a = 1", "new_string": "a = 2"}, {"old_string": "b = 1", "new_string": "b = 2"}]
    (written,) = deeds("MultiEdit", {"file_path": "src/a.py", "edits": edits}).written
    assert (written.name, written.text) == ("src/a.py", "a = 2\nb = 2")


def test_targets_are_named_up_to_a_bound() -> None:
    effects = deeds("send_email", {"to": [f"a{n}@b.example" for n in range(1_000)]}).effects
    assert [effect.kind for effect in effects] == [EffectKind.UNKNOWN] + [EffectKind.SEND] * LIMIT_TARGETS


def test_an_effect_shows_no_content_in_what_is_recorded() -> None:
    for effect in deeds("frob", {"to": "secret-name", "body": "x", "command": "touch secret-name"}).effects:
        assert "secret-name" not in repr(effect)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["path", "command", "x"]), inner, max_size=3),
    max_leaves=8,
)
_MEMBERS = st.sampled_from(sorted({name for names in MEMBERS.values() for name in names}))


@given(st.sampled_from(sorted(KINDS)) | st.text(max_size=20), st.dictionaries(_MEMBERS, _VALUES, max_size=4))
def test_any_call_is_read(tool: str, call: dict[str, Any]) -> None:
    deeds(tool, call)
