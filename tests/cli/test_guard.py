import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from freehold.cli import main
from freehold.guard.detectors.examples import sample

TOKEN = "ghp_" + sample(36)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FREEHOLD_HOME", str(tmp_path))
    monkeypatch.delenv("FREEHOLD_CONFIG", raising=False)
    return tmp_path


def check(*arguments: str, given: str = "") -> Result:
    return CliRunner().invoke(main, ["guard", "check", *arguments], input=given)


def test_clean_text_is_allowed() -> None:
    result = check(given="good morning")
    assert (result.exit_code, result.output) == (0, "allow\n")


def test_a_token_is_named_and_not_shown() -> None:
    result = check(given=f"use {TOKEN}")
    assert result.exit_code == 1
    assert result.output.startswith("mask\n")
    assert "4-44  github-token" in result.output
    assert TOKEN not in result.output
    assert "\x1b" not in result.output


def test_a_file_is_read(home: Path) -> None:
    (home / "text").write_text(f"use {TOKEN}")
    assert check(str(home / "text")).exit_code == 1


def test_a_finding_in_shadow_is_listed_and_allowed() -> None:
    result = check("--json", given="write to ada@lovelace.org")
    answer = json.loads(result.output)
    assert result.exit_code == 1
    assert answer["verdict"] == "allow"
    assert [(f["rule"], f["mode"]) for f in answer["findings"]] == [("email", "shadow")]


def test_every_string_of_a_request_is_scanned_and_pointed_at() -> None:
    body = {"messages": [{"content": "hi"}, {"content": [{"text": f"x {TOKEN}"}]}], "a/b": {"~": TOKEN}}
    answer = json.loads(check("--request", "--json", given=json.dumps(body)).output)
    assert [f["pointer"] for f in answer["findings"]] == ["/messages/1/content/0/text", "/a~1b/~0"]


def test_a_request_that_is_not_json_cannot_be_used() -> None:
    result = check("--request", given="{nonsense")
    assert result.exit_code == 2
    assert "not JSON" in result.output


def test_lines_are_answered_in_order() -> None:
    rows = [{"id": 1, "text": "hello"}, {"id": "b", "text": f"use {TOKEN}"}]
    result = check("--jsonl", given="\n".join(map(json.dumps, rows)) + "\n")
    first, second = map(json.loads, result.output.splitlines())
    assert result.exit_code == 1
    assert first == {"id": 1, "verdict": "allow", "findings": []}
    assert (second["id"], second["verdict"]) == ("b", "mask")
    assert [(f["rule"], f["start"], f["end"]) for f in second["findings"]] == [("github-token", 4, 44)]


def test_lines_shared_by_processes_are_answered_as_by_one() -> None:
    rows = [{"id": n, "text": f"use {TOKEN}" if n % 7 == 0 else "hello"} for n in range(2500)]
    given = "\n".join(map(json.dumps, rows))
    alone, shared = check("--jsonl", given=given), check("--jsonl", "--jobs", "2", given=given)
    assert (shared.exit_code, shared.output) == (alone.exit_code, alone.output)
    assert [json.loads(line)["id"] for line in shared.output.splitlines()] == list(range(2500))


@pytest.mark.parametrize("line", ["{nonsense", "[]", '{"text": "x"}', '{"id": 7}', '{"id": 7, "text": 1}'])
def test_a_bad_line_is_answered_with_its_number_and_the_rest_go_on(line: str) -> None:
    good = json.dumps({"id": 1, "text": "hello"})
    result = check("--jsonl", given=f"{good}\n{line}\n{good}\n")
    answers = [json.loads(answer) for answer in result.output.splitlines()]
    assert result.exit_code == 2
    assert [a.get("verdict") for a in answers] == ["allow", None, "allow"]
    assert "line 2" in answers[1]["error"]


def test_a_kind_that_is_a_channel_says_how_the_text_is_written() -> None:
    row = {"id": 1, "text": json.dumps({"c": f"a\n{TOKEN}"}), "kind": "tool_arguments"}
    (answer,) = map(json.loads, check("--jsonl", given=json.dumps(row)).output.splitlines())
    assert [f["rule"] for f in answer["findings"]] == ["github-token"]


def test_the_configured_policy_is_asked(home: Path) -> None:
    (home / "freehold.toml").write_text('[guard.rules.email]\nmode = "enforce"\naction = "block"\n')
    result = check(given="write to ada@lovelace.org")
    assert result.output.startswith("block\n")


def test_an_unknown_rule_is_refused_with_the_names_close_to_it(home: Path) -> None:
    (home / "freehold.toml").write_text('[guard.rules.emial]\nmode = "enforce"\n')
    result = check(given="x")
    assert result.exit_code == 2
    assert "did you mean 'email'" in result.output


def test_a_file_that_is_not_there_is_said() -> None:
    result = check("/nowhere/at/all")
    assert result.exit_code == 2
    assert "cannot read /nowhere/at/all" in result.output


def test_one_request_and_many_lines_exclude_each_other() -> None:
    assert check("--request", "--jsonl", given="{}").exit_code == 2
