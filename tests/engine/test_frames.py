import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core import errors
from freehold.core.errors import FreeholdError, InternalError, InvalidRequest, UpstreamBroken, UpstreamUnavailable
from freehold.core.events import FinishReason, TokenLogprob, Worked
from freehold.core.exchange import Message, ResponseFormat, Sampling, Tool, ToolCall, ToolChoice
from freehold.engine import frames
from freehold.engine.frames import (
    MAX_FRAME_BYTES,
    PROTOCOL,
    Accepted,
    Cancel,
    Count,
    Counted,
    Ended,
    Frame,
    Hello,
    Loading,
    Ready,
    Refused,
    Stats,
    Stop,
    Submit,
    Text,
    check_hello,
    decode,
    encode,
    error_of,
    read_frame,
    refused,
)
from freehold.engine.stops import Piece

SECRET = "what the user wrote"
TOKEN = TokenLogprob(token="é", token_bytes=b"\xc3", logprob=-0.5, top=(("é", b"\xc3", -0.5),))
MESSAGES = (
    Message(role="user", text=SECRET, name="n"),
    Message(role="assistant", text="", tool_calls=(ToolCall(call_id="1", name="f", arguments="{}"),)),
)
FRAMES: list[Frame] = [
    Hello(protocol=PROTOCOL, version="1"),
    Loading(what="weights", done=1, total=2),
    Ready(model_id="a", template_digest="b", build="c", context_tokens=1, supports_tools=True),
    Submit(
        request=1,
        messages=MESSAGES,
        tools=(Tool(name="f", description=SECRET, parameters={"type": "object", "x": [1, None, 1.5, {"y": True}]}),),
        sampling=Sampling(temperature=0.5, stop=("a",), top_logprobs=0),
        seed=(1 << 64) - 1,
        choices=2,
        response_format=ResponseFormat(kind="json_schema", schema={"const": SECRET}),
        tool_choice=ToolChoice(mode="named", name="f"),
        parallel_tool_calls=False,
    ),
    Count(request=1, messages=MESSAGES, tools=()),
    Counted(request=1, input_tokens=2),
    Cancel(request=1),
    Stop(),
    Accepted(request=1, input_tokens=2),
    Text(request=1, piece=Piece(text=SECRET, logprobs=(TOKEN,)), worked=Worked(compute_s=0.5, prefill_s=0.25, decode_s=0.25)),
    Ended(
        request=1,
        reason=FinishReason.LENGTH,
        input_tokens=1,
        output_tokens=2,
        worked=Worked(compute_s=0.5, prefill_s=0.25, decode_s=0.25),
    ),
    Refused(request=None, kind="DeviceError", message="m", code="c"),
    Stats(running=1, busy_s=0.5),
]


async def read(data: bytes) -> Frame | None:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return await read_frame(reader)


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: type(frame).__name__)
async def test_every_frame_comes_back_as_it_was(frame: Frame) -> None:
    assert await read(encode(frame)) == frame


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: type(frame).__name__)
def test_no_frame_shows_what_people_wrote(frame: Frame) -> None:
    assert SECRET not in repr(frame)


async def test_the_end_of_the_socket_is_none_even_inside_a_frame() -> None:
    assert await read(b"") is None
    assert await read(encode(Stop())[:-1]) is None


async def test_a_length_beyond_the_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(UpstreamBroken, match="the limit is"):
        await read((MAX_FRAME_BYTES + 1).to_bytes(4))


def test_a_frame_too_long_is_the_callers_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "MAX_FRAME_BYTES", 10)
    with pytest.raises(InvalidRequest, match="shorten it"):
        encode(Loading(what="x" * 20, done=0, total=0))


def test_half_a_surrogate_pair_is_the_callers_fault() -> None:
    with pytest.raises(InvalidRequest, match="surrogate"):
        encode(Loading(what="\ud800", done=0, total=0))


@settings(max_examples=200)
@given(st.binary(max_size=60))
def test_nonsense_is_a_broken_upstream(body: bytes) -> None:
    try:
        decode(body)
    except UpstreamBroken:
        return


@pytest.mark.parametrize("frame", [None, Stop(), Hello(protocol=PROTOCOL + 1, version="1")])
def test_another_protocol_is_refused(frame: Frame | None) -> None:
    with pytest.raises(UpstreamBroken, match=f"engine protocol {PROTOCOL}"):
        check_hello(frame)


@pytest.mark.parametrize(
    "error",
    [
        InvalidRequest("m", param="p", code="c"),
        UpstreamUnavailable("m", retry_after_s=2.0),
        errors.MalformedArtefact("m"),
        errors.DeviceError("m"),
        InternalError("m"),
    ],
)
def test_errors_cross_the_socket_whole(error: FreeholdError) -> None:
    found = error_of(refused(error, 1))
    assert type(found) is type(error)
    for name in ("message", "code", "status", "param", "retry_after_s"):
        assert getattr(found, name, None) == getattr(error, name, None)


def test_an_error_of_an_unknown_kind_is_our_own() -> None:
    assert type(error_of(Refused(request=1, kind="Mystery", message="m", code="c"))) is InternalError
    assert type(error_of(Refused(request=1, kind="UpstreamRejected", message="m", code="c"))) is InternalError
