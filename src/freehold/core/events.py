"""The closed union that flows from an upstream to a client.

Match it with `assert_never`, so that a new event is a type error wherever it is forgotten. `choice` and `part` say which text an
event belongs to: `choice` is the answer's alternative (`n` > 1), `part` the tool call or content block inside it. A stage keeps
its state per (kind, choice, part) and never joins two of them.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from freehold.core.exchange import ModelId
from freehold.core.findings import Alert, Channel, Finding, Verdict


class FinishReason(StrEnum):
    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLogprob:
    """A token, the natural logarithm of its probability, and the likeliest others at its place."""

    token: str = field(repr=False)
    token_bytes: bytes = field(repr=False)
    logprob: float
    top: tuple[tuple[str, bytes, float], ...] = field(repr=False, default=())  # (token, bytes, logprob)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedBy:
    """What answered, as far as it is known. For a remote provider `model_id` and the digests are None."""

    provider: str
    model: str
    model_id: ModelId | None = None
    template_digest: str | None = None  # sha256, hex
    build: str | None = None  # engine version and kernel set
    seed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptText:
    """One string leaf of a request, on its way through the stages. `leaf` numbers it."""

    leaf: int
    channel: Channel
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageStart:
    served: ServedBy


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta:
    """`logprobs` are of the tokens that end in this delta; their bytes joined over a choice are its text."""

    text: str = field(repr=False)
    choice: int = 0
    part: int = 0
    logprobs: tuple[TokenLogprob, ...] = field(repr=False, default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningDelta:
    text: str = field(repr=False)
    choice: int = 0
    part: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallStart:
    call_id: str
    name: str
    choice: int = 0
    part: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallDelta:
    """A piece of the JSON text of a call's arguments."""

    arguments: str = field(repr=False)
    choice: int = 0
    part: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Token counts of the whole exchange. None is unknown, never 0."""

    input_tokens: int | None
    output_tokens: int | None
    cached_input_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Worked:
    """What the engine has spent on one exchange up to here: its share of the compute threads' time, for the meter.

    It comes again as the answer grows; the last one counts.
    """

    compute_s: float  # thread-seconds
    prefill_s: float  # wall
    decode_s: float  # wall


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageEnd:
    finish_reason: FinishReason
    choice: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Kept for the record, never sent."""

    finding: Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerted:
    """Kept for the record, never sent."""

    alert: Alert


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """Policy ends the exchange here; nothing after it is sent."""

    verdict: Verdict


Event: TypeAlias = (
    PromptText
    | MessageStart
    | TextDelta
    | ReasoningDelta
    | ToolCallStart
    | ToolCallDelta
    | Usage
    | Worked
    | MessageEnd
    | Found
    | Alerted
    | Blocked
)
