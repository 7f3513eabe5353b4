"""Long texts go through the guard in steps."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import InternalError
from freehold.core.events import Blocked, PromptText
from freehold.core.findings import Action, Channel, Direction
from freehold.core.stage import steps
from freehold.guard import GuardConfig, StreamGuard
from freehold.guard.channel import STEP_CHARS
from freehold.guard.config import RuleConfig
from freehold.guard.detectors.examples import sample
from tests.guard.playing import flat, strict_guard

TOKEN = "ghp_" + sample(36)
PARTS = ["plain words and more of them. ", f"token {TOKEN} ", "mail ada.lovelace@engines.org ", "ü 0x1f \\n "]


def leaf(text: str, channel: Channel = Channel.USER) -> PromptText:
    return PromptText(leaf=3, channel=channel, text=text)


@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=5), st.sampled_from(["", "data:text/plain,", "data:;base64,"]))
@settings(max_examples=15)
def test_a_long_leaf_in_steps_is_what_it_is_at_once(parts: list[str], head: str) -> None:
    text = "".join(parts)
    event = leaf(head + text * (3 * STEP_CHARS // len(text) + 1), Channel.FILE if head else Channel.USER)
    taken = list(steps(strict_guard().stage(Direction.REQUEST), event))
    assert flat(taken) == strict_guard().stage(Direction.REQUEST).receive(event)


def test_a_long_leaf_takes_a_step_for_every_slice() -> None:
    event = leaf("some words " * STEP_CHARS)
    taken = list(steps(strict_guard().stage(Direction.REQUEST), event))
    assert len(taken) > 10
    assert flat(taken) == [event]


def test_a_leaf_left_before_its_last_step_closes_the_stage() -> None:
    stage = strict_guard().stage(Direction.REQUEST)
    walk = steps(stage, leaf("some words " * STEP_CHARS))
    assert next(iter(walk)) == []
    del walk
    with pytest.raises(InternalError, match="closed this stream"):
        stage.close()


def test_a_long_leaf_that_policy_blocks_ends_what_is_sent() -> None:
    asked = StreamGuard(GuardConfig(engine="re2", rules={"github-token": RuleConfig(action="block")}))
    stage = asked.stage(Direction.REQUEST)
    events = flat(steps(stage, leaf(f"{'word ' * STEP_CHARS}{TOKEN} end")))
    assert isinstance(events[-1], Blocked)
    assert events[-1].verdict.action is Action.BLOCK
    assert flat(steps(stage, leaf("more"))) == stage.close() == []
