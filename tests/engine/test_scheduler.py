import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import InternalError, InvalidRequest, UpstreamUnavailable
from freehold.core.events import FinishReason
from freehold.engine.models.llama import Batch
from freehold.engine.sampler import Floats
from freehold.engine.sequence import Failed
from tests.engine.scheduler_bench import Bench, alone, prompt


def test_an_answer_has_its_tokens_and_its_counts() -> None:
    bench = Bench()
    bench.submit(1, prompt(1, 10), max_tokens=5)
    bench.run()
    found = bench.finished(1)
    assert (found.reason, found.input_tokens, found.output_tokens) == (FinishReason.LENGTH, 10, 5)
    assert bench.cache.free_pages == 40


def test_a_long_prompt_is_read_in_chunks() -> None:
    bench = Bench()
    bench.submit(1, prompt(1, 100), max_tokens=1)
    bench.run()
    assert [len(batch.tokens) for batch in bench.model.batches] == [32, 32, 32, 4]
    assert [int(batch.wants_logits.sum()) for batch in bench.model.batches] == [0, 0, 0, 1]


def test_a_step_takes_every_running_answer_and_a_chunk_beside() -> None:
    bench = Bench()
    for number in (1, 2, 3):
        bench.submit(number, prompt(number, 5))
    bench.step()
    bench.submit(4, prompt(4, 100))
    bench.step()
    assert len(bench.model.batches[-1].tokens) == 3 + 32


def test_a_short_prompt_does_not_wait_behind_a_long_one() -> None:
    bench = Bench()
    bench.submit(1, prompt(1, 200))
    bench.step()
    bench.submit(2, prompt(2, 10))
    bench.step()
    assert 2 in bench.texts
    assert 1 not in bench.texts


@settings(max_examples=15)
@given(
    st.lists(st.tuples(st.integers(1, 150), st.integers(1, 30), st.integers(0, 6)), min_size=2, max_size=8), st.integers(12, 40)
)
def test_answers_do_not_depend_on_batch_mates(requests: list[tuple[int, int, int]], pages: int) -> None:
    bench = Bench(pages=pages, max_sequences=4)
    for number, (size, count, steps_before) in enumerate(requests):
        for _ in range(steps_before):
            bench.step()
        bench.submit(number, prompt(number, size), max_tokens=count)
    bench.run()
    for number, (size, count, _) in enumerate(requests):
        assert bench.texts.get(number, "") == alone(number, size, max_tokens=count)
    assert bench.cache.free_pages == pages


def test_when_pages_run_out_the_youngest_gives_way_and_loses_nothing() -> None:
    bench = Bench(pages=5)
    for number in (1, 2):
        bench.submit(number, prompt(number, 60), max_tokens=150)
    bench.run()
    recomputed = sum(len(batch.tokens) for batch in bench.model.batches) - 2 * (60 + 149)
    assert recomputed > 0
    for number in (1, 2):
        assert bench.texts[number] == alone(number, 60, max_tokens=150)
        assert bench.finished(number).output_tokens == 150


def test_who_cannot_wait_has_the_passes_but_for_one_in_eight() -> None:
    bench = Bench(max_drafts=0)
    bench.submit(1, prompt(1, 10), max_tokens=100, can_wait=True)
    bench.step()
    bench.submit(2, prompt(2, 10), max_tokens=80)
    before = len(bench.model.batches)
    while 2 not in bench.ended:
        bench.step()
    passes = [set(batch.sequences.tolist()) for batch in bench.model.batches[before:]]
    assert len(passes) == 80
    assert sum(len(one) == 2 for one in passes) == 10
    bench.run()
    assert bench.texts[1] == alone(1, 10, max_tokens=100)
    assert bench.texts[2] == alone(2, 10, max_tokens=80)


def test_a_newcomer_takes_the_place_of_one_that_can_wait() -> None:
    for limits in ({"max_sequences": 2}, {"pages": 8}):  # by number, and by memory
        bench = Bench(**limits)  # type: ignore[arg-type]
        for number in (1, 2):
            bench.submit(number, prompt(number, 90), max_tokens=20, can_wait=True)
        for _ in range(9):
            bench.step()
        bench.submit(3, prompt(3, 90), max_tokens=3)
        while 3 not in bench.ended:
            bench.step()
        assert not {1, 2} & bench.ended.keys()
        bench.run()
        for number in (1, 2):
            assert bench.texts[number] == alone(number, 90, max_tokens=20)


