from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.engine import sequence as sequences
from freehold.engine.constraint import Grammars, Mask
from freehold.engine.grammar import answer_grammar
from freehold.engine.sequence import Finished
from freehold.engine.speculation import MAX_COLUMNS, Lookup, PassTimes, allot
from tests.engine.scheduler_bench import TOKENIZER, Bench, prompt

# ---- what is proposed --------------------------------------------------------------------------------------------


def proposed(tokens: Sequence[int], count: int = 8) -> list[int]:
    return [token for token, _ in Lookup(tokens).propose(count)]


def test_what_came_after_the_same_tokens_is_proposed() -> None:
    assert proposed([1, 2, 3, 4, 5, 9, 1, 2]) == [3, 4, 5, 9, 1, 2]
    assert proposed([1, 2, 3, 4, 5, 9, 1, 2], 2) == [3, 4]


def test_the_longest_match_wins_and_of_equals_the_latest() -> None:
    assert proposed([7, 1, 2, 30, 8, 1, 2, 40, 7, 1, 2])[0] == 30
    assert proposed([1, 2, 30, 1, 2, 40, 9, 1, 2])[0] == 40


def test_nothing_is_proposed_where_nothing_repeats() -> None:
    assert proposed([]) == proposed([1]) == proposed([1, 2, 3, 4]) == []


@given(st.lists(st.integers(0, 3), max_size=60), st.integers(0, 60))
def test_token_by_token_finds_a_source_as_good_as_all_at_once(tokens: list[int], cut: int) -> None:
    lookup = Lookup(tokens[:cut])
    for token in tokens[cut:]:
        lookup.receive(token)
    for token, chance in lookup.propose(5):
        assert token in tokens
        assert 0 < chance < 1
    assert bool(proposed(tokens)) <= bool(lookup.propose(1))


def test_chances_rise_with_what_was_right_and_fall_with_what_was_not() -> None:
    right = Lookup([*range(50), *range(3)])
    first = right.propose(1)[0][1]
    for token in range(3, 20):
        right.receive(token)
    assert right.propose(1)[0][1] > first
    wrong = Lookup([1, 2, 3] * 5)
    for token in range(100, 140):
        for known in (1, 2, token):
            wrong.receive(known)
    wrong.receive(1)
    wrong.receive(2)
    assert wrong.propose(1)[0][1] < 0.1


def test_after_one_other_token_the_rest_is_expected_as_before() -> None:
    lookup = Lookup([1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3])
    lookup.receive(99)  # where 4 was
    assert [token for token, _ in lookup.propose(3)] == [5, 6, 7]


# ---- how many are taken ------------------------------------------------------------------------------------------


def times(*points: tuple[int, float]) -> PassTimes:
    found = PassTimes()
    for columns, seconds in points:
        found.note(columns, seconds)
    return found


def test_a_pass_never_gets_shorter_by_more_columns() -> None:
    for found in (times(), times((1, 1.0)), times((1, 1.0), (128, 9.0)), times((1, 2.0), (8, 1.0), (100, 1.5)), times((16, 3.0))):
        expected = [found.expected(columns) for columns in range(1, 300)]
        assert expected == sorted(expected)
        assert expected[0] > 0


def test_what_was_measured_is_what_is_expected() -> None:
    found = times((1, 1.0), (4, 1.1), (4, 1.3), (200, 40.0))
    assert found.expected(1) == pytest.approx(1.0)
    assert found.expected(4) == pytest.approx(1.2)
    assert 1.2 < found.expected(8) < 40


def test_one_interrupted_pass_counts_as_three() -> None:
    assert times((1, 1.0), (1, 100.0)).expected(1) == pytest.approx(2.0)


def test_unlikely_drafts_are_not_taken_and_likely_ones_are() -> None:
    in_memory = times((1, 1.0), (2, 1.2), (4, 1.3), (8, 1.7), (16, 2.2))
    assert allot([[0.2, 0.05, 0.01]], 1, in_memory) == [0]
    assert allot([[0.97**i for i in range(1, 16)]], 1, in_memory)[0] > 6
    assert allot([], 5, in_memory) == []
    assert allot([[]], 1, in_memory) == [0]


def test_where_columns_are_free_even_doubtful_drafts_are_taken() -> None:
    streamed = times((1, 1.0), (16, 1.001))
    assert allot([[0.3, 0.1]], 1, streamed) == [2]


def test_drafts_go_to_those_whose_are_likelier() -> None:
    found = allot([[0.9, 0.8], [0.1, 0.01], [0.9, 0.1]], 3, times((1, 1.0), (2, 1.2), (4, 1.3), (8, 1.7)))
    assert found[0] >= found[2] > found[1]


def test_all_drafts_together_have_a_limit() -> None:
    assert sum(allot([[0.99] * 16] * 16, 16, times((1, 1.0), (256, 1.0)))) == MAX_COLUMNS
    assert sum(allot([[0.99] * 16] * 16, 250, times((1, 1.0), (256, 1.0)))) == 6


