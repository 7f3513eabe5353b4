"""Audits of our own engine with the embedded model: as it is, with weights rounded anew, and hotter than asked.

How often each is found is measured by `python -m bench --only audit`; here the way from the weights to the p-value is tried.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from freehold.gateway.prices import PriceList
from freehold.model_audits.collect import Collector, Pace
from freehold.model_audits.spending import Ceiling, Spending
from freehold.provenance.model_audit.comparison import compare
from freehold.provenance.model_audit.prompts import shipped
from freehold.provenance.model_audit.sample import AuditPlan, Sample
from tests.engine.embedded_model import embedded_model
from tests.fakes.engine_upstream import EngineUpstream
from tests.fakes.requantised import q4_0, rewrite

pytestmark = pytest.mark.model
TOKENS = AuditPlan(prompts=shipped()[:4], draws=2, tests=("logprobs",), permutations=999)
ANSWERS = AuditPlan(prompts=shipped()[:3], samples=6, max_tokens=8, temperature=0.1, tests=("mmd",), permutations=999)


async def _sample(upstream: EngineUpstream, asked: AuditPlan) -> Sample:
    spending = Spending(Ceiling(), PriceList(()), "small", "engine")
    return await Collector(upstream, "small", asked, spending, Pace(concurrency=1)).collect()


@pytest.fixture(scope="module")
def true() -> Iterator[EngineUpstream]:
    upstream = EngineUpstream(embedded_model())
    yield upstream
    upstream.stop()


async def test_the_true_model_moves_no_log_probability_and_one_that_was_rounded_anew_does(
    true: EngineUpstream, tmp_path: Path
) -> None:
    once, again = [await _sample(true, TOKENS) for _ in range(2)]
    same = compare(TOKENS, once, again)
    assert (same.outcomes[0].p, same.outcomes[0].effect) == (1.0, 0.0)
    rewrite(embedded_model(), tmp_path / "q4.gguf", q4_0, lambda name: name.startswith("blk.0."))
    rounded = EngineUpstream(tmp_path / "q4.gguf")
    other = compare(TOKENS, once, await _sample(rounded, TOKENS))
    rounded.stop()
    assert [outcome.test for outcome in other.rejected] == ["logprobs"]
    assert other.mismatches == ()  # its tokenizer is the same


async def test_a_model_that_is_much_hotter_than_asked_is_found_by_its_answers(true: EngineUpstream) -> None:
    cool, hot = await _sample(true, ANSWERS), await _sample(true, replace(ANSWERS, temperature=1.8))
    assert compare(ANSWERS, cool, hot, tell_power=False).differs
