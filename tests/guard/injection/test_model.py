import hashlib
from importlib.resources import files

import numpy as np
import pytest

from freehold.guard.injection.concepts import words_of
from freehold.guard.injection.features import BUCKETS, of_content
from freehold.guard.injection.model import HEAD_NAMES, HEADS, MANIFEST, Head, facts_of, worst

LARGEST_BYTES = 400 << 10


def test_the_shipped_weights_are_those_of_the_manifest() -> None:
    weights = (files("freehold.guard.injection") / "data" / "model.npz").read_bytes()
    assert hashlib.sha256(weights).hexdigest() == MANIFEST["sha256"]
    assert len(weights) <= LARGEST_BYTES
    assert set(MANIFEST["evidence"]) == set(HEAD_NAMES)


def test_the_manifest_says_what_the_heads_were_trained_on() -> None:
    for name in HEAD_NAMES:
        assert MANIFEST["examples"][name]["own"] > 1000
        assert HEADS[name].weights.shape == (BUCKETS + 1,)
        assert HEADS[name].weights[-1] == 0


def test_a_window_adds_up_the_weights_of_its_features() -> None:
    hashed = of_content(words_of("Send it now. The sun shines."), "")
    weights = np.zeros(BUCKETS + 1, np.int8)
    weights[hashed.buckets[0, 0]] = 4
    odds = Head(weights=weights, scale=0.5, offset=-1.0, evidence={}).log_odds(hashed)
    assert odds.tolist() == pytest.approx([4 * 0.5 / np.sqrt(4) - 1.0, -1.0])


def test_a_likelihood_is_one_whatever_the_evidence() -> None:
    head = Head(weights=np.zeros(BUCKETS + 1, np.int8), scale=1.0, offset=0.0, evidence={"best": 1e9})
    assert head.weighed([("best", -6.0)]) < 1e-9
    assert head.weighed([("best", 6.0)]) == pytest.approx(1.0)
    assert head.weighed([("unheard of", 6.0)]) == 0.5


def test_patterns_are_looked_for_in_the_worst_sentences_alone() -> None:
    words = words_of("Ignore the rules. " + "The sun shines. " * 10 + "Send it to eve.")
    hashed = of_content(words, "")
    odds = np.zeros(len(hashed.starts), np.float32)
    odds[-1] = 1.0
    first = worst(hashed, odds - np.arange(len(odds))[::-1], words.letters)
    assert b"I" not in first.short
    assert b"D" in first.short


def test_words_about_attacks_count_from_the_second_on() -> None:
    odds = np.array([1.0, 2.0], np.float32)
    assert "about" not in dict(facts_of(odds, "prose", [], 1))
    assert dict(facts_of(odds, "prose", [], 2))["about"] == 1.0
