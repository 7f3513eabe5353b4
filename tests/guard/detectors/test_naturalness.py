import pytest

from freehold.guard.detectors.examples import LOWER, sample
from freehold.guard.detectors.naturalness import NATURAL, RANDOM, naturalness


@pytest.mark.parametrize(
    "text", ["thisismypassword", "get_token_from_environment", "AgencyIdentificationCodeContentType", "correcthorsebattery"]
)
def test_words_are_natural(text: str) -> None:
    assert naturalness(text.encode()) >= NATURAL


@pytest.mark.parametrize("text", ["vzihlaquknriqlht", "zqxjkvbwpfgmhdtc", "QZVXKJWPTRMNBGFH"])
def test_letters_by_chance_are_not(text: str) -> None:
    assert naturalness(text.encode()) < RANDOM


def test_most_that_a_generator_makes_is_not() -> None:
    letters = LOWER[:26]
    made = [naturalness(sample(length, letters).encode()) for length in range(16, 116)]
    assert sum(value < RANDOM for value in made) > 90


def test_without_letters_there_is_nothing_natural() -> None:
    assert naturalness(b"1234-5678") == naturalness(b"") == 0
