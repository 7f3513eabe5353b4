"""The log of a node and of its engine: one JSON object a line, on standard error.

Decided here: how a line that anyone logs, a library too, becomes an event with fields that holds no content. Of an exception its
type and the places it passed are kept; what it says is left out, for it may quote what was asked or answered.
"""

import json
import logging
import sys
import traceback

_OURS = "freehold"
_WRITTEN = "freehold.gateway"  # writes its events as JSON itself: that is the hot path
_USUAL = frozenset([*logging.makeLogRecord({}).__dict__, "message", "asctime"])


class EventFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if record.name == _WRITTEN:
            return message
        fields: dict[str, object] = {"event": message}
        if record.name.partition(".")[0] != _OURS:  # below their first line, libraries show exceptions
            fields = {"event": message.partition("\n")[0], "logger": record.name}
        fields |= {name: value for name, value in record.__dict__.items() if name not in _USUAL}
        if record.exc_info and (exc := record.exc_info[1]) is not None:
            frames = traceback.extract_tb(exc.__traceback__)
            fields |= {"error": type(exc).__name__, "where": [f"{frame.filename}:{frame.lineno}" for frame in frames]}
        return json.dumps(fields, ensure_ascii=False, default=str)


def log_events(level: str = "INFO") -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(EventFormatter())
    logging.basicConfig(level=level, handlers=[handler])