def test_of_those_that_wait_for_admission_live_ones_go_first() -> None:
    bench = Bench(max_sequences=1)
    bench.submit(1, prompt(1, 5), max_tokens=3)
    bench.step()
    bench.submit(2, prompt(2, 5), max_tokens=3, can_wait=True)
    bench.submit(3, prompt(3, 5), max_tokens=3)
    bench.run()
    assert list(bench.ended) == [1, 3, 2]


@settings(max_examples=15)
@given(
    st.lists(st.tuples(st.integers(1, 150), st.integers(1, 30), st.integers(0, 6), st.booleans()), min_size=2, max_size=8),
    st.integers(12, 40),
)
def test_giving_way_changes_no_answer(requests: list[tuple[int, int, int, bool]], pages: int) -> None:
    bench = Bench(pages=pages, max_sequences=3)
    for number, (size, count, steps_before, can_wait) in enumerate(requests):
        for _ in range(steps_before):
            bench.step()
        bench.submit(number, prompt(number, size), max_tokens=count, can_wait=can_wait, scope="all")
    bench.run()
    for number, (size, count, _, _) in enumerate(requests):
        assert bench.texts.get(number, "") == alone(number, size, max_tokens=count)
    assert bench.cache.free_pages == pages


def test_the_context_ends_an_answer() -> None:
    bench = Bench()
    bench.submit(1, prompt(1, 250), max_tokens=None)
    bench.run()
    assert (bench.finished(1).reason, bench.finished(1).output_tokens) == (FinishReason.LENGTH, 6)


def test_a_prompt_that_does_not_fit_is_refused_with_the_numbers() -> None:
    with pytest.raises(InvalidRequest, match="the prompt has 256 tokens; the context of 256") as caught:
        Bench().submit(1, prompt(1, 256))
    assert caught.value.code == "context_length_exceeded"
    with pytest.raises(InvalidRequest, match="empty"):
        Bench().submit(1, [])


def test_the_end_token_ends_an_answer_and_is_not_text() -> None:
    bench = Bench(end_rate=0.2)
    bench.submit(1, prompt(1, 10), max_tokens=100)
    bench.run()
    assert bench.finished(1).reason is FinishReason.STOP
    assert bench.finished(1).output_tokens < 100
    assert "<|im_end|>" not in bench.texts.get(1, "")


def test_a_stop_string_ends_an_answer_and_is_not_sent() -> None:
    whole = alone(1, 10)
    stop = whole[5:8]
    bench = Bench()
    bench.submit(1, prompt(1, 10), stop=(stop,))
    bench.run()
    assert bench.finished(1).reason is FinishReason.STOP
    assert bench.texts[1] == whole[: whole.index(stop)]


def test_log_probabilities_join_to_the_text() -> None:
    bench = Bench()
    bench.submit(1, prompt(1, 10), top_logprobs=2)
    bench.run()
    pieces = bench.pieces[1]
    tokens = [token for piece in pieces for token in piece.logprobs]
    assert b"".join(token.token_bytes for token in tokens).decode(errors="replace") == "".join(piece.text for piece in pieces)
    assert all(len(token.top) == 2 and token.top[0][2] >= token.logprob - 1e-6 for token in tokens)


def test_too_many_waiting_are_turned_away() -> None:
    bench = Bench(queue_limit=2)
    bench.submit(1, [5])
    bench.submit(2, [5])
    with pytest.raises(UpstreamUnavailable, match="2 requests are waiting") as caught:
        bench.submit(3, [5])
    assert caught.value.retry_after_s


def test_cancelling_frees_at_once_wherever_the_request_is() -> None:
    bench = Bench(max_sequences=1)
    bench.submit(1, prompt(1, 10))
    bench.submit(2, prompt(2, 10))
    bench.step()
    bench.scheduler.cancel(1)
    bench.scheduler.cancel(2)
    bench.scheduler.cancel(99)
    bench.step()
    stats = bench.scheduler.stats()
    assert (stats.running, stats.waiting, stats.free_pages) == (0, 0, stats.pages)
    assert not bench.ended


def test_one_requests_failure_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    bench.submit(1, prompt(1, 10))
    bench.submit(2, prompt(2, 10))
    bench.step()
    broken = bench.scheduler._running[0]._sampler
    monkeypatch.setattr(broken, "choose", lambda *_: 1 / 0)
    bench.run()
    failed = bench.ended[1]
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, InternalError)
    assert bench.texts[2] == alone(2, 10)
    assert bench.cache.free_pages == 40


