import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.effects import EffectKind, Place
from freehold.core.findings import Action, Channel, Direction
from freehold.guard.call_documents import WrittenCall
from freehold.guard.calls.presets import PresetName
from freehold.guard.calls.settings import CallRule, CallSettings
from freehold.guard.examine import Examiner, Kind
from freehold.guard.policy_file import PolicyFile
from freehold.guard.syntax import Language
from tests.fakes.guard import SECRET
from tests.fakes.texts import OneSecret

WIPE = "rm -rf /"
SQL = 'def find(cursor, name):\n    return cursor.execute("SELECT * FROM users WHERE name = \'" + name + "\'")\n'
WIPES = 'import shutil\nshutil.rmtree("/etc")\n'


def examiner(preset: PresetName | None = None, policy: PolicyFile | None = None, folder: str = "") -> Examiner:
    return Examiner(policy or PolicyFile(), OneSecret(), preset=preset, folder=folder)


def test_a_command_is_judged_by_what_it_does() -> None:
    found = examiner().shell(WIPE)
    assert (found.kind, found.action) == (Kind.SHELL, Action.BLOCK)
    assert (EffectKind.DELETE, Place.WHOLE_TREE) in {(effect.kind, effect.place) for effect in found.effects}
    assert "effect-delete-whole-tree" in {finding.rule for finding in found.findings}
    assert found.words


def test_a_harmless_command_is_told_and_allowed() -> None:
    found = examiner().shell("cat README.md")
    assert (found.action, found.findings, found.reasons) == (Action.ALLOW, (), ())
    assert [(effect.kind, effect.place) for effect in found.effects] == [(EffectKind.READ, Place.WORKSPACE)]


def test_the_language_of_a_command_is_believed() -> None:
    found = examiner().shell("Remove-Item -Recurse -Force C:\\", (Language.POWERSHELL,))
    assert found.language == "powershell"
    assert found.action in (Action.ASK, Action.BLOCK)


def test_a_preset_goes_before_the_policy_and_the_policys_rules_stay() -> None:
    rule = CallRule(id="pip-is-fine", action="allow", effects="install")
    policy = PolicyFile(calls=CallSettings(preset="observe", rules=(rule,)))
    assert examiner(policy=policy).shell(WIPE).action is Action.TAG
    assert examiner("production", policy).shell(WIPE).action is Action.BLOCK
    assert examiner("production", policy).shell("pip install requests").action is not Action.ASK


def test_the_working_folder_is_where_one_says() -> None:
    assert examiner(folder="/srv/project").shell("rm -r /srv/project/build").action is Action.ALLOW
    assert examiner().shell("rm -r /srv/project/build").action is Action.ASK


def test_a_secret_in_a_command_is_found_beside_its_effects() -> None:
    found = examiner().shell(f"echo {SECRET}")
    assert ([finding.rule for finding in found.findings], found.action) == (["sesame"], Action.MASK)


def test_code_is_judged_by_its_weaknesses() -> None:
    found = examiner().code(SQL)
    assert (found.language, found.action) == ("python", Action.TAG)
    assert [weakness.cwe for weakness in found.weaknesses] == [89]
    assert {finding.category for finding in found.findings} == {"weakness"}


def test_what_code_does_is_told_and_judged_where_it_is_run() -> None:
    written, run = examiner().code(WIPES), examiner().code(WIPES, is_run=True)
    assert written.effects == run.effects
    assert (written.action, written.reasons) == (Action.ALLOW, ())
    assert run.action in (Action.ASK, Action.BLOCK)


def test_code_in_a_language_that_is_not_analysed_is_asked_about_where_it_is_run() -> None:
    assert examiner().code("<p>hello</p>", Language.HTML).action is Action.ALLOW
    assert examiner().code("<p>hello</p>", Language.HTML, is_run=True).action is Action.ASK


@pytest.mark.parametrize("text", [f"#!/bin/sh\n{WIPE}\n", WIPE])
def test_what_a_script_or_a_command_surely_does_counts_in_any_case(text: str) -> None:
    found = examiner().code(text)
    assert (found.kind, found.action) == (Kind.CODE, Action.BLOCK)


def test_what_can_not_be_resolved_in_a_script_counts_where_it_is_run() -> None:
    script = '#!/bin/sh\n"$1" --all\n'
    assert examiner("production").code(script).action is Action.ALLOW
    assert examiner("production").code(script, is_run=True).action is Action.ASK


def test_fenced_code_in_an_answer_is_found_where_it_stands() -> None:
    answer = f"Here it is:\n\n```python\n{SQL}```\n\nand\n\n```\nls\n```\n"
    (finding,) = examiner().code(answer).findings
    assert answer[finding.start : finding.end].startswith("cursor.execute")


def test_calls_of_one_answer_are_judged_together() -> None:
    calls = [WrittenCall("Bash", json.dumps({"command": command})) for command in ("ls", WIPE)]
    found = examiner().tool_calls(calls)
    assert (found.kind, found.action) == (Kind.TOOL_CALL, Action.BLOCK)
    assert examiner().tool_calls(calls[:1]).action is Action.ALLOW


def test_arguments_that_can_not_be_read_are_asked_about() -> None:
    assert examiner().tool_calls([WrittenCall("Bash", "{")]).action is Action.ASK


def test_a_text_is_looked_at_as_what_it_is() -> None:
    texts = OneSecret()
    asked = Examiner(PolicyFile(), texts, direction=Direction.RESPONSE)
    asked.text("hi", Channel.REASONING)
    asked.tool_result("hi", "web")
    asked.tool_calls([WrittenCall("Bash", "{}")])
    assert texts.asked == [
        (Channel.REASONING, Direction.RESPONSE, ""),
        (Channel.TOOL_RESULT, Direction.RESPONSE, "web"),
        (Channel.TOOL_ARGUMENTS, Direction.RESPONSE, "Bash"),
    ]
    assert asked.text(SECRET).action is Action.MASK


@pytest.mark.parametrize("preset", ["observe", "developer", "production", "locked"])
@given(st.text(max_size=60))
@settings(max_examples=40)
def test_any_text_is_an_answer_whatever_it_is_handed_in_as(preset: PresetName, text: str) -> None:
    asked = examiner(preset)
    for found in (
        asked.shell(text),
        asked.code(text),
        asked.code(text, is_run=True),
        asked.tool_calls([WrittenCall("Bash", text)]),
    ):
        assert found.action in Action
        assert (found.action is Action.ALLOW) == (not any(finding.enforced is not Action.ALLOW for finding in found.findings))


def test_what_is_told_in_words_has_nothing_of_the_text() -> None:
    found = examiner("locked").shell("marmalade --spread /etc/marmalade")
    assert "marmalade" not in found.words
    assert "marmalade" not in repr(found)
