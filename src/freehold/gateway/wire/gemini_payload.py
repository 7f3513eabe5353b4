"""What is read of Gemini's payloads: the structs, and counts, log-probabilities and errors in our words.

The structs are all that is read; msgspec parses and checks them in one pass, and whatever else a provider sends is skipped.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from freehold.core.errors import UpstreamBroken, UpstreamRejected
from freehold.core.events import TokenLogprob, Usage

NAME_LIMIT_CHARS = 256
_MESSAGE_LIMIT_CHARS = 2000

_Index = Annotated[int, msgspec.Meta(ge=0, lt=128)]
_Name = Annotated[str, msgspec.Meta(max_length=NAME_LIMIT_CHARS)]


class Call(msgspec.Struct, rename="camel"):
    name: _Name | None = None
    id: _Name | None = None
    args: msgspec.Raw = msgspec.Raw(b"null")  # as the model wrote them
    partial_args: Any = None
    will_continue: Any = None


class Part(msgspec.Struct, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: Call | None = None


class Content(msgspec.Struct):
    parts: list[Part] | None = None


class Likely(msgspec.Struct, rename="camel"):
    token: str = ""
    log_probability: float = 0.0


class LikelyOnes(msgspec.Struct):
    candidates: list[Likely] | None = None


class Logprobs(msgspec.Struct, rename="camel"):
    chosen_candidates: list[Likely] | None = None
    top_candidates: list[LikelyOnes] | None = None


class Candidate(msgspec.Struct, rename="camel"):
    index: _Index | None = None
    content: Content | None = None
    finish_reason: str | None = None
    logprobs_result: Logprobs | None = None


class Feedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None


class Document(msgspec.Struct, rename="camel"):
    candidates: list[Candidate] | None = None
    prompt_feedback: Feedback | None = None
    usage_metadata: dict[str, Any] | None = None
    model_version: str | None = None
    response_id: str | None = None
    error: Any = None


_parse = msgspec.json.Decoder(Document).decode


def parse(data: bytes) -> Document:
    try:
        return _parse(data)
    except msgspec.ValidationError as exc:
        raise UpstreamBroken(f"the upstream sent a malformed answer: {exc}") from exc
    except (msgspec.MsgspecError, ValueError, RecursionError) as exc:  # ValueError: bad UTF-8, a number of thousands of digits
        raise UpstreamBroken("the upstream sent something that is not JSON") from exc


def arguments_text(call: Call) -> str:
    """The text of the arguments' object; empty where there is none."""
    try:
        text = bytes(call.args).decode()
    except UnicodeDecodeError as exc:
        raise UpstreamBroken("the upstream sent something that is not JSON") from exc
    if text == "null":
        return ""
    if not text.startswith("{"):
        raise UpstreamBroken("the upstream sent a call whose arguments are no object")
    return text


def read_usage(counts: dict[str, Any]) -> Usage:
    """Thoughts are counted apart from the answer, and a count of 0 is left out: the total tells."""
    prompt, tools = _count(counts, "promptTokenCount"), _count(counts, "toolUsePromptTokenCount")
    answer, thoughts = _count(counts, "candidatesTokenCount"), _count(counts, "thoughtsTokenCount")
    total = _count(counts, "totalTokenCount")
    read = None if prompt is None else prompt + (tools or 0)
    written = None if answer is None else answer + (thoughts or 0)
    if written is None and total is not None and read is not None and total >= read:
        written = total - read
    return Usage(
        input_tokens=read,
        output_tokens=written,
        cached_input_tokens=_count(counts, "cachedContentTokenCount"),
        reasoning_tokens=thoughts,
    )


def _count(counts: dict[str, Any], name: str) -> int | None:
    """A count that makes no sense is unknown: it is no reason to lose the answer."""
    value = counts.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53 else None


def read_logprobs(result: Logprobs | None, parts: Sequence[Part]) -> tuple[TokenLogprob, ...]:
    """Those of a text that is one part, if they tell that text and no other."""
    chosen = result.chosen_candidates if result is not None else None
    texts = [part.text for part in parts if part.text and not part.thought]
    if result is None or not chosen or texts != ["".join(likely.token for likely in chosen)]:
        return ()
    tops = result.top_candidates or []
    return tuple(
        TokenLogprob(
            token=likely.token,
            token_bytes=likely.token.encode("utf-8", "surrogatepass"),
            logprob=likely.log_probability,
            top=_top(tops[at]) if at < len(tops) else (),
        )
        for at, likely in enumerate(chosen)
    )


def _top(ones: LikelyOnes) -> tuple[tuple[str, bytes, float], ...]:
    return tuple(
        (likely.token, likely.token.encode("utf-8", "surrogatepass"), likely.log_probability) for likely in ones.candidates or ()
    )


def rejection(error: Any) -> UpstreamRejected:
    """An error in the place of an answer. Its words are the provider's: the gateway lets the guard see them."""
    message = error.get("message") if isinstance(error, dict) else error
    status = error.get("code") if isinstance(error, dict) else None
    known = isinstance(status, int) and not isinstance(status, bool) and 400 <= status <= 599
    return UpstreamRejected(
        message[:_MESSAGE_LIMIT_CHARS] if isinstance(message, str) and message else "the upstream broke off with an error",
        status=status if known and status is not None else 502,
    )
