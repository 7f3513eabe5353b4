import json
import logging
from typing import Any

from freehold.cli.log import EventFormatter


def line(name: str, message: str, error: Exception | None = None, **extra: Any) -> dict[str, Any]:
    info = (type(error), error, error.__traceback__) if error else None
    record = logging.getLogger(name).makeRecord(name, logging.ERROR, __file__, 1, message, (), info, extra=extra)
    written: dict[str, Any] = json.loads(EventFormatter().format(record))
    return written


def raised(text: str) -> Exception:
    try:
        raise ValueError(text)
    except ValueError as error:
        return error


def test_an_event_keeps_its_fields() -> None:
    assert line("freehold.engine", "engine_ended", cause="exit status 3", wait_s=0.5) == {
        "event": "engine_ended",
        "cause": "exit status 3",
        "wait_s": 0.5,
    }


def test_of_an_exception_the_type_and_the_places_are_kept_and_not_what_it_says() -> None:
    written = line("freehold.engine", "engine_prompt_failed", raised("what was asked"))
    assert written["error"] == "ValueError"
    assert "test_log.py" in written["where"][0]
    assert "what was asked" not in str(written)


def test_what_a_library_says_below_its_first_line_is_left_out() -> None:
    written = line("asyncio", "Task exception was never retrieved\nfuture: <Task exception=ValueError('what was asked')>")
    assert written == {"event": "Task exception was never retrieved", "logger": "asyncio"}


def test_the_gateway_writes_its_own_lines() -> None:
    assert line("freehold.gateway", '{"event": "exchange_finished"}') == {"event": "exchange_finished"}
