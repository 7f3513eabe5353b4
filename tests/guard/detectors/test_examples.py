import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.guard.detectors import DETECTORS
from freehold.guard.detectors.detector import CREDENTIAL
from freehold.guard.detectors.examples import b64url, sample, shaped


@pytest.mark.parametrize(
    "pattern",
    [
        r"gh[pousr]_[A-Za-z0-9]{36,255}",
        r"(?:hf|api_org)_[A-Za-z]{34}",
        r"(?:[0-9]{10,13}-){3}[a-z]{4}",
        r"[0-9]{8,10}:A[A-Za-z][A-Za-z0-9_-]{32,33}",
        r"v1\.0-[a-f0-9]{4}={0,2}(?:x|y)?z",
        r"a|b",
    ],
)
def test_an_example_is_what_its_pattern_matches(pattern: str) -> None:
    assert re.fullmatch(pattern, shaped(pattern))


def test_an_example_takes_the_first_of_alternatives_and_leaves_out_what_may_be_missing() -> None:
    assert shaped(r"(?:one|two)-?(?:three)?[x]{2,9}") == "onexx"


def test_a_pattern_with_a_group_too_few_is_refused() -> None:
    with pytest.raises(ValueError, match="unopened"):
        shaped("a)b")


@given(st.integers(1, 200), st.sampled_from(["ab", "0123456789abcdef", "A-_"]))
def test_samples_are_of_their_alphabet_and_always_the_same(length: int, alphabet: str) -> None:
    assert sample(length, alphabet) == sample(length, alphabet)
    assert len(sample(length, alphabet)) == length
    assert set(sample(length, alphabet)) <= set(alphabet)


def test_base64_for_addresses_has_no_padding() -> None:
    assert b64url("{}") == "e30"


def test_credentials_of_hundreds_of_kinds_are_known() -> None:
    assert sum(detector.category == CREDENTIAL for detector in DETECTORS) >= 500
