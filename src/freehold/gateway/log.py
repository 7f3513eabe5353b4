"""Events with fields, one JSON object a line. No content: fields are ids, names, counts and codes."""

import logging
import traceback

import orjson

from freehold.core.ledger import LedgerEntry

_logger = logging.getLogger("freehold.gateway")


def info(event: str, **fields: object) -> None:
    _write(logging.INFO, event, fields)


def error(event: str, **fields: object) -> None:
    _write(logging.ERROR, event, fields)


def facts(entry: LedgerEntry) -> dict[str, object]:
    """What one line says of an exchange."""
    return {
        "exchange_id": entry.exchange_id,
        "key_id": entry.key_id,
        "team": entry.team,
        "provider": entry.provider,
        "model": entry.model if entry.provider else None,  # a name nobody serves is the client's text
        "stream": entry.stream,
        "status": entry.status,
        "finish_reason": entry.finish_reason,
        "error_code": entry.error_code,
        "input_tokens": entry.input_tokens,
        "output_tokens": entry.output_tokens,
        "ttft_ms": entry.ttft_ms,
        "duration_ms": entry.duration_ms,
        "energy_j": entry.energy.energy_j,
        "energy_grade": entry.energy.grade,
        "carbon_g": entry.footprint.carbon and entry.footprint.carbon.g,
        "cost_microusd": entry.cost_microusd,
        "dialect": entry.dialect,
        "operation": entry.operation,
        "findings": len(entry.findings),
    }


def place(exc: BaseException) -> str:
    """Where an exception was raised. Its message is left out: it may quote content."""
    frames = traceback.extract_tb(exc.__traceback__)
    return f"{frames[-1].filename.rsplit('/', 2)[-1]}:{frames[-1].lineno}" if frames else "unknown"


def _write(level: int, event: str, fields: dict[str, object]) -> None:
    if _logger.isEnabledFor(level):
        line = orjson.dumps({"event": event, **fields}).decode()
        # Not `log`, which walks the stack to name a caller that is always this line: as much work as all the rest of it.
        _logger.handle(logging.LogRecord(_logger.name, level, __file__, 0, "%s", (line,), None))
