from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import DeviceError, UnsupportedArtefact
from freehold.core.exchange import Message, Sampling
from freehold.engine.config import EngineConfig
from freehold.engine.draft import DraftModel, check_vocabulary
from freehold.engine.frames import Submit
from freehold.engine.gguf import read_header
from freehold.engine.kv_cache import KvCache
from freehold.engine.models.llama import Batch
from freehold.engine.runtime import Runtime
from freehold.engine.sequence import Failed, Grown
from freehold.engine.tokenizer import read_tokenizer
from tests.engine.models_on_disk import verified_model
from tests.engine.scheduler_bench import TOKENIZER, Bench, prompt
from tests.fakes.history_model import HistoryModel
from tests.fakes.tiny_gguf import BytesPrefix, tiny_gguf, tiny_metadata


class Small(HistoryModel):
    """As the large model, but every `wrong`-th of its logits rows is another."""

    def __init__(self, cache: KvCache, *, wrong: int = 0) -> None:
        super().__init__(cache, TOKENIZER.vocabulary, ends=TOKENIZER.end_ids)
        self._wrong, self._rows = wrong, 0

    def logits(self, past: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
        self._rows += 1
        found = super().logits(past)
        return -found if self._wrong and self._rows % self._wrong == 0 else found


class Pair:
    """A bench and the draft model beside it. A small pass takes `share` of a large one."""

    def __init__(self, *, wrong: int = 0, share: float = 0.1, pages: int = 40, sequences: int = 8, **limits: Any) -> None:
        self.cache = KvCache(1, 1, 32, pages, sequences, 5)
        self.small = Small(self.cache, wrong=wrong)
        self.now_s, self._share = 0.0, share
        self.draft = DraftModel(self.small, self.cache, TOKENIZER.vocabulary, TOKENIZER.end_ids, self.clock)
        self.bench = Bench(draft_model=self.draft, **limits)

    def clock(self) -> float:
        self.now_s += 0.25 * self._share
        return self.now_s


def answers(bench: Bench, requests: int = 3, **changes: Any) -> dict[int, Any]:
    for number in range(requests):
        bench.submit(number, prompt(number, 30 + number), **{"temperature": 0.0, "max_tokens": 60} | changes)
    bench.run()
    assert bench.cache.free_pages == bench.cache.pages
    return {number: (bench.texts.get(number), bench.finished(number).output_tokens) for number in range(requests)}


def test_right_drafts_take_fewer_passes() -> None:
    plain, pair = Bench(max_drafts=0), Pair()
    assert answers(pair.bench, 1) == answers(plain, 1)
    assert len(pair.bench.model.batches) * 2 < len(plain.model.batches)
    assert pair.bench.scheduler.stats().draft_model_s > 0
    assert pair.cache.free_pages == pair.cache.pages
    assert pair.cache.free_sequences == 8


def test_wrong_drafts_are_soon_not_asked_for() -> None:
    pair = Pair(wrong=1)
    assert answers(pair.bench, 1, max_tokens=200) == answers(Bench(max_drafts=0), 1, max_tokens=200)
    assert len(pair.small.batches) < 40
    assert pair.bench.scheduler.stats().drafted_tokens < 20


def test_a_small_model_that_is_as_slow_is_not_asked() -> None:
    pair = Pair(share=1.0)
    answers(pair.bench, 1, max_tokens=200)
    assert len(pair.small.batches) < 10


@settings(max_examples=12)
@given(st.integers(0, 6), st.integers(3, 30), st.integers(1, 4), st.integers(8, 40), st.booleans())
def test_answers_are_the_same_whatever_is_drafted(wrong: int, own_pages: int, sequences: int, pages: int, greedy: bool) -> None:
    """With places and pages of both models running out."""
    pair = Pair(wrong=wrong, pages=own_pages, sequences=sequences)
    bench = Bench(pages=pages, draft_model=pair.draft)
    changes = {"temperature": 0.0 if greedy else 1.0, "max_tokens": 50}
    assert answers(bench, 5, **changes) == answers(Bench(max_drafts=0), 5, **changes)
    assert bench.scheduler._draft_model is pair.draft  # it has not failed
    assert pair.cache.free_pages == own_pages
    assert pair.cache.free_sequences == sequences


def test_a_draft_model_that_fails_is_left_out_and_answers_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair()

    def fail(batch: Batch) -> npt.NDArray[np.float32]:
        raise DeviceError("no memory")

    monkeypatch.setattr(pair.small, "step", fail)
    assert answers(pair.bench, 2) == answers(Bench(max_drafts=0), 2)


def test_a_real_draft_model_changes_no_answer(tmp_path: Path) -> None:
    """Of another depth than the model's, or the model itself, whose drafts are mostly right; then both keep within the memory."""
    for part in ("large", "small"):
        (tmp_path / part).mkdir()
    large = verified_model(tmp_path / "large", tiny_gguf())
    small = verified_model(tmp_path / "small", tiny_gguf(seed=3, **{"llama.block_count": 1}))
    found = []
    for draft in (None, small, large):
        made = Runtime(large, EngineConfig(threads=1, context_tokens=256, kv_memory_mb=8), lambda *_: None, draft=draft)
        for request in range(3):
            message = Message(role="user", text="hello world " * (1 + request))
            sampling = Sampling(max_tokens=30, temperature=0.0 if request else 1.0)
            asked = Submit(request=request, messages=(message,), tools=(), sampling=sampling, seed=request)
            made.scheduler.submit(*made.prompts.requests(asked))
        texts: dict[int, str] = {}
        while made.scheduler.stats().running or made.scheduler.stats().waiting:
            for output in made.scheduler.step():
                assert not isinstance(output, Failed)
                if isinstance(output, Grown):
                    texts[output.request] = texts.get(output.request, "") + output.piece.text
        assert (made.scheduler.stats().draft_model_s > 0) == (draft is not None)
        found.append(texts)
        made.close()
    assert found[0] == found[1] == found[2]


def test_a_draft_model_that_does_not_fit_is_refused_with_the_numbers(tmp_path: Path) -> None:
    model = verified_model(tmp_path, tiny_gguf())
    with pytest.raises(DeviceError):
        Runtime(model, EngineConfig(threads=1, ram_mb=1), lambda *_: None, draft=model)


def test_models_of_one_vocabulary_go_together() -> None:
    check_vocabulary(TOKENIZER, TOKENIZER, "tiny")
    tokens = tiny_metadata()["tokenizer.ggml.tokens"]
    for changed, words in (
        ([*tokens[:5], "other", *tokens[6:]], "token 5 is"),
        ([*tokens, *(f"more {i}" for i in range(2000))], "264 tokens"),
    ):
        kinds = [3] * 3 + [1] * (len(changed) - 3)
        facts: dict[str, Any] = {"tokens": changed, "token_type": kinds, "merges": ["h e"]}
        other = tiny_gguf(**{f"tokenizer.ggml.{name}": value for name, value in facts.items()})
        small = read_tokenizer(read_header(BytesPrefix(other), "other").metadata, "other")
        with pytest.raises(UnsupportedArtefact, match=f"small cannot draft for this model: .*{words}"):
            check_vocabulary(small, TOKENIZER, "small")
