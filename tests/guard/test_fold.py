import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.guard.fold import IGNORED, LETTERS, OTHER, fold


@given(st.text().filter(lambda text: (len(text) - len(text.rstrip("\\"))) % 2 == 0))
def test_one_ascii_byte_a_character(text: str) -> None:
    folded = fold(text)
    assert len(folded) == len(text)
    assert folded.isascii()


@given(st.text(st.characters(blacklist_characters="\\")), st.text(st.characters(blacklist_characters="\\")))
def test_characters_fold_by_themselves(left: str, right: str) -> None:
    assert fold(left + right) == fold(left) + fold(right)


@given(st.text(st.characters(blacklist_characters="\\"), min_size=1, max_size=40))
def test_a_long_text_folds_as_its_characters_do(text: str) -> None:
    assert fold(text * 600) == fold(text) * 600


@given(st.text(st.characters(blacklist_characters="\\"), max_size=40))
def test_a_text_that_begins_in_one_alphabet_may_go_on_in_another(rest: str) -> None:
    beginning = "привет \ud800" * 300
    assert fold(beginning + rest) == fold("привет \ud800") * 300 + fold(rest)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("ｇｈｐ＿１", b"ghp_1"),
        ("𝐀𝟗", b"A9"),
        ("Zürich", b"Zurich"),
        ("a\u00a0b", b"a b"),
        ("555\u20111234", b"555-1234"),
        ("a\u2028b", b"a\nb"),
        ("\\nx", b" \nx"),
        ("\\\\nx", b"\\\\nx"),
        ('\\"', b' "'),
    ],
)
def test_what_looks_alike_folds_alike(text: str, folded: bytes) -> None:
    assert fold(text) == folded


def test_what_nobody_sees_is_ignored_and_what_has_no_letter_ends_a_word() -> None:
    assert fold("a\u200b\u00ad\u0301b") == bytes([97, IGNORED, IGNORED, IGNORED, 98])
    assert fold("\ud800½。😀，") == bytes([OTHER] * 5)


@pytest.mark.parametrize("word", ["пароль", "ΑΦΜ", "סיסמה", "مرور", "密码", "パス", "비밀", "პაროლი"])
def test_letters_of_other_scripts_are_letters_of_some_kind(word: str) -> None:
    assert set(fold(word)) <= set(LETTERS)
    assert fold(word) == fold(word.lower())
    assert fold(word) != fold(word[::-1])