# ---- answers are the same, bit for bit ---------------------------------------------------------------------------

Likely = Callable[[Any, int], list[tuple[int, float]]]


def answers(*, rate: float = 0.9, requests: int = 3, pages: int = 40, **changes: Any) -> tuple[dict[int, Any], Bench]:
    limits = {name: changes.pop(name) for name in ("max_drafts",) if name in changes}
    bench = Bench(repeat_rate=rate, pages=pages, end_rate=0.01, **limits)
    for number in range(requests):
        own = {name: value(number) if callable(value) else value for name, value in changes.items()}
        bench.submit(number, prompt(number, 20 + number), **{"max_tokens": 120} | own)
    bench.run()
    facts = {}
    for number in range(requests):
        end = bench.ended[number]
        assert isinstance(end, Finished)
        tokens = [token for piece in bench.pieces.get(number, ()) for token in piece.logprobs]
        facts[number] = (bench.texts.get(number), tokens, end.reason, end.output_tokens)
    assert bench.cache.free_pages == pages
    return facts, bench


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": 0.0},
        {"temperature": 1.0, "top_p": 0.9},
        {"temperature": 0.8, "top_k": 20, "top_logprobs": 3},
        {"temperature": 1.0, "repetition_penalty": 1.1, "presence_penalty": 0.5, "frequency_penalty": 0.2, "top_logprobs": 0},
        {"temperature": 0.0, "stop": ("e", "##")},
    ],
    ids=str,
)
@pytest.mark.parametrize("pages", [40, 6])
def test_answers_are_the_same_with_and_without_drafts(changes: dict[str, Any], pages: int) -> None:
    plain, _ = answers(max_drafts=0, pages=pages, **changes)
    drafted, bench = answers(pages=pages, **changes)
    assert drafted == plain
    if "stop" not in changes:
        assert bench.scheduler.stats().accepted_tokens > 0


def test_a_text_that_repeats_itself_takes_fewer_passes() -> None:
    _, plain = answers(max_drafts=0, rate=1.0, requests=1)
    _, drafted = answers(rate=1.0, requests=1)
    assert len(drafted.model.batches) * 3 < len(plain.model.batches)


def test_a_text_that_does_not_takes_no_drafts() -> None:
    _, bench = answers(rate=0.0)
    assert bench.scheduler.stats().drafted_tokens == 0


def test_no_more_is_drafted_than_is_allowed() -> None:
    _, bench = answers(rate=1.0, requests=1, max_drafts=3)
    assert max(len(batch.tokens) for batch in bench.model.batches[1:]) == 4


@settings(max_examples=12)
@given(st.randoms(use_true_random=False), st.integers(5, 40), st.booleans())
def test_whatever_is_drafted_answers_are_the_same(random: Any, pages: int, greedy: bool) -> None:
    """Right and wrong drafts, any number of them, with pages running out."""
    changes: dict[str, Any] = {"temperature": 0.0 if greedy else 1.0, "max_tokens": 40, "rate": 0.7}
    plain, _ = answers(max_drafts=0, pages=pages, **changes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sequences.Sequence, "likely", _guess(random))
        drafted, _ = answers(pages=pages, **changes)
    assert drafted == plain


def _guess(random: Any) -> Likely:
    def likely(self: sequences.Sequence, count: int) -> list[tuple[int, float]]:
        past, found = list(self.tokens), []
        for _ in range(min(random.randint(0, count), self.room - 1)):
            past.append(past[-9] if random.random() < 0.9 else random.randint(3, 200))
            found.append((past[-1], 0.99))
        return found

    return likely


class Alternating:
    """Tokens must be even and odd in turns, and after `size` of them the answer is over."""

    def __init__(self, size: int) -> None:
        self.accepted: list[int] = []
        self._size = size

    def mask(self) -> Mask | None:
        allowed = np.arange(TOKENIZER.vocabulary) % 2 == len(self.accepted) % 2
        allowed[list(TOKENIZER.end_ids)] = False
        bits = np.packbits(allowed, bitorder="little")
        return np.pad(bits, (0, -len(bits) % 4)).view(np.uint32)

    def accept(self, token: int) -> None:
        self.accepted.append(token)

    def forced(self) -> list[int]:
        return []

    @property
    def is_over(self) -> bool:
        return len(self.accepted) == self._size


def test_a_form_holds_with_drafts_as_without() -> None:
    made: dict[int, list[Alternating]] = {0: [], 6: []}

    def constraint(drafts: int) -> Callable[[int], Alternating]:
        def one(number: int) -> Alternating:
            made[drafts].append(Alternating(30 + number))
            return made[drafts][-1]

        return one

    plain, _ = answers(max_drafts=0, rate=0.8, constraint=constraint(0))
    drafted, _ = answers(max_drafts=6, rate=0.8, constraint=constraint(6))
    assert drafted == plain
    for without, with_ in zip(made[0], made[6], strict=True):
        assert without.accepted == with_.accepted
        assert all(token % 2 == place % 2 for place, token in enumerate(with_.accepted))
    assert [facts[3] for facts in drafted.values()] == [30, 31, 32]


