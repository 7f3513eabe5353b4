import gzip
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from freehold.cli import main
from freehold.guard.detectors.examples import sample
from freehold.guard.examine import Examination, Examiner

TOKEN = "ghp_" + sample(36)


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


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_a_text_in_utf_16_is_read_by_its_mark(home: Path, encoding: str) -> None:
    (home / "text").write_bytes(("\ufeff" if encoding == "utf-16-be" else "").encode(encoding) + f"use {TOKEN}".encode(encoding))
    assert "github-token" in check(str(home / "text")).output
    assert "github-token" in check("--tool-result", str(home / "text")).output


def test_a_file_that_is_no_text_is_not_allowed_unseen(home: Path) -> None:
    packed = gzip.compress(TOKEN.encode())
    for data in (packed, packed.replace(b"\0", b"")):
        (home / "packed").write_bytes(data)
        result = check(str(home / "packed"))
        assert result.exit_code == 1
        assert "unscanned-file" in result.output


def test_a_text_in_an_old_encoding_is_scanned(home: Path) -> None:
    (home / "text").write_bytes(f"café {TOKEN}".encode("latin-1"))
    assert "github-token" in check(str(home / "text")).output


@pytest.mark.parametrize("flag", ["--code", "--tool-result"])
def test_code_and_results_that_are_no_text_cannot_be_used(home: Path, flag: str) -> None:
    (home / "packed").write_bytes("rm -rf /".encode("utf-16-le"))
    result = check(flag, str(home / "packed"))
    assert result.exit_code == 2
    assert "no text" in result.output


def test_a_command_and_a_file_are_two_things() -> None:
    result = check("--shell", "ls", "notes.txt")
    assert result.exit_code == 2
    assert "so is notes.txt" in result.output


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


@pytest.mark.parametrize("line", ["{nonsense", "[]", '{"id": 7}', '{"id": 7, "text": 1}'])
def test_a_bad_line_is_answered_with_its_number_and_the_rest_go_on(line: str) -> None:
    good = json.dumps({"id": 1, "text": "hello"})
    result = check("--jsonl", given=f"{good}\n{line}\n{good}\n")
    answers = [json.loads(answer) for answer in result.output.splitlines()]
    assert result.exit_code == 2
    assert [a.get("verdict") for a in answers] == ["allow", None, "allow"]
    assert "line 2" in answers[1]["error"]


def test_a_line_without_an_id_is_answered_with_its_number() -> None:
    given = "\n".join(json.dumps(row) for row in ({"text": "hello"}, {"id": "x", "text": "hello"}, {"text": f"use {TOKEN}"}))
    assert [json.loads(line)["id"] for line in check("--jsonl", given=given).output.splitlines()] == [1, "x", 3]


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


