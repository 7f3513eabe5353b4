import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import ConfigError
from freehold.guard import GuardConfig, StreamGuard
from freehold.guard import matcher as module
from freehold.guard.detectors import DETECTORS
from freehold.guard.detectors.detector import Detector
from freehold.guard.detectors.examples import sample
from freehold.guard.fold import fold
from freehold.guard.matcher import Engine, Flag, Matcher
from tests.guard.playing import strict_guard

TOKEN = "ghp_" + sample(36)
FEW = [detector for detector in DETECTORS if detector.id.startswith("github")]
MATCHER_OF_FEW = Matcher(FEW, "re2")


@given(
    st.lists(st.sampled_from([e for d in DETECTORS for e in (*d.must_match, *d.must_not_match)]), max_size=5),
    st.text(max_size=20),
)
@settings(max_examples=100)
def test_both_engines_find_the_same(parts: list[str], glue: str) -> None:
    text = glue.join(parts)
    assert strict_guard("hyperscan").check(text).findings == strict_guard("re2").check(text).findings


def test_a_kept_database_finds_the_same() -> None:
    kept = Matcher(FEW, "hyperscan").database()
    stream = Matcher(FEW, "hyperscan", kept).open()
    stream.feed(f"a {TOKEN}".encode())
    assert {flag.kind for flag in stream.flags} >= {0}


def test_what_is_kept_already_is_not_written_out_again() -> None:
    kept = Matcher(FEW, "hyperscan").database()
    assert kept
    assert Matcher(FEW, "hyperscan", kept).database() == b""


@pytest.mark.parametrize("spoil", [lambda kept: kept[:40], lambda kept: b"\0" * 64, lambda kept: kept[:32] + b"nonsense"])
def test_a_database_that_does_not_fit_is_compiled_anew(spoil: "object") -> None:
    assert callable(spoil)
    stream = Matcher(FEW, "hyperscan", spoil(Matcher(FEW, "hyperscan").database())).open()
    stream.feed(f"a {TOKEN}".encode())
    assert {flag.kind for flag in stream.flags} >= {0}


def test_re2_has_no_database() -> None:
    assert StreamGuard(GuardConfig(engine="re2")).database() == b""


def test_the_digest_names_the_detectors() -> None:
    assert Matcher(FEW, "re2").digest == Matcher(FEW, "hyperscan").digest != Matcher(FEW[:1], "re2").digest


def test_without_hyperscan_auto_is_re2_and_asking_for_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "hyperscan", None)
    assert StreamGuard(GuardConfig(engine="auto")).engine == "re2"
    with pytest.raises(ConfigError, match="not installed"):
        StreamGuard(GuardConfig(engine="hyperscan"))


def test_a_pattern_that_does_not_compile_is_refused() -> None:
    broken = Detector(id="broken", pattern="(?=x)", must_match=("x",), must_not_match=())
    with pytest.raises(ConfigError, match="detector broken does not compile"):
        Matcher([broken], "hyperscan")


def test_what_was_decoded_is_read_by_hyperscan_where_it_is() -> None:
    matcher = Matcher(FEW, "hyperscan")
    window = f"a {TOKEN}".encode()
    assert matcher.find(window, 0) == Matcher(FEW, "re2").find(window, 0) != []
    assert "_re2_triggers" not in vars(matcher)  # never even built


def test_re2_says_where_a_trigger_may_end_and_not_only_in_which_slice() -> None:
    stream = Matcher(FEW, "re2").open()
    stream.feed(f"{'word ' * 300}{TOKEN} {'word ' * 300}".encode())
    (flag,) = [flag for flag in stream.flags if flag.kind >= 0 and FEW[flag.kind].pattern.startswith("gh")]
    assert 1490 <= flag.low < flag.high <= 1550


@given(st.integers(0, 90), st.integers(1, 90))
@settings(max_examples=40)
def test_re2_loses_no_trigger_between_two_slices(before: int, cut: int) -> None:
    data = ("w " * (2048 - 45 + before) + TOKEN + " end").encode()
    stream = MATCHER_OF_FEW.open()
    for piece in (data[: 4096 - cut], data[4096 - cut :]):
        stream.feed(piece)
    at = data.index(b"ghp_")
    assert any(flag.low < at + 40 <= flag.high + 1 and flag.kind >= 0 for flag in stream.flags)


