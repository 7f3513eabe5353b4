import json
import logging
from dataclasses import replace

import pytest

from freehold.gateway import log
from tests.store.drafts import FINDING, entry

SECRET = "sk-live-0000-planted"


def test_a_line_is_one_object_with_its_fields(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "freehold.gateway"):
        log.info("exchange_finished", **log.facts(replace(entry("xc_1", findings=(FINDING,)), team="red", cost_microusd=12)))
    line = json.loads(caplog.messages[0])
    assert line["event"] == "exchange_finished"
    assert (line["exchange_id"], line["team"], line["dialect"], line["operation"]) == ("xc_1", "red", "openai.chat", "chat")
    assert (line["findings"], line["cost_microusd"], line["status"]) == (1, 12, "completed")


def test_a_name_nobody_serves_is_the_clients_text_and_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    assert log.facts(replace(entry("xc_1"), provider=None, model=SECRET))["model"] is None


def test_an_exceptions_place_is_told_and_its_words_are_not() -> None:
    try:
        raise ValueError(SECRET)
    except ValueError as exc:
        where = log.place(exc)
    assert where.startswith("test_log.py:")
    assert SECRET not in where
    assert log.place(ValueError(SECRET)) == "unknown"
