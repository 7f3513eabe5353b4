"""`freehold audit-model` with upstreams of toys: exit codes, what is told, what is kept."""

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from freehold.cli import main
from freehold.core.errors import UpstreamRejected
from freehold.model_audits import sides
from tests.model_audits.toy import ToyUpstream

CONFIG = """
[[upstreams]]
name = "far"
url = "http://127.0.0.1:9/v1"
models = ["toy-1"]

[[upstreams]]
name = "other"
url = "http://127.0.0.1:9/v1"
models = ["toy-1", "toy-2"]

[[prices]]
model = "toy-1"
input_usd = 1.0
output_usd = 2.0
upstreams = ["far"]
"""
SMALL = ("--plan", "quick", "--prompt-count", "4", "--max-tokens", "8", "--yes")
OTHER = ("--reference", "other", "--reference-model", "toy-1")


@pytest.fixture
def far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ToyUpstream:
    """The upstream that is audited; `other` is the same model with other luck."""
    upstreams = {"far": ToyUpstream(name="far", seed=1), "other": ToyUpstream(name="other", seed=2)}
    monkeypatch.setattr(sides, "make_upstream", lambda settings, _folder: upstreams[settings.name])
    (tmp_path / "freehold.toml").write_text(CONFIG)
    return upstreams["far"]


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["audit-model", *words])


def test_equal_models_are_not_told_apart_and_the_result_says_what_would_have_been(far: ToyUpstream) -> None:
    result = run("far", *OTHER, *SMALL)
    assert result.exit_code == 0, result.output
    assert "no difference found; smaller changes than those above may be there" in result.stdout
    assert "any move" in result.stdout
    assert "toy-1 of upstream far" in result.stderr
    assert "runs here" not in result.stderr
    assert "unknown: no price is set" in result.stderr  # of the other one


def test_another_model_differs_and_nobody_is_accused(far: ToyUpstream) -> None:
    far.weights = 2
    result = run("far", *OTHER, *SMALL)
    assert result.exit_code == 1, result.output
    assert "the distribution differs (false alarm at most 5%)" in result.stdout
    assert "another temperature or other sampling settings" in result.stdout
    assert "swapped" not in result.output


def test_the_result_as_json_has_all_that_the_table_tells(far: ToyUpstream) -> None:
    far.weights = 2
    result = run("far", *OTHER, *SMALL, "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert found["differs"] is True
    assert {test["test"] for test in found["tests"]} == {"logprobs", "mmd", "ranks"}
    assert all(0 < test["p"] <= test["adjusted_p"] <= 1 for test in found["tests"])
    assert found["spent"]["requests"] == len(far.exchanges)
    assert found["spent"]["usd"] > 0
    assert len(found["rival_causes"]) >= 4


def test_a_kept_baseline_is_asked_again_as_it_was_taken(far: ToyUpstream, tmp_path: Path) -> None:
    path = tmp_path / "far.json"
    assert run("far", "--save-baseline", str(path), *SMALL).exit_code == 0
    assert path.stat().st_mode & 0o777 == 0o600
    again = run("far", "--reference", str(path), "--yes")
    assert again.exit_code == 0, again.output
    asked = {exchange.messages[-1].text for exchange in far.exchanges}
    assert len(asked) == 4
    refused = run("far", "--reference", str(path), "--samples", "3", "--yes")
    assert (refused.exit_code, "leave samples out" in refused.stderr) == (2, True)


def test_a_baseline_may_have_more_answers_than_are_asked_again(far: ToyUpstream, tmp_path: Path) -> None:
    path = tmp_path / "far.json"
    assert run("far", "--save-baseline", str(path), "--reference-samples", "30", *SMALL).exit_code == 0
    kept = json.loads(path.read_text())["replies"].values()
    assert {(len(reply["answers"]), len(reply["first"])) for reply in kept} == {(30, 9)}
    before = len(far.exchanges)
    assert run("far", "--reference", str(path), "--yes").exit_code == 0
    assert len(far.exchanges) - before == 1 + 4 * (3 + 2)


def test_a_changed_fingerprint_and_counts_that_do_not_fit_are_told(far: ToyUpstream, tmp_path: Path) -> None:
    path = tmp_path / "far.json"
    run("far", "--save-baseline", str(path), *SMALL)
    far.fingerprint, far.extra_tokens = "fp_2", 9
    result = run("far", "--reference", str(path), "--yes")
    assert result.exit_code == 1
    assert "does not fit: its system_fingerprint is 'fp_2', and was 'fp_1'" in result.stdout
    assert "every prompt has 4 input tokens more than before" in result.stdout
    assert "what it says of itself does not fit" in result.stdout


def test_nothing_is_asked_before_somebody_agrees(far: ToyUpstream) -> None:
    result = run("far", *OTHER, *SMALL[:-1])
    assert result.exit_code == 2
    assert "say --yes" in result.stderr
    assert far.exchanges == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("far",), "--reference"),
        (("nobody", "--reference", "other"), "no upstream in the configuration (there are: far, other)"),
        (("other", "--reference", "far"), "say which model is meant; it has toy-1, toy-2"),
        (("far", "--reference", "none.json"), "no file, and no model on this machine"),
        (("far", "--reference", "other", "--reference-model", "toy-1", "--prompts", "none.toml"), "cannot read the prompts"),
        (("far", "--reference", "other", "--reference-model", "toy-1", "--prompts", sys.executable), "are no UTF-8 text"),
        (("far", "--save-baseline", "absent/far.json"), "there is no folder absent"),
        (("far", "--save-baseline", "."), "it is a folder"),
        (("other", "--model", "toy-2", "--reference", "far", "--max-usd", "1"), "add a [[prices]] entry"),
    ],
)
def test_what_cannot_be_asked_says_what_to_do(far: ToyUpstream, words: tuple[str, ...], said: str) -> None:
    result = run(*words, "--yes")
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert far.exchanges == []


def test_a_file_that_is_no_baseline_is_refused(far: ToyUpstream, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text('{"format": "something"}')
    result = run("far", "--reference", str(tmp_path / "bad.json"), "--yes")
    assert (result.exit_code, "no baseline of a model" in result.stderr) == (2, True)


def test_an_upstream_that_fails_is_no_difference(far: ToyUpstream) -> None:
    far.fails = [UpstreamRejected("no such account", status=403)]
    result = run("far", *OTHER, *SMALL)
    assert (result.exit_code, "no such account" in result.stderr) == (2, True)


def test_a_test_that_cannot_be_held_is_no_difference(far: ToyUpstream) -> None:
    far.tells_logprobs = False
    result = run("far", *OTHER, *SMALL, "--test", "logprobs")
    assert result.exit_code == 2
    assert "no test could be held: the upstream tells no log-probabilities (logprobs are not supported)" in result.stderr


def test_a_limit_ends_it(far: ToyUpstream) -> None:
    result = run("far", *OTHER, *SMALL, "--max-requests", "3")
    assert (result.exit_code, len(far.exchanges)) == (2, 3)
    assert "limit of 3 requests" in result.stderr