def test_a_trigger_that_is_everywhere_is_flagged_everywhere() -> None:
    digit = Detector(id="digit", pattern="[0-9]", must_match=("1",), must_not_match=(), left="", after="")
    stream = Matcher([digit], "re2").open()
    stream.feed(b"1 " * 1000)
    positions = {at for flag in stream.flags if flag.kind == 0 for at in range(flag.low, flag.high)}
    assert positions >= set(range(0, 2000, 2))


@pytest.mark.parametrize("engine", ["hyperscan", "re2"])
def test_a_hint_reaches_the_value_it_announces(engine: Engine) -> None:
    shy = Detector(
        id="shy",
        left="",
        before="name: .{0,40}code ",
        hint="name: ",
        hint_reach_chars=45,
        pattern="[0-9]{6}",
        must_match=("name: Bob, code 123456",),
        must_not_match=("code 123456",),
    )
    stream = Matcher([shy], engine).open()
    text = b"so name: Bob and then some code 123456"
    stream.feed(text)
    assert any(flag.low <= text.index(b"123456") < flag.high for flag in stream.flags if flag.kind == 0)


def test_a_short_mark_inside_a_long_run_of_base64_is_chance() -> None:
    key = "AKIA" + "QZ3MR7XKD2VWTN5B"
    run = sample(70) + "+" + sample(71)
    assert not strict_guard("re2").check(f"image {run}/{key}/{run}").findings
    assert not strict_guard("re2").check(f"{run[:76]}\n{run[:76]}\n{key}+{run[:50]}\n").findings
    assert strict_guard("re2").check(f"path/to/{key}/x").findings
    assert strict_guard("re2").check(f"{key}\n{key}\n").findings


def test_the_word_that_a_pattern_matched_the_end_of_decides() -> None:
    assert not strict_guard("re2").check(f"PUBLIC_KEY={sample(40)}").findings
    assert strict_guard("re2").check(f"SIGNING_KEY={sample(40)}").findings


def test_hyperscan_sees_a_trigger_whatever_began_before_it() -> None:
    """A bounded repeat that began and ran out must not hide the one that begins anew: a fault some patterns meet in Hyperscan."""
    guard = Matcher(DETECTORS, "hyperscan")
    for number, detector in enumerate(DETECTORS):
        example = fold(detector.must_match[0])
        for begun in (1, 4, 10):
            text = b"x " + example[:begun] + b" cd ef gh ij kl mn op qr st uv wx yz of the many " + example + b" "
            if not guard.find(text, len(text) - len(example) - 1, [number]):
                continue  # what stands before it changed what it means
            stream = guard.open()
            stream.feed(text)
            stream.close()
            assert number in {flag.kind for flag in stream.flags}, detector.id


def test_a_label_is_looked_behind_only_where_a_digit_is() -> None:
    (number,) = [n for n, d in enumerate(DETECTORS) if d.id == "ve-rif"]
    labelled = next(n for n, d in enumerate(DETECTORS) if d.id == "cl-rut-bare")
    matcher = Matcher(DETECTORS, "re2")
    flag = Flag(102, 140, labelled)
    words, numbered = b"RUN of the mill, nothing else here at all, and no more", b"RUN of the mill, no 123456"
    assert matcher.narrowed(flag, words, 100, is_whole=False) is None
    assert matcher.narrowed(flag, words[:20], 100, is_whole=True) is None
    assert matcher.narrowed(flag, words[:20], 100, is_whole=False) == Flag(120, 140, labelled)
    assert matcher.narrowed(flag, numbered, 100, is_whole=False) == Flag(120, 140, labelled)
    assert matcher.narrowed(Flag(102, 140, number), words, 100, is_whole=False) == Flag(102, 140, number)


@pytest.mark.parametrize("engine", ["hyperscan", "re2"])
def test_nobody_is_told_of_what_nobody_wants_to_know(engine: Engine) -> None:
    text = b"a " + TOKEN.encode() + b" "
    seen = []
    for wanted in (None, [object()] * len(FEW), [None] * len(FEW)):
        stream = Matcher(FEW, engine).open(wanted)
        stream.feed(text)
        seen.append({flag.kind for flag in stream.flags if flag.kind >= 0})
    assert seen[0] == seen[1] != set()
    assert seen[2] == set()
