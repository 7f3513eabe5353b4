import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import ConfigError
from freehold.guard import GuardConfig, StreamGuard
from freehold.guard.detectors.detector import Detector
from freehold.guard.policy_file import PolicySource
from tests.guard.playing import KEY, cut, said

FEW = (Detector(id="few", pattern="few-[0-9]{4}", must_match=("few-1234",), must_not_match=()),)  # quick to compile


def guard(text: str, **files: str) -> StreamGuard:
    terms = {f"{name}.txt": content for name, content in files.items()}
    source = PolicySource(name="policy.toml", text=text, term_files=terms)
    return StreamGuard(GuardConfig(), detectors=FEW, policy=source, key=KEY)


def detector(pattern: str, example: str = "", **settings_: str) -> str:
    lines = [f"{name} = {value}" for name, value in settings_.items()]
    return "\n".join(["[[detectors]]", 'id = "mine"', f"pattern = '{pattern}'", f"must_match = ['{example}']", *lines])


BADGE = detector("BDG-[0-9]{4}-[A-Z]{2,}", "badge BDG-1234-XY", before="'(?:badge|pass) '", must_not_match="['room BDG-1234-XY']")


def test_a_detector_of_ones_own_masks_its_value_after_what_stands_before_it() -> None:
    asked = guard(BADGE)
    assert said(asked, ["my badge BDG-1234-XYZ is lost"])[0] == "my badge [REDACTED:mine] is lost"
    assert said(asked, ["room BDG-1234-XYZ"])[0] == "room BDG-1234-XYZ"
    assert said(asked, ["few-1234"])[0] == "[REDACTED:few]"


ASKED = guard(BADGE)


@given(
    st.lists(st.sampled_from(["badge ", "pass ", "BDG-", "1234", "-", "XY", "Z", " ", "few-12", "34"]), max_size=9).map("".join),
    st.lists(st.integers(0, 60)),
)
@settings(max_examples=100)
def test_where_the_stream_is_cut_does_not_matter(whole: str, at: list[int]) -> None:
    assert said(ASKED, cut(whole, at)) == said(ASKED, list(whole)) == said(ASKED, [whole])


def test_case_may_be_ignored_either_way_of_saying_so() -> None:
    for text in (detector("(?i)bdg-[0-9]{4}", "BDG-1234"), detector("bdg-[0-9]{4}", "BDG-1234", ignore_case="true")):
        assert said(guard(text), ["a Bdg-1234 b"])[0] == "a [REDACTED:mine] b"


def test_an_endless_last_repetition_is_fine() -> None:
    text = detector("zz[a-f]+", "zzabc")
    long = "zz" + "abcdef" * 3000
    assert said(guard(text), [f"x {long} y"])[0] == "x [REDACTED:mine] y"
    assert said(guard(text), list(f"x {long} y"))[0] == "x [REDACTED:mine] y"


def test_a_validator_decides_after_the_match() -> None:
    text = detector("[0-9]{16}", "4539578763621486", validator="'luhn'", must_not_match="['4539578763621487']")
    assert said(guard(text), ["4539578763621486 4539578763621487"])[0] == "[REDACTED:mine] 4539578763621487"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (detector("a*", "a"), "matches the empty text"),
        (detector("[a-z", "a"), "not a pattern"),
        (detector("(a)b", "ab"), "groups of its own"),
        (detector("a b", "a b"), "lets ' ' into a value"),
        (detector("a.c", "abc"), "which ends a run"),
        (detector("[^x]{3}", "abc"), "which ends a run"),
        (detector(r"a\S+b", "a-b"), "which ends a run"),
        (detector("[a-z]+[0-9]{3}", "abc123"), "repetition without end before its last"),
        (detector("a{3000}", "a"), "3000 characters at least"),
        (detector("ab(?=c)", "abc"), "RE2 has not"),
        (detector("straße", "straße"), "beyond ASCII"),
        (detector("abc", "xyz"), "example 1 is not matched"),
        (detector("abc", "abc", must_not_match="['abc']"), "must_not_match example 1 is matched"),
        (detector("abc", "abc", before="'x.*'"), "before may be longer"),
        (detector("abc", "abc", validator="'lun'"), "did you mean 'luhn'"),
        (detector("abc", "abc", confidence="2"), "<= 1.0"),
        (detector("abc", "abc", patern="'x'"), "no setting 'patern'; did you mean 'pattern'"),
        (detector("abc", "abc").replace('"mine"', '"few"'), "a detector of this name exists"),
        (detector("abc", "abc") + "\n" + detector("abd", "abd"), "used twice"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_the_reason_and_the_line(text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=r"^policy\.toml:\d+: ") as caught:
        guard(text)
    assert reason in caught.value.message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has no terms"),
        ('terms = ["x"]', "term 1 has 1 characters"),
        ('file = "gone.txt"', "'gone.txt' was not read"),
        (f'terms = ["{"x" * 300}"]', "term 1 has 300"),
    ],
)
def test_a_dictionary_that_cannot_be_used_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        guard(f'[[dictionaries]]\nid = "d"\n{text}\n')


def test_a_rule_and_a_digest_know_them() -> None:
    text = BADGE + '\n[[rules]]\nid = "a"\ndetectors = "mine"\naction = "tag"\n'
    asked = guard(text)
    assert said(asked, ["badge BDG-1234-XY"])[0] == "badge BDG-1234-XY"
    assert asked.policy_digest != guard(BADGE).policy_digest != guard(BADGE.replace("{4}", "{4,5}")).policy_digest
