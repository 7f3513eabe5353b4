import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.cli.hook_agents import AGENTS, STOP, Asked, Decision, Moment, guessed, texts_of

REASON = "It deletes what is not its own."
EVENTS = {
    "claude": ("PreToolUse", "PostToolUse", "UserPromptSubmit"),
    "codex": ("PreToolUse", "PostToolUse", "UserPromptSubmit"),
    "gemini": ("BeforeTool", "AfterTool", "BeforeAgent"),
}
THREE = sorted(EVENTS)


def asked(agent: str, at: int) -> Asked:
    said: dict[str, Any] = {"hook_event_name": EVENTS[agent][at], "cwd": "/srv/project"}
    said |= {"tool_name": "Bash", "tool_input": {"command": "ls"}} if at < 2 else {"prompt": "Tidy up."}
    said |= {"tool_response": {"stdout": "a", "nested": ["b", 1, None]}} if at == 1 else {}
    return AGENTS[agent].read(said)


@pytest.mark.parametrize("agent", THREE)
def test_what_an_agent_says_is_read(agent: str) -> None:
    call, result, prompt = (asked(agent, at) for at in range(3))
    assert (call.moment, call.tool, call.call, call.folder) == (Moment.CALL, "Bash", {"command": "ls"}, "/srv/project")
    assert (result.moment, result.text) == (Moment.RESULT, "a\nb")
    assert (prompt.moment, prompt.text) == (Moment.PROMPT, "Tidy up.")


@pytest.mark.parametrize("agent", THREE)
@pytest.mark.parametrize("at", range(3))
def test_a_refusal_is_told_as_json_and_by_exit_code_with_the_reason(agent: str, at: int) -> None:
    said = AGENTS[agent].answer(asked(agent, at), Decision.DENY, REASON, approve=False)
    assert said.code == STOP
    assert REASON in said.err
    document = json.loads(said.out)
    words = document.get("hookSpecificOutput", document)
    assert words.get("permissionDecision", words.get("decision")) in ("deny", "block")
    assert REASON in (words.get("permissionDecisionReason"), words.get("reason"))


@pytest.mark.parametrize("agent", THREE)
@pytest.mark.parametrize("at", range(3))
def test_what_policy_allows_is_no_word_of_the_hook(agent: str, at: int) -> None:
    said = AGENTS[agent].answer(asked(agent, at), Decision.ALLOW, "", approve=False)
    assert (json.loads(said.out), said.err, said.code) == ({}, "", 0)


def test_claude_code_asks_its_user() -> None:
    said = AGENTS["claude"].answer(asked("claude", 0), Decision.ASK, REASON, approve=False)
    words = {"hookEventName": "PreToolUse", "permissionDecision": "ask", "permissionDecisionReason": REASON}
    assert (json.loads(said.out), said.code) == ({"hookSpecificOutput": words}, 0)


@pytest.mark.parametrize("agent", ["codex", "gemini"])
def test_an_agent_that_can_not_ask_hears_no(agent: str) -> None:
    """Codex takes "ask" for a mistake and runs the call; Gemini CLI waits for ever where nobody sits before it."""
    said = AGENTS[agent].answer(asked(agent, 0), Decision.ASK, REASON, approve=False)
    assert said.code == STOP
    assert "ask the user" in said.err
    assert '"ask"' not in said.out


def test_nothing_but_a_call_is_asked_about() -> None:
    assert AGENTS["claude"].answer(asked("claude", 2), Decision.ASK, REASON, approve=False).code == STOP


@pytest.mark.parametrize("agent", THREE)
def test_a_note_on_a_result_is_for_the_model(agent: str) -> None:
    said = AGENTS[agent].answer(asked(agent, 1), Decision.NOTE, REASON, approve=False)
    assert json.loads(said.out)["hookSpecificOutput"]["additionalContext"] == REASON
    assert said.code == 0


def test_a_yes_is_said_where_the_user_wants_it_and_the_agent_knows_it() -> None:
    said = AGENTS["claude"].answer(asked("claude", 0), Decision.ALLOW, "", approve=True)
    assert json.loads(said.out)["hookSpecificOutput"]["permissionDecision"] == "allow"
    assert json.loads(AGENTS["codex"].answer(asked("codex", 0), Decision.ALLOW, "", approve=True).out) == {}


def test_an_agent_of_ones_own_gets_a_plain_word() -> None:
    plain = AGENTS["plain"]
    call = plain.read({"tool": "Bash", "arguments": {"command": "ls"}})
    assert call.moment is Moment.CALL
    assert plain.read({"tool": "fetch", "result": ["a", "b"]}).text == "a\nb"
    assert plain.read({"prompt": "hi"}).moment is Moment.PROMPT
    for decision, code in ((Decision.ALLOW, 0), (Decision.NOTE, 0), (Decision.ASK, STOP), (Decision.DENY, STOP)):
        said = plain.answer(call, decision, REASON, approve=False)
        assert (json.loads(said.out), said.code) == ({"decision": decision, "reason": REASON}, code)


@pytest.mark.parametrize(
    ("document", "agent"),
    [
        ({"hook_event_name": "PreToolUse", "prompt_id": "p"}, "claude"),
        ({"hook_event_name": "PreToolUse", "turn_id": "t", "model": "m"}, "codex"),
        ({"hook_event_name": "BeforeTool"}, "gemini"),
        ({"tool": "Bash"}, "plain"),
        ({}, "plain"),
    ],
)
def test_who_asks_is_told_by_what_it_says(document: dict[str, Any], agent: str) -> None:
    assert guessed(document) == agent


@pytest.mark.parametrize("agent", THREE)
def test_settings_name_the_events_that_are_read(agent: str) -> None:
    document = json.loads(AGENTS[agent].settings("guard-hook", 30))
    assert tuple(document["hooks"]) == EVENTS[agent]
    for (entry,) in document["hooks"].values():
        assert [hook["command"] for hook in entry["hooks"]] == ["guard-hook"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = ["hook_event_name", "tool_name", "tool_input", "tool_response", "prompt", "cwd", "tool", "arguments", "result"]


@given(
    st.dictionaries(st.sampled_from(MEMBERS), JSON | st.sampled_from(["PreToolUse", "PostToolUse", "BeforeTool"])),
    st.sampled_from(sorted(AGENTS)),
    st.sampled_from(Decision),
    st.booleans(),
)
def test_whatever_is_asked_a_no_stops_and_the_answer_is_json(
    document: dict[str, Any], agent: str, decision: Decision, approve: bool
) -> None:
    said = AGENTS[agent].answer(AGENTS[agent].read(document), decision, REASON, approve=approve)
    assert isinstance(json.loads(said.out), dict)
    if decision is Decision.DENY:
        assert (said.code, REASON in said.err) == (STOP, True)
    if decision is Decision.ASK:
        assert said.code == STOP or '"ask"' in said.out
    assert isinstance(texts_of(document), str)
