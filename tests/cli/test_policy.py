import asyncio
import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from freehold.cli import main
from freehold.guard.detectors.examples import sample
from freehold.store.writer import RecordWriter
from tests.store.drafts import FINDING, ChainSigner, draft

TOKEN = "ghp_" + sample(36)
BLOCK = '[[rules]]\nid = "no-tokens"\ndetectors = "github-token"\naction = "block"\n'


@pytest.fixture
def file(home: Path) -> Path:
    path = home / "policy.toml"
    path.write_text(BLOCK)
    return path


def run(*arguments: str, given: str = "") -> Result:
    return CliRunner().invoke(main, ["policy", *arguments], input=given)


def test_a_policy_that_is_all_right_is_said_to_be(file: Path) -> None:
    result = run("check", str(file))
    assert (result.exit_code, result.output) == (
        0,
        f"{file}: 1 rules, 0 detectors, 0 dictionaries, 0 rules of calls, preset developer; all right\n",
    )


def test_what_is_odd_is_named_with_its_line(file: Path) -> None:
    file.write_text(BLOCK + BLOCK.replace("no-tokens", "again"))
    result = run("check", str(file))
    assert result.exit_code == 1
    assert result.output == f"{file}:5: rule 'again' never decides: rule 'no-tokens' before it holds wherever it would\n"
    answer = json.loads(run("check", str(file), "--json").output)
    assert [(odd["rule"], odd["line"]) for odd in answer["oddities"]] == [("again", 5)]


def test_a_policy_that_cannot_be_used_is_refused_with_line_and_reason(file: Path) -> None:
    file.write_text(BLOCK + '[[detectors]]\nid = "d"\npattern = "abc"\nmust_match = ["xyz"]\n')
    result = run("check", str(file))
    assert result.exit_code == 2
    assert f"{file}:5: detector 'd': must_match example 1 is not matched" in result.output


def test_what_is_in_force_is_shown(home: Path, file: Path) -> None:
    (home / "freehold.toml").write_text('[guard]\npolicy = "policy.toml"\n')
    shown = run("show").output
    assert shown == run("show", str(file)).output
    assert "no-tokens: block  detectors=github-token" in shown
    assert "otherwise personal_data in requests: mask in shadow" in shown
    answer = json.loads(run("show", "--json").output)
    assert answer["rules"] == [{"id": "no-tokens", "action": "block", "mode": "enforce", "detectors": ["github-token"]}]
    assert answer["tokens"]["trusted_tools"] == []


def test_what_is_done_with_calls_is_shown_by_kind_of_effect(file: Path) -> None:
    file.write_text(
        '[calls]\npreset = "locked"\n\n[[calls.rules]]\nid = "mail"\naction = "allow"\neffects = "send"\nhosts = "*.example"\n'
    )
    shown = run("show", str(file)).output
    assert "calls: preset locked" in shown
    assert "  mail: allow  effects=send  hosts=*.example" in shown
    assert "  otherwise remote_shell: block anything" in shown
    answer = json.loads(run("show", str(file), "--json").output)
    assert answer["preset"]["unknown"] == {"ask": ["anything"]}
    assert answer["calls"]["rules"][0]["id"] == "mail"


def test_a_rule_of_calls_that_never_decides_is_odd(file: Path) -> None:
    rules = ('id = "all"\naction = "ask"', 'id = "never"\naction = "block"\neffects = "send"')
    file.write_text("".join(f"[[calls.rules]]\n{rule}\n" for rule in rules))
    result = run("check", str(file))
    assert result.exit_code == 1
    assert f"{file}:4: rule 'never' never decides: rule 'all' before it" in result.output


def test_calls_of_an_answer_are_tried(file: Path) -> None:
    file.write_text('[calls]\npreset = "production"\n')
    rows = [
        {"id": "kill", "text": '{"command": "kill 4242"}', "kind": "tool_arguments", "tool": "Bash"},
        {"id": "list", "text": '{"command": "ls"}', "kind": "tool_arguments", "tool": "Bash"},
    ]
    result = run("simulate", str(file), "-", "--direction", "response", "--json", given="\n".join(map(json.dumps, rows)))
    changes = json.loads(result.output)["changes"]
    assert ("kill", "ask") in {(change["examples"][0], change["would"]) for change in changes}


def test_texts_and_requests_are_tried(file: Path) -> None:
    lines = [
        {"id": "text", "text": f"use {TOKEN} or ada@lovelace.org"},
        {"id": "chat", "request": {"messages": [{"role": "user", "content": f"use {TOKEN}"}]}},
        {"id": "gemini", "request": {"contents": [{"parts": [{"text": f"use {TOKEN}"}]}]}, "context": {"team": "law"}},
        {"id": "clean", "text": "good morning"},
    ]
    given = "\n\n".join(map(json.dumps, lines))
    result = run("simulate", str(file), "-", "--json", given=given)
    assert result.exit_code == 1
    answer = json.loads(result.output)
    assert answer["looked_at"] == 4
    assert answer["same"] == 1
    (change,) = answer["changes"]
    assert change == {
        "rule": "github-token",
        "direction": "request",
        "was": "mask",
        "would": "block",
        "findings": 3,
        "examples": ["text", "chat", "gemini"],
    }
    said = run("simulate", str(file), "-", given=given).output
    assert "3 x github-token in requests: mask -> block  text chat gemini" in said
    assert TOKEN not in said


def test_a_candidate_that_changes_nothing_is_said_to(file: Path) -> None:
    assert run("simulate", str(file), "-", given='{"id": 1, "text": "hello"}').exit_code == 0


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("nonsense", "line 1 is not JSON"),
        ("[]", "not a JSON object"),
        ('{"id": 1}', "neither a text nor a request"),
        ('{"request": {"what": 1}}', "its dialect is not known"),
        ('{"text": "x", "context": {"team": 7}}', "line 1: context"),
    ],
)
def test_traffic_that_cannot_be_used_is_refused_with_its_line(file: Path, given: str, reason: str) -> None:
    result = run("simulate", str(file), "-", given=given)
    assert result.exit_code == 2
    assert reason in result.output


def test_either_traffic_or_the_record_is_asked(file: Path) -> None:
    assert run("simulate", str(file)).exit_code == 2
    assert run("simulate", str(file), "x", "--record").exit_code == 2
    assert "no record" in run("simulate", str(file), "--record").output


def test_guard_check_asks_the_policy_of_the_configuration_or_another(home: Path, file: Path) -> None:
    def verdict(*arguments: str) -> str:
        result = CliRunner().invoke(main, ["guard", "check", "--json", *arguments], input=f"use {TOKEN}")
        return str(json.loads(result.output)["verdict"])

    assert verdict() == "mask"
    assert verdict("--policy", str(file)) == "block"
    (home / "freehold.toml").write_text('[guard]\npolicy = "policy.toml"\n')
    assert verdict() == "block"


def test_what_the_record_found_is_decided_anew(home: Path, file: Path) -> None:
    async def kept() -> None:
        with closing(RecordWriter(home / "record.db", ChainSigner())) as writer:
            for number in range(4):
                await writer.record(draft(f"xc_{number}", findings=(replace(FINDING, rule="github-token"),)))

    asyncio.run(kept())
    answer = json.loads(run("simulate", str(file), "--record", "--last", "3", "--json").output)
    assert answer["looked_at"] == 3
    ((findings, examples, would),) = [(c["findings"], c["examples"], c["would"]) for c in answer["changes"]]
    assert (findings, examples, would) == (3, ["xc_1", "xc_2", "xc_3"], "block")
    assert answer["not_judged"] == []
