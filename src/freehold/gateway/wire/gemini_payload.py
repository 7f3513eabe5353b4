"""What is read of Gemini's payloads: the structs, and counts and log-probabilities in our words."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from freehold.core.errors import UpstreamBroken
from freehold.core.events import TokenLogprob, Usage
from freehold.gateway.wire.decoder import NAME_LIMIT_CHARS, count, struct_parser

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


parse = struct_parser(Document)


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
    prompt, tools = count(counts.get("promptTokenCount")), count(counts.get("toolUsePromptTokenCount"))
    answer, thoughts = count(counts.get("candidatesTokenCount")), count(counts.get("thoughtsTokenCount"))
    total = count(counts.get("totalTokenCount"))
    read = None if prompt is None else prompt + (tools or 0)
    written = None if answer is None else answer + (thoughts or 0)
    if written is None and total is not None and read is not None and total >= read:
        written = total - read
    return Usage(
        input_tokens=read,
        output_tokens=written,
        cached_input_tokens=count(counts.get("cachedContentTokenCount")),
        reasoning_tokens=thoughts,
    )


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
