"""The table itself: every detector's examples, through the whole guard, with both engines."""

import re
from collections import Counter

import pytest

from freehold.core.errors import ConfigError
from freehold.guard.channel import CONTEXT_CHARS, KEPT_CHARS
from freehold.guard.detectors import DETECTORS
from freehold.guard.detectors.detector import Detector
from freehold.guard.fold import fold
from freehold.guard.matcher import Engine, Matcher
from tests.guard.playing import ENGINES, strict_guard

_parser = re._parser  # type: ignore[attr-defined]  # the only way to ask a pattern for its width


def rules_in(engine: Engine, text: str) -> set[str]:
    return {finding.rule for finding in strict_guard(engine).check(text).findings}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("detector", DETECTORS, ids=lambda d: d.id)
def test_examples_match_and_counterexamples_do_not(detector: Detector, engine: Engine) -> None:
    for text in detector.must_match:
        assert detector.id in rules_in(engine, text), text
    for text in detector.must_not_match:
        assert detector.id not in rules_in(engine, text), text


def test_no_two_detectors_share_a_name() -> None:
    assert [name for name, count in Counter(d.id for d in DETECTORS).items() if count > 1] == []


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda d: d.id)
def test_what_a_detector_looks_back_at_is_kept_as_context(detector: Detector) -> None:
    _, most = _parser.parse(detector.left + detector.before).getwidth()
    assert most < CONTEXT_CHARS


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda d: d.id)
def test_the_head_a_detector_needs_is_shorter_than_what_a_cut_keeps(detector: Detector) -> None:
    least, _ = _parser.parse(detector.pattern).getwidth()
    assert least < KEPT_CHARS


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda d: d.id)
def test_patterns_have_no_groups_of_their_own(detector: Detector) -> None:
    for pattern in (detector.left, detector.before, detector.pattern, detector.after, detector.head):
        assert _parser.parse(pattern).state.groups == 1, pattern  # group 0 alone


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda d: d.id)
def test_a_trigger_matches_whatever_the_pattern_matches(detector: Detector) -> None:
    with_head = Matcher([detector], "re2")
    for text in detector.must_match:
        found = with_head.open()
        found.feed(fold(text))
        assert 0 in {flag.kind for flag in found.flags}


def test_a_detector_without_examples_is_refused() -> None:
    with pytest.raises(ConfigError, match="must_match"):
        Detector(id="x", pattern="x", must_match=(), must_not_match=())


def test_a_detector_with_an_odd_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="lower-case"):
        Detector(id="My Rule", pattern="x", must_match=("x",), must_not_match=())
