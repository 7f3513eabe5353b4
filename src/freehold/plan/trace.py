"""Requests as they came, from a table of somebody's traffic: when, how many tokens in, how many out.

Three headings are known: our own, Azure's LLM inference traces (Azure/AzurePublicDataset, AzureLLMInferenceTrace_*.csv) and
those of microsoft/vidur (data/processed_traces). Other columns are left alone.
"""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from freehold.core.errors import InvalidRequest

HEADINGS: tuple[tuple[str, str, str], ...] = (
    ("arrived_s", "prompt_tokens", "output_tokens"),
    ("TIMESTAMP", "ContextTokens", "GeneratedTokens"),
    ("arrived_at", "num_prefill_tokens", "num_decode_tokens"),
)
MOST_REQUESTS = 200_000
MOST_TOKENS = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    at_s: float  # since the first of the trace
    prompt_tokens: int
    output_tokens: int


def parse_trace(text: str, where: str) -> tuple[Arrival, ...]:
    """In the order of arrival. Raises InvalidRequest naming the line."""
    reader = csv.DictReader(io.StringIO(text))
    columns = next((one for one in HEADINGS if set(one) <= set(reader.fieldnames or ())), None)
    if columns is None:
        known = "; ".join(",".join(one) for one in HEADINGS)
        raise InvalidRequest(f"{where}: the first line must have the columns {known}", param="trace")
    found: list[tuple[float, int, int]] = []
    try:
        for row in reader:
            found.append(_arrival(row, columns))
            if len(found) > MOST_REQUESTS:
                raise InvalidRequest(f"{where}: more than {MOST_REQUESTS:,} requests; cut out the busiest hours", param="trace")
    except (ValueError, TypeError, csv.Error) as exc:
        raise InvalidRequest(f"{where}, line {reader.line_num}: {exc}", param="trace") from exc
    if not found:
        raise InvalidRequest(f"{where}: no requests", param="trace")
    found.sort()
    return tuple(Arrival(at_s=at - found[0][0], prompt_tokens=prompt, output_tokens=output) for at, prompt, output in found)


def _arrival(row: dict[str, str], columns: Sequence[str]) -> tuple[float, int, int]:
    when, prompt, output = (row[column] for column in columns)
    return _seconds(when), _tokens(prompt), _tokens(output)


def _seconds(text: str) -> float:
    """A number, or a date and time with up to seven digits of a second, as Azure writes them."""
    if "-" in text[1:] and ":" in text:
        day, _, fraction = text.strip().partition(".")
        moment = datetime.fromisoformat(day)
        return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() + float(f"0.{fraction[:6] or '0'}")
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]!r} is no time")
    return value


def _tokens(text: str) -> int:
    count = float(text)
    if not (count.is_integer() and 0 <= count <= MOST_TOKENS):
        raise ValueError(f"{text[:20]!r} is no number of tokens")
    return max(1, int(count))
