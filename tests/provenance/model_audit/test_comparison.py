from dataclasses import replace

import pytest

from freehold.provenance.model_audit.comparison import CAUSES, compare
from freehold.provenance.model_audit.sample import Replies, Sample
from tests.provenance.model_audit.talking import Talker, plan

PLAN = plan(tests=("logprobs", "mmd", "ranks"), samples=12)


def _with_draws(sample: Sample, shift: float = 0.0) -> Sample:
    first = ({"aa": -0.5 + shift, "bb": -1.5},) * 3
    return replace(sample, replies={id_: replace(reply, first=first) for id_, reply in sample.replies.items()})


def test_equal_sides_are_not_told_apart_and_the_power_is_told() -> None:
    found = compare(PLAN, _with_draws(Talker().sample(PLAN, 1)), _with_draws(Talker().sample(PLAN, 2)))
    assert [one.test for one in found.outcomes] == ["logprobs", "mmd", "ranks"]
    assert not found.differs
    said = {one.test: one.found for one in found.outcomes}
    assert "of the answers replaced by unrelated ones" in (said["mmd"] or "")
    assert said["logprobs"] == "any move"


def test_another_model_is_found_by_its_answers() -> None:
    found = compare(PLAN, Talker().sample(PLAN, 1), Talker(weights=2).sample(PLAN, 2), tell_power=False)
    assert "mmd" in [one.test for one in found.rejected]
    assert found.skipped == {"logprobs": "the reference tells no log-probabilities"}


def test_a_move_of_log_probabilities_alone_is_found() -> None:
    found = compare(PLAN, _with_draws(Talker().sample(PLAN, 1)), _with_draws(Talker().sample(PLAN, 2), 0.01), tell_power=False)
    assert [one.test for one in found.rejected] == ["logprobs"]


def test_the_same_answers_give_the_same_result_and_another_run_other_permutations() -> None:
    one, other = Talker().sample(PLAN, 1), Talker().sample(PLAN, 2)
    assert compare(PLAN, one, other) == compare(PLAN, one, other)
    ps = [[outcome.p for outcome in compare(PLAN, one, other, run=run, tell_power=False).outcomes] for run in (0, 1)]
    assert ps[0] != ps[1]


def test_names_count_only_against_the_same_services_earlier_sample() -> None:
    before, now = Talker().sample(PLAN, 1), Talker().sample(PLAN, 2)
    before, now = replace(before, served=frozenset({("m", "a")})), replace(now, served=frozenset({("m", "b")}))
    assert not compare(PLAN, before, now, tell_power=False).differs
    (mismatch,) = compare(PLAN, before, now, is_same_service=True, tell_power=False).mismatches
    assert mismatch.kind == "fingerprint"


def test_a_side_that_said_nothing_cannot_be_compared() -> None:
    silent = Sample(replies={prompt.id: Replies() for prompt in PLAN.prompts})
    found = compare(PLAN, Talker().sample(PLAN, 1), silent)
    assert found.outcomes == ()
    assert set(found.skipped) == {"logprobs", "mmd", "ranks"}


def test_no_cause_that_is_named_accuses() -> None:
    assert not any(word in cause for cause in CAUSES for word in ("swap", "fraud", "cheat"))


@pytest.mark.parametrize(("samples", "least"), [(3, "no change"), (12, "%")])
def test_fewer_answers_find_less(samples: int, least: str) -> None:
    few = plan(5, samples=samples)
    found = compare(few, Talker().sample(few, 1), Talker().sample(few, 2)).outcomes[0].found
    assert found is not None
    assert least in found
