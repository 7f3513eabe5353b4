import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.effects import EffectKind
from freehold.guard.effects.analyse import ANALYSERS, LIMIT_CHARS, analyse
from freehold.guard.syntax import Language


@pytest.mark.parametrize("language", list(ANALYSERS))
def test_every_analyser_of_the_table_is_there(language: Language) -> None:
    assert ANALYSERS[language] is ANALYSERS[language]
    assert isinstance(analyse("", language), tuple)


@pytest.mark.parametrize("language", [language for language in Language if language not in ANALYSERS])
def test_a_language_that_nobody_analyses_is_unknown(language: Language) -> None:
    assert [effect.kind for effect in analyse("x", language)] == [EffectKind.UNKNOWN]


@pytest.mark.parametrize("language", list(ANALYSERS))
def test_what_is_too_long_is_unknown(language: Language) -> None:
    assert [effect.kind for effect in analyse("x" * (LIMIT_CHARS + 1), language)] == [EffectKind.UNKNOWN]


@given(st.sampled_from(list(ANALYSERS)), st.text(max_size=80))
@settings(max_examples=150)
def test_any_text_in_any_language_has_effects_or_none_and_the_same_once(language: Language, text: str) -> None:
    effects = analyse(text, language)
    assert len(set(effects)) == len(effects)
