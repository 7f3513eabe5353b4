from fnmatch import fnmatchcase
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from freehold.guard.patterns import covers, is_one

PATTERNS = st.text("ab*?[]!", max_size=5)
NAMES = ["".join(letters) for size in range(1, 5) for letters in product("ab]!", repeat=size)]


@given(st.lists(PATTERNS, min_size=1, max_size=2).map(tuple), PATTERNS)
def test_what_covers_another_names_all_that_it_does(wide: tuple[str, ...], narrow: str) -> None:
    if covers(wide, narrow):
        assert all(is_one(wide, name) for name in NAMES if fnmatchcase(name, narrow))


def test_plain_names_and_stars_are_covered() -> None:
    assert covers("tool_*", ("tool_a", "tool_*_b", "tool_?"))
    assert covers("a?", ("ab", "a?"))
    assert covers("*", "[ab]")
    assert not covers("a?", "a*")
    assert not covers("*]", "[ab]")
