from dataclasses import replace

from freehold.provenance.model_audit.counts import name_mismatches, token_mismatches
from freehold.provenance.model_audit.sample import Replies, Sample
from tests.provenance.model_audit.talking import plan

PLAN = plan(3, max_tokens=10)


def _sample(*counts: int | None, **reply: int) -> Sample:
    answers = ("words of an answer",) * 4
    return Sample(
        replies={f"p{n}": Replies(answers=answers, input_tokens=count, **reply) for n, count in enumerate(counts)},  # type: ignore[arg-type]
        served=frozenset({("m-1", "fp_1")}),
    )


def test_a_template_that_adds_the_same_to_each_prompt_fits() -> None:
    assert token_mismatches(PLAN, _sample(10, 20, 30), _sample(17, 27, 37), is_same_service=False) == []


def test_the_same_service_may_not_change_its_template_unseen() -> None:
    (found,) = token_mismatches(PLAN, _sample(10, 20, 30), _sample(17, 27, 37), is_same_service=True)
    assert found.kind == "input_tokens"
    assert "7 input tokens more than before" in found.words


def test_another_tokenizer_does_not_fit() -> None:
    (found,) = token_mismatches(PLAN, _sample(10, 20, 30), _sample(15, 25, 41), is_same_service=False)
    assert found.kind == "input_tokens"
    assert "1 of 3 prompts" in found.words
    assert "p2 has 41, 35 would fit" in found.words


def test_counts_that_nobody_told_say_nothing() -> None:
    assert token_mismatches(PLAN, _sample(None, 20, None), _sample(1, 20, 3), is_same_service=True) == []


def test_more_output_than_was_allowed_does_not_fit() -> None:
    now = _sample(10, 20, 30, output_tokens=41)
    (found,) = token_mismatches(PLAN, _sample(10, 20, 30), now, is_same_service=False)
    assert "41 output tokens were counted for p0, 40 were allowed" in found.words


def test_output_is_recounted_by_the_references_tokenizer() -> None:
    before = _sample(10, 20, 30)
    told = replace(before, replies={"p0": replace(before.replies["p0"], output_tokens=38, recounted_tokens=34)})
    assert token_mismatches(PLAN, before, told, is_same_service=False) == []
    padded = replace(before, replies={"p0": replace(before.replies["p0"], output_tokens=38, recounted_tokens=12)})
    (found,) = token_mismatches(PLAN, before, padded, is_same_service=False)
    assert found.kind == "output_tokens"


def test_new_names_are_told_and_old_ones_that_are_gone_are_not() -> None:
    before = Sample(replies={}, served=frozenset({("m-1", "fp_1"), ("m-1", "fp_2")}))
    assert name_mismatches(before, Sample(replies={}, served=frozenset({("m-1", "fp_2")}))) == []
    found = name_mismatches(before, Sample(replies={}, served=frozenset({("m-2", "fp_3")})))
    assert [one.kind for one in found] == ["model_name", "fingerprint"]
    assert "'fp_3', and was 'fp_1', 'fp_2'" in found[1].words


def test_a_side_that_never_told_its_fingerprint_has_not_changed_it() -> None:
    before = Sample(replies={}, served=frozenset({("m-1", None)}))
    assert name_mismatches(before, Sample(replies={}, served=frozenset({("m-1", "fp_1")}))) == []