def test_a_failed_step_fails_its_requests_and_the_next_ones_run(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    bench.submit(1, prompt(1, 10))
    with monkeypatch.context() as patch:
        patch.setattr(bench.model, "step", lambda batch: 1 / 0)
        bench.step()
    assert isinstance(bench.ended[1], Failed)
    bench.submit(2, prompt(2, 10))
    bench.run()
    assert bench.texts[2] == alone(2, 10)


def test_the_work_of_all_adds_up_to_the_compute_time() -> None:
    bench = Bench()
    for number in range(5):
        bench.submit(number, prompt(number, 20 + number))
    bench.run()
    charged = sum(bench.finished(number).worked.compute_s for number in range(5))
    assert charged == pytest.approx(bench.scheduler.stats().busy_s * 2)
    assert all(bench.finished(number).worked.prefill_s > 0 for number in range(5))


def test_the_age_of_a_step_is_known_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    bench.submit(1, [5])
    ages: list[float] = []
    real_step = bench.model.step

    def step(batch: Batch) -> Floats:
        ages.append(bench.scheduler.step_age_s())
        return real_step(batch)

    monkeypatch.setattr(bench.model, "step", step)
    assert bench.scheduler.step_age_s() == 0
    bench.step()
    assert ages
    assert ages[0] > 0
    assert bench.scheduler.step_age_s() == 0


def test_waiting_ends_with_work_and_with_closing() -> None:
    bench = Bench()
    bench.submit(1, [5])
    assert bench.scheduler.wait()
    bench.scheduler.close()
    assert not bench.scheduler.wait()


# ---- passes of any length ----------------------------------------------------------------------------------------


class Slow:
    """Seconds as passes take them: `fixed_s` for reading the weights, `column_s` for each column once these have been read."""

    def __init__(self, fixed_s: float, column_s: float) -> None:
        self.bench = Bench(prefill_chunk_tokens=0, context_tokens=2048, pages=80, page_table=32)
        self.now_s, real = 0.0, self.bench.model.step
        self.bench.scheduler._clock = lambda: self.now_s

        def step(batch: Batch) -> Floats:
            self.now_s += max(fixed_s, column_s * len(batch.tokens))
            return real(batch)

        self.bench.model.step = step  # type: ignore[method-assign]

    def columns(self) -> list[int]:
        return [len(batch.tokens) for batch in self.bench.model.batches]


def test_a_prompt_alone_is_read_in_large_chunks_once_the_time_of_a_pass_is_known() -> None:
    slow = Slow(0.05, 0.001)
    slow.bench.submit(1, prompt(1, 1000), max_tokens=1)
    slow.bench.run()
    assert slow.columns()[:3] == [64, 256, 256]


def test_a_streamed_pass_takes_the_columns_that_cost_nothing() -> None:
    slow = Slow(6.0, 0.1)  # a model of 70B: 6 s of reading, in which 60 columns are computed
    slow.bench.submit(1, prompt(1, 30), max_tokens=200)
    slow.bench.run()
    slow.bench.submit(2, prompt(2, 30), max_tokens=100)
    for _ in range(3):
        slow.bench.step()
    slow.bench.submit(3, prompt(3, 1500), max_tokens=1)
    began_s = slow.now_s
    slow.bench.step()
    assert slow.columns()[-1] > 60
    assert slow.now_s - began_s <= 2 * 6.0 + 0.1  # who answers waits for one more pass at most


def test_a_chunk_holds_up_answers_for_half_a_second_at_most() -> None:
    slow = Slow(0.02, 0.01)
    slow.bench.submit(1, prompt(1, 300), max_tokens=400)
    while not slow.bench.texts:
        slow.bench.step()
    for _ in range(5):
        slow.bench.step()
    slow.bench.submit(2, prompt(2, 1000), max_tokens=1)
    began_s = slow.now_s
    slow.bench.step()
    assert 16 < slow.columns()[-1] <= 64
    assert slow.now_s - began_s < 0.7


def test_what_is_stuck_is_told_from_what_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow(60.0, 0.1)
    slow.bench.submit(1, prompt(1, 10), max_tokens=5)
    slow.bench.step()
    stuck: list[tuple[float, bool]] = []
    real = slow.bench.model.step

    def step(batch: Batch) -> Floats:
        for _ in range(20):
            slow.now_s += 100.0
            stuck.append((slow.bench.scheduler.step_age_s(), slow.bench.scheduler.is_stuck))
        return real(batch)

    monkeypatch.setattr(slow.bench.model, "step", step)
    slow.bench.step()
    assert all(is_stuck == (age_s > 20 * 60.0) for age_s, is_stuck in stuck)
    assert not slow.bench.scheduler.is_stuck