class Spelled:
    """The answer begins with these tokens, of which it forces a few at a time, and once wrongly."""

    is_over = False

    def __init__(self, tokens: list[int], wrong_at: int) -> None:
        self._left, self._wrong_at, self._place = list(tokens), wrong_at, 0

    def mask(self) -> Mask | None:
        if not self._left:
            return None
        mask = np.zeros(-(-TOKENIZER.vocabulary // 32), np.uint32)
        mask[self._left[0] // 32] = 1 << self._left[0] % 32
        return mask

    def accept(self, token: int) -> None:
        del self._left[:1]
        self._place += 1

    def forced(self) -> list[int]:
        found = self._left[:5]
        return [3, *found[1:]] if found and self._place == self._wrong_at else found


def test_what_a_form_leaves_no_choice_about_takes_few_passes() -> None:
    spelled = prompt(8, 30)
    plain, slow = answers(max_drafts=0, requests=1, rate=0.0, constraint=lambda _: Spelled(spelled, 12))
    drafted, fast = answers(requests=1, rate=0.0, constraint=lambda _: Spelled(spelled, 12))
    assert drafted == plain
    assert len(slow.model.batches) - len(fast.model.batches) > 15


def test_a_schemas_keys_are_forced_once_they_are_begun() -> None:
    schema = {
        "type": "object",
        "properties": {"surname": {"type": "integer"}},
        "required": ["surname"],
        "additionalProperties": False,
    }
    constraint = Grammars(TOKENIZER, {}).constraint(answer_grammar(schema, "response_format"), "response_format")
    for token in TOKENIZER.encode('{"'):
        constraint.accept(token)
    assert b"".join(TOKENIZER.token_bytes(token) for token in constraint.forced()).startswith(b"surname")


def test_a_form_whose_guesses_fail_is_answered_without_them() -> None:
    class Broken(Spelled):
        def forced(self) -> list[int]:
            raise RuntimeError("no guess")

    plain, _ = answers(max_drafts=0, requests=1, constraint=lambda _: Spelled(prompt(8, 30), 0))
    found, _ = answers(requests=1, constraint=lambda _: Broken(prompt(8, 30), 0))
    assert found == plain


class FirstToken:
    """The answer begins with this token; after it, anything may come."""

    is_over = False

    def __init__(self, token: int) -> None:
        self._mask: Mask | None = np.zeros(-(-TOKENIZER.vocabulary // 32), np.uint32)
        self._mask[token // 32] = 1 << token % 32

    def mask(self) -> Mask | None:
        return self._mask

    def accept(self, token: int) -> None:
        self._mask = None

    def forced(self) -> list[int]:
        return []


def test_sampled_answers_have_the_models_distribution() -> None:
    """The token at a place where a likely one was drafted, over many seeds: chi-square against the model's probabilities."""
    bench, asked, first, samples = Bench(queue_limit=10_000), prompt(3, 12), 77, 1000
    logits = bench.model.logits(np.array([*asked, first], np.int32)) / 2
    likeliest = np.argsort(-logits)[:3]

    def likely(self: sequences.Sequence, count: int) -> list[tuple[int, float]]:
        return [(int(likeliest[self.request.id % 3]), 0.99)] if self.outputs == 1 else []

    for number in range(samples):
        bench.submit(number, asked, temperature=2.0, top_p=1.0, max_tokens=3, constraint=FirstToken(first))
    made = list(bench.scheduler._waiting)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sequences.Sequence, "likely", likely)
        bench.run()
    stats = bench.scheduler.stats()
    assert stats.drafted_tokens > samples / 2
    assert samples / 100 < stats.accepted_tokens < stats.drafted_tokens
    seen = Counter(sequence.tokens[len(asked) + 1] for sequence in made)
    expected = softmax(logits) * samples
    common = np.flatnonzero(expected >= 8)
    counts = [(seen[int(token)], expected[token]) for token in common]
    counts.append((samples - sum(o for o, _ in counts), samples - sum(e for _, e in counts)))
    statistic = sum((o - e) ** 2 / e for o, e in counts)
    assert statistic < chi_square_limit(len(counts) - 1)


def softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    weights = np.exp(logits - logits.max())
    return np.asarray(weights / weights.sum())


def chi_square_limit(freedom: int) -> float:
    """The value that 1 in 10,000 exceeds, by Wilson and Hilferty's approximation."""
    return float(freedom * (1 - 2 / (9 * freedom) + 3.719 * (2 / (9 * freedom)) ** 0.5) ** 3)
