"""A generateContent request: validated into an Exchange, walked leaf by leaf, sent on.

Model and method stand in the path, so the body goes on as it is. Fields are read under either spelling, and what we do not know
is left in the document. Refused is what would come back in a form the guard can't read: sounds and images, and calls whose
arguments come in pieces of their own shape.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from freehold.core.errors import InvalidRequest, NotFound
from freehold.core.exchange import Exchange, Path, Sampling, ToolChoice
from freehold.core.findings import Channel
from freehold.gateway.wire import fields
from freehold.gateway.wire.codec import Incoming, Leaf
from freehold.gateway.wire.fields import TOKENS_LIMIT
from freehold.gateway.wire.gemini_prompt import read
from freehold.gateway.wire.gemini_words import (
    DIALECT,
    METHODS,
    MODELS,
    NO_SEAL,
    OBJECTS,
    VOCABULARY,
    WRITTEN_MARKS,
    camel,
    foreign_seal,
    named,
    spelled,
)
from freehold.gateway.wire.leaves import walk
from freehold.gateway.wire.prompt import Prompt, mended, messages_of, tools_of

OPERATION = "generate_content"

_STOP_LIMIT = 16  # Gemini takes 5, others 16
_CHOICES_LIMIT = 128
_LEAST_TOP_P = 1e-6  # Gemini's 0 is the likeliest token alone, as is this; others refuse 0
_ROLE_CHANNELS = {"user": Channel.USER, "model": Channel.ASSISTANT, "function": Channel.TOOL_RESULT, "tool": Channel.TOOL_RESULT}
_PART_CHANNELS = {
    "functionCall": Channel.TOOL_ARGUMENTS,
    "executableCode": Channel.TOOL_ARGUMENTS,
    "functionResponse": Channel.TOOL_RESULT,
    "codeExecutionResult": Channel.TOOL_RESULT,
}


def decode(incoming: Incoming) -> Exchange:
    """Raises InvalidRequest naming the field at fault, NotFound for a method nobody has."""
    model, method = addressed(incoming, METHODS)
    stream = _is_stream(incoming, method)
    document = incoming.document
    config = generation_config(document)
    _refuse_unscannable(document, config)
    prompt, unsaid = prompt_of(document)
    return Exchange(
        id=incoming.exchange_id,
        received_at_ns=incoming.received_at_ns,
        principal=incoming.principal,
        dialect=DIALECT,
        operation=OPERATION,
        model=model,
        stream=stream,
        body=incoming.body,
        document=document,
        messages=messages_of(prompt),
        tools=() if prompt.tool_choice == ToolChoice(mode="none") else tools_of(prompt),
        sampling=_sampling(config),
        response_format=prompt.response_format,
        tool_choice=prompt.tool_choice,
        include_usage=True,
        choices=fields.integer(config, "candidateCount", 1, _CHOICES_LIMIT) or 1,
        headers=incoming.headers,
        can_wait=(fields.text(named(document), "serviceTier") or "").lower() == "flex",
        unsaid=unsaid,
    )


def prompt_of(document: Mapping[str, Any]) -> tuple[Prompt, str | None]:
    """The prompt, and what of the request the exchange's own fields don't say."""
    return fields.said(partial(read, document, is_strict=True), partial(read, document, is_strict=False))


def same_document(exchange: Exchange, *, model: str) -> Mapping[str, Any]:
    """The body as it is. Some clients repeat the model in it: that must be the path's."""
    document = mended(exchange, ("contents", "parts"), _own_seal, WRITTEN_MARKS)
    if "model" in document and model != exchange.model:
        return {**document, "model": MODELS + model.removeprefix(MODELS)}
    return document


def _own_seal(part: Any) -> Any:
    """The part without the seal of another dialect's provider; a call of its gets what stands for one."""
    seal = spelled(part, "thoughtSignature") if isinstance(part, dict) else None
    if not isinstance(seal, str) or foreign_seal(seal) is None:
        return part
    kept = {key: value for key, value in part.items() if camel(key) != "thoughtSignature"}
    return {**kept, "thoughtSignature": NO_SEAL} if spelled(part, "functionCall") else kept


def leaves(document: Mapping[str, Any]) -> list[Leaf]:
    """Every string and key that is not a word of the format itself, with its channel."""
    return walk(document, channel_of, VOCABULARY, OBJECTS)


def generation_config(document: Mapping[str, Any]) -> Mapping[str, Any]:
    return named(fields.mapping(named(document), "generationConfig") or {}, "generationConfig.")


