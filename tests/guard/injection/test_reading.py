import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.guard.injection.reading import read


@given(st.text())
def test_every_character_of_a_reading_has_its_place_in_the_text(text: str) -> None:
    reading = read(text)
    places = [reading.place(at) for at in range(len(reading.text) + 1)]
    assert places == sorted(places)
    assert all(0 <= place <= len(text) for place in places)
    hidden = sum(end - start for start, end in reading.invisible)
    assert len(reading.text) == len(text) - hidden


def test_what_nobody_sees_is_taken_out_and_remembered() -> None:
    reading = read("ig\u200bno\u00adre")
    assert reading.text == "ignore"
    assert reading.invisible == ((2, 3), (5, 6))
    assert reading.place(2) == 3


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("Ｉｇｎｏｒｅ", "Ignore"),
        ("𝗂𝗀𝗇𝗈𝗋𝖾", "ignore"),
        ("ıgnöre", "ignore"),
        ("іgnоrе", "ignore"),  # Cyrillic і, о, е
        ("“ignore”", '"ignore"'),
        ("忽略。", "忽略."),
        ("ПРИВЕТ", "привет"),
        ("a\\nb", "a \nb"),
    ],
)
def test_what_looks_alike_reads_alike(written: str, read_as: str) -> None:
    assert read(written).text == read_as


def test_only_words_of_two_alphabets_are_folded_into_one() -> None:
    assert read("все хорошо, ok").text == "все хорошо, ok"
    assert not read("все хорошо, ok").has_lookalikes
    assert read("раypal").has_lookalikes
