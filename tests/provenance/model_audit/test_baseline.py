from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import MalformedArtefact
from freehold.provenance.model_audit.baseline import Baseline, decode, encode, plan_digest
from freehold.provenance.model_audit.sample import Replies, Sample
from tests.provenance.model_audit.talking import plan

PLAN = plan(1, tests=("logprobs", "mmd"))
_numbers = st.floats(-1000, 0)
_replies = st.builds(
    Replies,
    answers=st.lists(st.text(), max_size=3).map(tuple),
    first=st.lists(st.dictionaries(st.text("0123456789abcdef", min_size=2, max_size=4), _numbers, max_size=3), max_size=3).map(
        tuple
    ),
    input_tokens=st.none() | st.integers(0, 1000),
    output_tokens=st.none() | st.integers(0, 1000),
)


def _baseline(reply: Replies) -> Baseline:
    sample = Sample(replies={"p0": reply}, served=frozenset({("m-1", None), ("m-1", "fp_1")}))
    return Baseline(upstream="far", model="m", taken_at_s=1_800_000_000, plan=PLAN, sample=sample)


@given(_replies)
def test_what_is_written_is_read_again(reply: Replies) -> None:
    assert decode(encode(_baseline(reply))) == _baseline(reply)


@given(st.binary(max_size=300))
def test_bytes_that_are_no_baseline_are_refused_as_such(raw: bytes) -> None:
    with pytest.raises(MalformedArtefact):
        decode(raw)


@settings(max_examples=40)
@given(st.sampled_from(["format", "plan", "replies"]), st.recursive(st.none() | st.integers() | st.text(), st.lists))
def test_a_field_of_another_kind_is_refused(name: str, value: object) -> None:
    document = msgspec.json.decode(encode(_baseline(Replies())))
    with pytest.raises(MalformedArtefact):
        decode(msgspec.json.encode(document | {name: value}))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"samples": 0}, "samples is 0"),
        ({"tests": ["telepathy"]}, "one test of"),
        ({"prompts": []}, "at least one prompt"),
        ({"permutations": 19, "alpha": 0.001}, "19 permutations"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused_and_says_why(change: dict[str, object], said: str) -> None:
    document = msgspec.json.decode(encode(_baseline(Replies())))
    document["plan"] |= change
    with pytest.raises(MalformedArtefact, match=said):
        decode(msgspec.json.encode(document))


def test_replies_to_other_prompts_are_refused() -> None:
    document = msgspec.json.decode(encode(_baseline(Replies())))
    document["replies"]["p9"] = document["replies"].pop("p0")
    with pytest.raises(MalformedArtefact, match="not those to its plan's prompts"):
        decode(msgspec.json.encode(document))


def test_a_plans_digest_changes_with_whatever_is_asked() -> None:
    digests = {plan_digest(one) for one in (PLAN, replace(PLAN, samples=9), replace(PLAN, temperature=0.5), plan(2))}
    assert len(digests) == 4
