import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import ConfigError
from freehold.provenance.model_audit.config import PLAN_NAMES
from freehold.provenance.model_audit.prompts import read_prompts, shipped
from freehold.provenance.model_audit.sample import named_plan


def test_there_are_fifty_prompts_or_more_in_many_scripts() -> None:
    prompts = shipped()
    assert len(prompts) >= 50
    text = "".join(prompt.text for prompt in prompts)
    assert all(any(low <= char <= high for char in text) for low, high in ("az", "ая", "一龥", "ぁん", "اي", "कह", "가힣"))


def test_every_named_plan_is_there() -> None:
    assert [len(named_plan(name).prompts) for name in PLAN_NAMES] == [25, 10, len(shipped()), len(shipped())]
    with pytest.raises(ConfigError, match="standard, quick"):
        named_plan("thorough")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prompts = 1", "must hold 1 to"),
        ("[[prompts]]\nid = 'a'", "prompt 1: text must be"),
        ("[[prompts]]\nid = 'a'\ntext = 'x'\nuser = 'y'", "has 'user'"),
        ("[[prompts]]\nid = 'a'\ntext = 'x'\n[[prompts]]\nid = 'a'\ntext = 'y'", "'a' stands twice"),
        ("no toml", "mine.toml is no TOML"),
    ],
)
def test_a_file_that_cannot_be_used_says_where(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_prompts(text, "mine.toml")


@given(st.text(max_size=200))
def test_whatever_the_file_holds_only_our_error_is_raised(text: str) -> None:
    with contextlib.suppress(ConfigError):
        read_prompts(text, "mine.toml")
