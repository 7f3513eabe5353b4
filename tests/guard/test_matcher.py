import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import ConfigError
from freehold.guard import GuardConfig, StreamGuard
from freehold.guard import matcher as module
from freehold.guard.detectors import DETECTORS
from freehold.guard.detectors.detector import Detector
from freehold.guard.detectors.examples import sample
from freehold.guard.matcher import Matcher
from tests.guard.playing import strict_guard

TOKEN = "ghp_" + sample(36)
FEW = DETECTORS[:3]


@given(
    st.lists(st.sampled_from([e for d in DETECTORS for e in (*d.must_match, *d.must_not_match)]), max_size=5),
    st.text(max_size=20),
)
@settings(max_examples=100, deadline=None)
def test_both_engines_find_the_same(parts: list[str], glue: str) -> None:
    text = glue.join(parts)
    assert strict_guard("hyperscan").check(text).findings == strict_guard("re2").check(text).findings


def test_a_kept_database_finds_the_same() -> None:
    kept = Matcher(FEW, "hyperscan").database()
    stream = Matcher(FEW, "hyperscan", kept).open()
    stream.feed(f"a {TOKEN}".encode())
    assert {flag.kind for flag in stream.flags} >= {0}


@pytest.mark.parametrize("spoil", [lambda kept: kept[:40], lambda kept: b"\0" * 64, lambda kept: kept[:32] + b"nonsense"])
def test_a_database_that_does_not_fit_is_compiled_anew(spoil: "object") -> None:
    assert callable(spoil)
    stream = Matcher(FEW, "hyperscan", spoil(Matcher(FEW, "hyperscan").database())).open()
    stream.feed(f"a {TOKEN}".encode())
    assert {flag.kind for flag in stream.flags} >= {0}


def test_re2_has_no_database() -> None:
    assert StreamGuard(GuardConfig(engine="re2")).database() == b""


def test_the_digest_names_the_detectors() -> None:
    assert Matcher(FEW, "re2").digest == Matcher(FEW, "hyperscan").digest != Matcher(DETECTORS[:2], "re2").digest


def test_without_hyperscan_auto_is_re2_and_asking_for_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "hyperscan", None)
    assert StreamGuard(GuardConfig(engine="auto")).engine == "re2"
    with pytest.raises(ConfigError, match="not installed"):
        StreamGuard(GuardConfig(engine="hyperscan"))


def test_a_pattern_that_does_not_compile_is_refused() -> None:
    broken = Detector(id="broken", pattern="(?=x)", must_match=("x",), must_not_match=())
    with pytest.raises(ConfigError, match="does not compile"):
        Matcher([broken], "hyperscan")


def test_what_was_decoded_is_read_by_hyperscan_where_it_is() -> None:
    matcher = Matcher(FEW, "hyperscan")
    window = f"a {TOKEN}".encode()
    assert matcher.find(window, 0) == Matcher(FEW, "re2").find(window, 0) != []
    assert "_re2_triggers" not in vars(matcher)  # never even built
