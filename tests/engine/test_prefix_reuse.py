"""Pages of earlier sequences that later ones begin with: the same answers, fewer tokens computed, nothing shared over scopes."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import DeviceError, InternalError, VerificationError
from freehold.core.exchange import Message, Sampling
from freehold.engine.config import EngineConfig, PrefixReuse
from freehold.engine.frames import Submit
from freehold.engine.kv_cache import PAGE_POSITIONS, KvCache
from freehold.engine.models.llama import Batch
from freehold.engine.runtime import Runtime
from freehold.engine.sampler import Floats
from freehold.engine.sequence import Failed, Grown
from tests.engine.models_on_disk import verified_model
from tests.engine.scheduler_bench import Bench, alone, prompt
from tests.fakes.tiny_gguf import tiny_gguf

SHARED = prompt(7, 150)  # two whole pages and 22 tokens


def computed(bench: Bench) -> int:
    return sum(len(batch.tokens) for batch in bench.model.batches)


def asked(bench: Bench, number: int, tokens: list[int], scope: str | None = "a", **changes: Any) -> str:
    bench.submit(number, tokens, scope=scope, **changes)
    bench.run()
    return bench.texts[number]


def test_the_second_of_two_equal_prompts_computes_only_its_last_page() -> None:
    bench = Bench(max_drafts=0)
    first = asked(bench, 1, SHARED, seed=5, max_tokens=4)
    before = computed(bench)
    assert asked(bench, 2, SHARED, seed=5, max_tokens=4) == first
    assert computed(bench) - before == 150 - 128 + 3
    assert (bench.finished(1).cached_tokens, bench.finished(2).cached_tokens) == (0, 128)
    assert bench.scheduler.stats().cached_tokens == 128


def test_a_conversation_goes_on_from_its_last_answer() -> None:
    bench = Bench()
    bench.submit(1, SHARED, scope="a", max_tokens=60)
    sequence = bench.scheduler._waiting[0]
    bench.run()
    asked(bench, 2, [*sequence.tokens[:205], 9, 9], max_tokens=1)
    assert bench.finished(2).cached_tokens == 192


def test_a_prompt_of_whole_pages_still_computes_its_last_token() -> None:
    bench = Bench()
    asked(bench, 1, SHARED[:128], max_tokens=1)
    asked(bench, 2, SHARED[:128], max_tokens=1)
    assert bench.finished(2).cached_tokens == 64


@pytest.mark.parametrize("scope", ["b", None, "key a"])
def test_nothing_is_shared_with_others(scope: str | None) -> None:
    bench = Bench()
    asked(bench, 1, SHARED, scope="a")
    asked(bench, 2, SHARED, scope=scope)
    assert bench.finished(2).cached_tokens == 0


def test_a_page_is_found_only_after_the_same_beginning() -> None:
    bench = Bench()
    asked(bench, 1, SHARED)
    asked(bench, 2, [5, *SHARED[1:]])
    assert bench.finished(2).cached_tokens == 0
    assert bench.texts[2] != bench.texts[1]


def test_who_asks_the_same_at_the_same_time_waits_for_its_pages() -> None:
    bench = Bench(max_drafts=0)
    for number in range(4):
        bench.submit(number, SHARED, scope="a", max_tokens=2)
    bench.run()
    assert [bench.finished(number).cached_tokens for number in range(4)] == [0, 128, 128, 128]
    assert computed(bench) == 150 + 3 * 22 + 4


def test_one_who_waits_for_pages_runs_when_their_maker_is_gone() -> None:
    bench = Bench()
    bench.submit(1, SHARED, scope="a")
    bench.submit(2, SHARED, scope="a", seed=9)
    bench.step()
    bench.scheduler.cancel(1)
    bench.run()
    assert bench.finished(2).cached_tokens == 0
    assert bench.texts[2] == alone_with(SHARED, 9)


def alone_with(tokens: list[int], seed: int) -> str:
    return asked(Bench(), 1, tokens, scope=None, seed=seed)


def test_kept_pages_make_room_the_longest_idle_first() -> None:
    bench = Bench(pages=8)
    for number, start in enumerate((10, 20, 30)):
        asked(bench, number, prompt(start, 130), max_tokens=1)
    assert bench.cache.kept_pages == 6
    asked(bench, 3, prompt(40, 200), max_tokens=1)  # four pages: the two empty ones and those of the first prompt
    asked(bench, 4, prompt(30, 130), max_tokens=1)
    asked(bench, 5, prompt(10, 130), max_tokens=1)
    assert [bench.finished(number).cached_tokens for number in (3, 4, 5)] == [0, 128, 0]
    assert bench.cache.free_pages == 8


def test_what_a_failed_pass_wrote_is_never_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    bench.submit(1, SHARED, scope="a")
    for _ in range(3):
        bench.step()  # 96 tokens: one page is whole
    with monkeypatch.context() as patch:
        patch.setattr(bench.model, "step", fail)
        bench.step()
    failed = bench.ended[1]
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, VerificationError)
    asked(bench, 2, SHARED, seed=4)
    assert bench.finished(2).cached_tokens == 64
    assert bench.texts[2] == alone_with(SHARED, 4)


def fail(batch: Batch) -> Floats:
    raise VerificationError("a block is not the signed one")


@settings(max_examples=15)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(1, 200), st.integers(1, 30), st.integers(0, 4), st.booleans()),
        min_size=2,
        max_size=10,
    ),
    st.integers(6, 40),
)
def test_answers_do_not_depend_on_what_was_asked_before(requests: list[tuple[int, int, int, int, bool]], pages: int) -> None:
    bench = Bench(pages=pages, max_sequences=4, repeat_rate=0.8, queue_limit=32)
    cancelled = set()
    for number, (text, size, count, steps, is_cancelled) in enumerate(requests):
        bench.submit(number, prompt(text, 200)[:size], scope=f"{text % 2}", seed=text, max_tokens=count)
        for _ in range(steps):
            bench.step()
            check(bench.cache)
        if is_cancelled:
            bench.scheduler.cancel(number)
            cancelled.add(number)
    while bench.scheduler.stats().running or bench.scheduler.stats().waiting:
        bench.step()
        check(bench.cache)
    for number, (text, size, count, _, _) in enumerate(requests):
        if number in bench.ended or number not in cancelled:
            other = Bench(repeat_rate=0.8, max_drafts=0)
            other.submit(number, prompt(text, 200)[:size], seed=text, max_tokens=count)
            other.run()
            assert bench.texts.get(number, "") == other.texts.get(number, "")
    assert bench.cache.free_pages == pages


def check(cache: KvCache) -> None:
    """Every page is empty, or idle, or held as often as tables say."""
    held = Counter(
        int(page)
        for slot in range(cache.max_sequences)
        for page in cache.block_tables[slot, : cache.positions_held(slot) // PAGE_POSITIONS]
    )
    for slot in range(cache.max_sequences):
        table = cache.block_tables[slot, : cache.positions_held(slot) // PAGE_POSITIONS]
        assert len(set(table.tolist())) == len(table)
    assert len(held) + cache.free_pages == cache.pages
    for page, times in held.items():
        assert cache._holders[page] == times
        assert page not in cache._idle
        assert page not in cache._empty_pages
        assert times == 1 or page in cache._digests
    assert {page: digest for digest, page in cache._kept.items()} == cache._digests


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 300)), max_size=40))
def test_no_page_is_lost_or_freed_twice(acts: list[tuple[int, int]]) -> None:
    cache = KvCache(layers=1, kv_heads=1, head_dim=32, pages=6, max_sequences=3, max_pages_per_sequence=4)
    open_: list[int] = []
    for act, value in acts:
        try:
            if act == 0:
                open_.append(cache.open(cache.found([bytes([value % 3, i]) for i in range(value % 4)])))
            elif open_ and act == 1:
                cache.reserve(open_[value % len(open_)], value)
            elif open_ and act == 2:
                slot = open_[value % len(open_)]
                for number in range(cache.positions_held(slot) // PAGE_POSITIONS):
                    cache.keep(slot, number, bytes([value % 3, number]))
            elif open_:
                cache.free(open_.pop(value % len(open_)))
        except DeviceError:
            pass
        check(cache)
    for slot in open_:
        cache.free(slot)
    assert cache.free_pages == 6


def test_only_kept_pages_can_be_begun_with() -> None:
    cache = KvCache(layers=1, kv_heads=1, head_dim=32, pages=4, max_sequences=2, max_pages_per_sequence=4)
    with pytest.raises(InternalError, match="a page that is not kept cannot be shared"):
        cache.open([1])
    slot = cache.open()
    with pytest.raises(InternalError, match="has no page 0"):
        cache.keep(slot, 0, b"x")


def test_without_a_scope_answers_are_what_they_were() -> None:
    bench = Bench()
    bench.submit(1, prompt(1, 10))
    bench.run()
    assert bench.texts[1] == alone(1, 10)
    assert bench.cache.kept_pages == 0


@pytest.mark.parametrize(
    ("reuse", "groups"), [("off", []), ("key", [[0, 1], [2], [3]]), ("team", [[0, 1, 2], [3]]), ("all", [[0, 1, 2, 3]])]
)
def test_who_shares_is_set(reuse: PrefixReuse, groups: list[list[int]], tmp_path: Path) -> None:
    askers = [("k1", "t"), ("k1", "t"), ("k2", "t"), ("k3", None)]
    made = Runtime(verified_model(tmp_path, tiny_gguf()), EngineConfig(threads=1, prefix_reuse=reuse), lambda *_: None)
    message = Message(role="user", text="hi")
    scopes = [
        made.prompts.request(
            Submit(request=i, messages=(message,), tools=(), sampling=Sampling(), seed=1, key=key, team=team)
        ).scope
        for i, (key, team) in enumerate(askers)
    ]
    made.model.close()
    found: dict[str, list[int]] = {}
    for i, scope in enumerate(scopes):
        if scope is not None:
            found.setdefault(scope, []).append(i)
    assert list(found.values()) == groups


def test_answers_of_a_real_model_are_the_same_from_shared_pages_and_with_drafts(tmp_path: Path) -> None:
    model = verified_model(tmp_path, tiny_gguf())
    text = "the same words again and again, " * 3
    found = []
    for changes in ({"prefix_reuse": "off", "speculation_tokens": 0}, {}, {"speculation_tokens": 3}):
        made = Runtime(model, EngineConfig(**({"threads": 1, "context_tokens": 256} | changes)), lambda *_: None)
        for request in range(3):
            sampling = Sampling(max_tokens=40, temperature=1.0 if request else 0.0)
            one = Submit(
                request=request, messages=(Message(role="user", text=text),), tools=(), sampling=sampling, seed=3, key="k"
            )
            made.scheduler.submit(made.prompts.request(one))
        texts = {0: "", 1: "", 2: ""}
        while made.scheduler.stats().running or made.scheduler.stats().waiting:
            for output in made.scheduler.step():
                if isinstance(output, Grown):
                    texts[output.request] += output.piece.text
        found.append(texts)
        assert (made.scheduler.stats().cached_tokens > 0) == (not changes or "prefix_reuse" not in changes)
        made.model.close()
    assert found[1] == found[2] == found[0]