def wants_thoughts(document: Mapping[str, Any]) -> bool:
    """Whether the client asked to see what the model thinks: Gemini shows it to nobody else."""
    thinking = named(fields.mapping(generation_config(document), "thinkingConfig", "generationConfig.") or {})
    return fields.boolean(thinking, "includeThoughts", "generationConfig.thinkingConfig.") or False


def addressed(incoming: Incoming, methods: Iterable[str]) -> tuple[str, str]:
    """The model's name and the method, which stand in the path."""
    model, _, method = incoming.path.rpartition(":")
    model = model.removeprefix(MODELS)
    if method not in methods or not model:
        raise NotFound("no such method: this node takes " + " and ".join(f"models/MODEL:{name}" for name in METHODS))
    if len(model) > fields.MODEL_LIMIT_CHARS:
        raise fields.wrong("model", f"at most {fields.MODEL_LIMIT_CHARS} characters")
    return model, method


def _is_stream(incoming: Incoming, method: str) -> bool:
    if METHODS[method] and incoming.query.get("alt") != "sse":  # Google would stream the elements of one JSON array
        raise InvalidRequest("alt: this node streams server-sent events alone; add ?alt=sse to the address", param="alt")
    return METHODS[method]


def _refuse_unscannable(document: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    for modality in fields.sequence(config, "responseModalities", "generationConfig.") or ():
        if not isinstance(modality, str) or modality.upper() not in ("TEXT", "MODALITY_UNSPECIFIED"):
            raise fields.unsupported("generationConfig.responseModalities", "only text answers can be guarded")
    tools = named(fields.mapping(named(document), "toolConfig") or {}, "toolConfig.")
    calling = named(fields.mapping(tools, "functionCallingConfig", "toolConfig.") or {}, "toolConfig.functionCallingConfig.")
    if calling.get("streamFunctionCallArguments"):
        at = "toolConfig.functionCallingConfig.streamFunctionCallArguments"
        raise fields.unsupported(at, "calls are guarded whole; leave it out")


def _sampling(config: Mapping[str, Any]) -> Sampling:
    top_p, top_k = fields.number(config, "topP", 0, 1), fields.number(config, "topK", 0, TOKENS_LIMIT)
    return Sampling(
        max_tokens=fields.integer(config, "maxOutputTokens", 1, TOKENS_LIMIT),
        temperature=fields.number(config, "temperature", 0, 2),
        top_p=max(top_p, _LEAST_TOP_P) if top_p is not None else None,
        top_k=int(top_k) if top_k else None,
        presence_penalty=fields.number(config, "presencePenalty", -2, 2),
        frequency_penalty=fields.number(config, "frequencyPenalty", -2, 2),
        seed=fields.integer(config, "seed", -(1 << 63), (1 << 63) - 1),
        stop=_stop(config),
        top_logprobs=_top_logprobs(config),
    )


def _stop(config: Mapping[str, Any]) -> tuple[str, ...]:
    items = fields.sequence(config, "stopSequences", "generationConfig.") or []
    if len(items) > _STOP_LIMIT or not all(isinstance(item, str) and item for item in items):
        raise fields.wrong("generationConfig.stopSequences", f"up to {_STOP_LIMIT} strings, none of them empty")
    return tuple(items)


def _top_logprobs(config: Mapping[str, Any]) -> int | None:
    top = fields.integer(config, "logprobs", 0, 20)
    return (top or 0) if fields.boolean(config, "responseLogprobs", "generationConfig.") else None


def channel_of(path: Path, value: Any, around: Channel) -> Channel:
    """What lies where: the system's words, contents by role and kind of part, tools; anything else is around it or OTHER."""
    if not path:
        return Channel.OTHER
    match camel(str(path[0])):
        case "systemInstruction":
            return Channel.SYSTEM
        case "tools":
            return Channel.TOOL_DESCRIPTION
        case "contents":
            return _content_channel(path, value, around)
    return Channel.OTHER


def _content_channel(path: Path, value: Any, around: Channel) -> Channel:
    """`contents`, number, "parts", number, kind of part, and what is in it."""
    if len(path) == 2 and isinstance(value, Mapping):
        role = value.get("role", "user")
        return _ROLE_CHANNELS.get(role, Channel.OTHER) if isinstance(role, str) else Channel.OTHER
    if len(path) == 4 and isinstance(value, Mapping) and spelled(value, "thought") is True:
        return Channel.REASONING
    if len(path) == 5:
        return _PART_CHANNELS.get(camel(str(path[4])), around)
    if path[-1] == "data" and camel(str(path[-2])) == "inlineData":  # base64
        return Channel.FILE
    return around