WIPE = "rm -rf /"
SQL = 'def find(cursor, name):\n    return cursor.execute("SELECT * FROM users WHERE name = \'" + name + "\'")\n'
CALL = {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": WIPE}}


def test_a_command_is_explained_by_what_it_does() -> None:
    result = check("--shell", WIPE)
    assert result.exit_code == 1
    assert result.output.startswith("block\n")
    assert "delete whole tree" in result.output
    assert "preset developer" in result.output


def test_a_harmless_command_is_explained_too_and_allowed() -> None:
    result = check("--shell", "cat README.md")
    assert result.exit_code == 0
    assert result.output.startswith("allow\n")
    assert "read workspace README.md" in result.output


def test_a_preset_judges_effects() -> None:
    assert check("--shell", "kill 4711").output.startswith("allow\n")
    assert check("--shell", "kill 4711", "--preset", "production").output.startswith("ask\n")
    assert check("--shell", WIPE, "--preset", "observe").output.startswith("tag\n")


def test_the_language_of_a_command_may_be_said() -> None:
    answer = json.loads(check("--shell", "Remove-Item -Recurse -Force C:\\", "--lang", "ps1", "--json").output)
    assert (answer["language"], answer["verdict"]) in (("powershell", "ask"), ("powershell", "block"))
    result = check("--shell", "x", "--lang", "klingon")
    assert result.exit_code == 2
    assert "there is no language 'klingon'" in result.output


def test_what_a_command_touches_is_told_to_who_asked_and_obeyed_by_no_terminal() -> None:
    answer = json.loads(check("--shell", "rm -rf /srv/old", "--json").output)
    assert [effect["target"] for effect in answer["effects"]] == ["/srv/old"]
    assert "\x1b" not in check("--shell", "rm -rf $'/srv/a\\e[2Jb'").output


def test_weaknesses_of_a_file_are_told_with_what_to_do(home: Path) -> None:
    (home / "app.py").write_text(SQL)
    result = check("--code", str(home / "app.py"))
    assert result.exit_code == 1
    assert result.output.startswith("tag\n")
    assert "CWE-89" in result.output
    (weakness,) = json.loads(check("--code", str(home / "app.py"), "--json").output)["weaknesses"]
    assert (weakness["cwe"], weakness["line"]) == (89, 2)


def test_code_that_is_going_to_be_run_is_judged_by_what_it_does(home: Path) -> None:
    (home / "wipe.py").write_text('import shutil\nshutil.rmtree("/etc")\n')
    assert check("--code", str(home / "wipe.py")).output.startswith("allow\n")
    assert not check("--code", str(home / "wipe.py"), "--run").output.startswith("allow\n")


def test_code_in_no_language_that_can_be_told_is_not_called_clean() -> None:
    result = check("--code", given="so it goes")
    assert result.exit_code == 2
    assert "--lang" in result.output


def test_a_tool_call_is_judged_in_any_dialect(home: Path) -> None:
    (home / "call.json").write_text(json.dumps(CALL))
    result = check("--tool-call", str(home / "call.json"))
    assert result.exit_code == 1
    assert result.output.startswith("block\n")
    arguments = json.dumps({"command": WIPE})
    assert check("--tool-call", "--tool", "Bash", given=arguments).output.startswith("block\n")
    assert check("--tool-call", given="{").exit_code == 2
    deep = arguments.replace("}", f', "odd": {"[" * 300}{"]" * 300}}}')
    assert check("--tool-call", "--tool", "Bash", given=deep).output.startswith("block\n")


def test_lines_are_answered_by_their_kind() -> None:
    rows = [
        {"id": "shell", "kind": "shell", "text": WIPE},
        {"id": "lang", "kind": "shell", "text": "Remove-Item -Recurse -Force C:\\", "lang": "powershell"},
        {"id": "code", "kind": "code", "text": SQL, "name": "app.py"},
        {"id": "call", "kind": "tool_call", "text": json.dumps(CALL)},
        {"id": "arguments", "kind": "tool_call", "text": json.dumps({"command": WIPE}), "tool": "Bash"},
        {"id": "text", "kind": "text", "text": "good morning"},
        {"id": "unknown", "kind": "letter", "text": f"use {TOKEN}"},
    ]
    result = check("--jsonl", given="\n".join(map(json.dumps, rows)))
    answers = {answer["id"]: answer for answer in map(json.loads, result.output.splitlines())}
    assert result.exit_code == 1
    assert {name: answer["verdict"] for name, answer in answers.items()} == {
        "shell": "block",
        "lang": answers["lang"]["verdict"],
        "code": "tag",
        "call": "block",
        "arguments": "block",
        "text": "allow",
        "unknown": "mask",
    }
    assert answers["lang"]["verdict"] in ("ask", "block")
    assert [name for name, answer in answers.items() if answer.get("scanned_as") == "text"] == ["unknown"], "a slip is seen"
    assert {effect["kind"] for effect in answers["shell"]["effects"]} == {"delete"}


def test_code_in_lines_is_judged_by_what_it_does_where_it_is_run() -> None:
    row = json.dumps({"id": 1, "kind": "code", "text": 'import shutil\nshutil.rmtree("/etc")\n', "lang": "python"})
    written, run = (json.loads(check("--jsonl", *more, given=row).output) for more in ([], ["--run"]))
    assert (written["verdict"], run["verdict"] in ("ask", "block")) == ("allow", True)


def test_a_row_at_which_a_judge_fails_is_never_allowed_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Examiner, text: str, languages: object = ()) -> Examination:
        raise RuntimeError(text)

    monkeypatch.setattr(Examiner, "shell", broken)
    rows = [{"id": 1, "kind": "shell", "text": "marmalade"}, {"id": 2, "kind": "text", "text": "hello"}]
    result = check("--jsonl", given="\n".join(map(json.dumps, rows)))
    first, second = map(json.loads, result.output.splitlines())
    assert (first["id"], first["verdict"], result.exit_code) == (1, "ask", 2)
    assert "marmalade" not in first["error"]
    assert second["verdict"] == "allow"


@pytest.mark.parametrize("first", ["--code", "--tool-call", "--tool-result", "--request"])
def test_one_thing_is_asked_about_at_a_time(first: str) -> None:
    assert check(first, "--shell", "ls", given="{}").exit_code == 2
    assert check(first, "--jsonl", given="{}").exit_code == 2


def test_a_tools_object_of_a_request_is_read_as_the_gateway_reads_it() -> None:
    call = {"type": "tool_use", "id": "t", "name": "login", "input": {"password": "Tr0ub4dor&3xyz", "card": 4111111111111111}}
    body = {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": [call]}]}
    answer = json.loads(check("--request", "--json", given=json.dumps(body)).output)
    found = {f["pointer"].rpartition("/")[2]: f["rule"] for f in answer["findings"]}
    assert found == {"password": "password-quoted", "card": "payment-card"}
