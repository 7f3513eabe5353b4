"""The closed union that flows from an upstream to a client.

Match it with `assert_never`, so that a new event is a type error wherever it is forgotten. `choice` and `part` say which text an
event belongs to: `choice` is the answer's alternative (`n` > 1), `part` the tool call or content block inside it. A stage keeps
its state per (kind, choice, part) and never joins two of them.

A delta that a stage changed says in `source_chars` how many characters of the upstream's text it stands for; None is as many as
its own. Whoever writes the answer into the upstream's own payloads (`Payload`) finds the place of each change by it.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from freehold.core.effects import CallJudgement
from freehold.core.exchange import ModelId, Path
from freehold.core.findings import Alert, Channel, Finding, Verdict
from freehold.core.measurement import Metered


class FinishReason(StrEnum):
    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"


_TOKEN_CHARS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLogprob:
    """A token, the natural logarithm of its probability, and the likeliest others at its place."""

    token: str = field(repr=False)
    token_bytes: bytes = field(repr=False)
    logprob: float
    top: tuple[tuple[str, bytes, float], ...] = field(repr=False, default=())  # (token, bytes, logprob)


def is_plain_token(token: str) -> bool:
    """Whether a token is what vocabularies have: a word, signs, or a few characters. What a guard looks for is none of these."""
    return len(token) <= _TOKEN_CHARS or token.strip().isalpha() or not any(map(str.isalnum, token))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedBy:
    """What answered, as far as it is known. For a remote provider `model_id` and the digests are None."""

    provider: str
    model: str
    model_id: ModelId | None = None
    template_digest: str | None = None  # sha256, hex
    build: str | None = None  # engine version and kernel set
    seed: int | None = None
    response_id: str | None = None  # by which a later request may continue an answer that the provider keeps
    kernels: str | None = None  # of our engine, with the two below: other ones may give other bits
    kv_type: str | None = None  # how keys and values were held
    libraries: str | None = None  # names and versions
    context_tokens: int | None = None  # the longest prompt and answer together
    watermark: str | None = None  # sha256 of its public parameters, hex
    trust: str | None = None  # why the model's bytes were taken to be the right ones: see core.models.Trust


FIRST_REFUSAL_PART = 1 << 24  # from here on parts of a choice's texts are what the model declines with: some dialects mark it


class PartKind(StrEnum):
    TEXT = "text"
    REASONING = "reasoning"
    TOOL_CALL = "tool_call"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A place in a payload where a piece of a streamed text stands: `chars` characters of the text (kind, choice, part).

    Where a tool call begins there is a slot without characters that `begins` it: its path leads to the object that is the call.
    """

    kind: PartKind
    choice: int
    part: int
    path: Path
    chars: int
    begins: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadLeaf:
    """A whole string of a payload: its `PromptText.leaf`, its place, and whether it is the key at the path's end."""

    leaf: int
    path: Path
    text: str = field(repr=False)
    is_key: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """A provider's own payload as it came, for a client who speaks the provider's dialect.

    It goes before the events read from it: deltas for its slots, a `PromptText` for each leaf. Once all of those have passed the
    stages unchanged, the payload is sent byte for byte; otherwise only what changed is replaced. `like` names an earlier payload
    with the same strings in the same places outside the slots: what became of those holds here too. `row` are payloads that came
    right after it and differ from it in the text of its one slot alone; `row_chars` says how many characters each has there.
    """

    data: bytes = field(repr=False)
    number: int  # in its stream, from 0
    name: bytes = b""  # the SSE event's
    slots: tuple[Slot, ...] = ()
    leaves: tuple[PayloadLeaf, ...] = ()
    like: int | None = None
    row: tuple[bytes, ...] = field(repr=False, default=())
    row_chars: tuple[int, ...] = ()
    is_last: bool = False  # it or one before it ends the answer: kept back until the record is durable


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptText:
    """One whole string of a request or of a provider's payload, on its way through the stages. `leaf` numbers it.

    `tool` is the one whose description, arguments or result it is, where its place tells. `before` is what stands in front of a
    member of a tool's own object, `"password":"`: it is read with the text, and no part of it.
    """

    leaf: int
    channel: Channel
    text: str = field(repr=False)
    tool: str = ""
    before: str = field(repr=False, default="")


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
    source_chars: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningDelta:
    text: str = field(repr=False)
    choice: int = 0
    part: int = 0
    source_chars: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallStart:
    """`arguments` are those of a call whose payload has them whole, where they are leaves: then no delta follows.

    A call that `is_remote` is run by the provider itself: nobody here can stop it any more.
    """

    call_id: str
    name: str
    choice: int = 0
    part: int = 0
    arguments: str = field(repr=False, default="")
    is_remote: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallDelta:
    """A piece of the JSON text of a call's arguments."""

    arguments: str = field(repr=False)
    choice: int = 0
    part: int = 0
    source_chars: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartEnd:
    """A text, a thought or a call is complete: what a stage holds of it can be judged and released.

    A dialect that marks the ends of its parts sends one for each; others send it where the order of their fields tells.
    `signature` is a provider's seal over a thought, which it wants back unchanged with the next turn.
    """

    kind: PartKind
    choice: int = 0
    part: int = 0
    signature: str | None = field(repr=False, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Token counts of the whole exchange. None is unknown, never 0."""

    input_tokens: int | None
    output_tokens: int | None
    cached_input_tokens: int | None = None  # of the input tokens, those read from a provider's cache
    cache_write_tokens: int | None = None  # of the input tokens, those written to it
    reasoning_tokens: int | None = None  # of the output tokens


class Aside:
    """What is no piece of an answer but about it: for the record, the meter or a person. It is never sent."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Worked(Aside):
    """What the engine has spent on one exchange up to here: its share of the compute threads' time, for the meter.

    It comes again as the answer grows; the last one counts.
    """

    compute_s: float  # thread-seconds
    prefill_s: float  # wall
    decode_s: float  # wall
    metered: Metered | None = None  # what the engine's meter gives it up to here


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageEnd:
    """`tokens` are all those that our engine chose for this choice, an end token included; None is unknown."""

    finish_reason: FinishReason
    choice: int = 0
    tokens: tuple[int, ...] | None = field(repr=False, compare=False, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found(Aside):
    finding: Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerted(Aside):
    alert: Alert


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """Policy ends the exchange here; nothing after it is sent."""

    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Held(Aside):
    """A tool call that waits for a person: whoever relays asks, and goes on with `released`, or with `refused`."""

    choice: int
    part: int
    tool: str
    arguments: str = field(repr=False)
    judgement: CallJudgement
    timeout_s: float  # no answer within it means no
    released: "tuple[ToolCallStart | ToolCallDelta | PartEnd, ...]" = field(repr=False)
    refused: "Refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused(Aside):
    """A tool call that does not reach the client. `text` stands in its place: what was stopped, why, what may be done instead."""

    choice: int
    part: int
    call_id: str
    tool: str
    text: str = field(repr=False)


Event: TypeAlias = (
    PromptText
    | Payload
    | MessageStart
    | TextDelta
    | ReasoningDelta
    | ToolCallStart
    | ToolCallDelta
    | PartEnd
    | Usage
    | Worked
    | MessageEnd
    | Found
    | Alerted
    | Held
    | Refused
    | Blocked
)
