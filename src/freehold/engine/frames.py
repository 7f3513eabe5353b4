"""What the node and its engine process say to each other, and how it lies on the socket.

    4 bytes, big-endian: length  |  MessagePack of one of the structs below, tagged by its name

Both ends are of one installation, so there is one version and it must match. Text and log-probabilities travel in core's own
dataclasses, whose `repr` hides them.
"""

import asyncio
from typing import Final, TypeAlias

import msgspec

from freehold.core import errors
from freehold.core.errors import FreeholdError, InternalError, InvalidRequest, UpstreamBroken, UpstreamUnavailable
from freehold.core.events import FinishReason, Worked
from freehold.core.exchange import Message, ResponseFormat, Sampling, Tool, ToolChoice
from freehold.core.measurement import EnergyTotals
from freehold.core.watermark import Watermark
from freehold.engine.stops import Piece

PROTOCOL: Final = 5
MAX_FRAME_BYTES: Final = 80 << 20  # above the largest body the gateway takes, which a prompt may fill
LENGTH_BYTES: Final = 4


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The first frame, from each side."""

    protocol: int
    version: str


class Loading(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """`done` of `total` bytes of `what` ("weights"); total 0 where nobody can know."""

    what: str
    done: int
    total: int


class Fit(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What is predicted of the model that is about to be loaded: a fact a line, and seconds a token."""

    lines: tuple[str, ...]
    token_s: float


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    model_id: str
    template_digest: str
    build: str
    context_tokens: int
    supports_tools: bool
    calls: str | None = None  # the form of tool calls that its template teaches: see calls.py
    kernels: str = ""
    kv_type: str = ""
    libraries: str = ""
    trust: str = ""


class Submit(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Asks for `choices` answers. Of each, frames come under a number of its own: `request` and those after it."""

    request: int
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...]
    sampling: Sampling
    seed: int  # of the first answer; each after it has the next
    choices: int = 1
    response_format: ResponseFormat | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    key: str = ""  # who asks: see `prefix_reuse`
    team: str | None = None
    watermark: Watermark | None = None
    can_wait: bool = False


class Cancel(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    request: int


class Count(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """How many tokens would this prompt have? `Counted` or `Refused` follows."""

    request: int
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...]


class Stop(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """End the process."""


class Accepted(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The request is queued; an answer or a `Refused` follows."""

    request: int
    input_tokens: int


class Counted(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    request: int
    input_tokens: int


class Text(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """`worked` is what the answer has cost up to here: of one that is cancelled, the last word on it."""

    request: int
    piece: Piece
    worked: Worked


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    request: int
    reason: FinishReason
    input_tokens: int
    output_tokens: int
    worked: Worked
    cached_tokens: int = 0
    tokens: tuple[int, ...] = ()  # all that were chosen


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An error of one request, or of the engine itself where `request` is None. `kind` names a class of `core.errors`."""

    request: int | None
    kind: str
    message: str
    code: str
    param: str | None = None
    retry_after_s: float | None = None


class Stats(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """How busy the engine is. Counts are since its start, rates over the last second."""

    running: int = 0
    waiting: int = 0
    free_pages: int = 0
    pages: int = 0
    prompt_tokens: int = 0  # computed
    output_tokens: int = 0
    busy_s: float = 0.0
    cached_tokens: int = 0  # prompt tokens that were not computed: their pages were there
    drafted_tokens: int = 0
    accepted_tokens: int = 0  # of them, those that were right
    draft_model_s: float = 0.0  # what a draft model's passes took, of `busy_s`
    prompt_tokens_per_s: float = 0.0
    output_tokens_per_s: float = 0.0
    token_s: float = 0.0  # of a pass of one token of late; 0 is unknown
    energy: EnergyTotals | None = None  # None while loading


Frame: TypeAlias = (
    Hello | Loading | Fit | Ready | Submit | Count | Cancel | Stop | Accepted | Counted | Text | Ended | Refused | Stats
)

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Frame] = msgspec.msgpack.Decoder(Frame)


def encode(frame: Frame) -> bytes:
    """Raises InvalidRequest for text that is no Unicode, or too long for a frame."""
    try:
        body = _encoder.encode(frame)
    except UnicodeEncodeError as exc:
        raise InvalidRequest("the request has half of a surrogate pair, which is no character: send valid Unicode") from exc
    if len(body) > MAX_FRAME_BYTES:
        raise InvalidRequest(f"the request has {len(body)} bytes for the engine; the limit is {MAX_FRAME_BYTES}: shorten it")
    return len(body).to_bytes(LENGTH_BYTES) + body


def decode(body: bytes) -> Frame:
    """Raises UpstreamBroken for anything that is not a frame."""
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise UpstreamBroken(
            f"a frame of {len(body)} bytes between node and engine makes no sense: {type(exc).__name__}"
        ) from exc


async def read_frame(reader: asyncio.StreamReader) -> Frame | None:
    """The next frame; None when the other side has gone. Raises UpstreamBroken for nonsense."""
    try:
        length = int.from_bytes(await reader.readexactly(LENGTH_BYTES))
        if length > MAX_FRAME_BYTES:
            raise UpstreamBroken(f"a frame of {length} bytes between node and engine; the limit is {MAX_FRAME_BYTES}")
        return decode(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def check_hello(frame: Frame | None) -> None:
    """Raises UpstreamBroken unless the other side speaks this protocol."""
    if not isinstance(frame, Hello) or frame.protocol != PROTOCOL:
        said = f"protocol {frame.protocol}" if isinstance(frame, Hello) else "something else"
        raise UpstreamBroken(
            f"the node speaks engine protocol {PROTOCOL}, the other side {said}: restart both from one installation"
        )


_KINDS: Final[dict[str, type[FreeholdError]]] = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, FreeholdError)
}


def refused(error: FreeholdError, request: int | None) -> Refused:
    return Refused(
        request=request,
        kind=type(error).__name__,
        message=error.message,
        code=error.code,
        param=getattr(error, "param", None),
        retry_after_s=getattr(error, "retry_after_s", None),
    )


def error_of(frame: Refused) -> FreeholdError:
    """The error that `refused` was made from."""
    kind = _KINDS.get(frame.kind, InternalError)
    if issubclass(kind, InvalidRequest):
        return kind(frame.message, param=frame.param, code=frame.code)
    if issubclass(kind, UpstreamUnavailable):
        return kind(frame.message, retry_after_s=frame.retry_after_s, code=frame.code)
    if kind.__init__ is not FreeholdError.__init__:
        kind = InternalError
    return kind(frame.message, code=frame.code)
