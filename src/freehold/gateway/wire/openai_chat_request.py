"""A chat completion request: validated into an Exchange, walked leaf by leaf, written anew for an upstream.

What we understand is checked here, once, with the field's name in the error. What we do not know is left in the document: a
remote provider gets it, our engine ignores it. Refused is what would come back in a form the guard can't read (audio, custom
tools), rather than passed on unseen.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, cast

from freehold.core.errors import InvalidRequest
from freehold.core.exchange import Exchange, Message, Path, Role, Sampling, Tool, ToolCall
from freehold.core.findings import Channel
from freehold.gateway.wire import fields
from freehold.gateway.wire.codec import Incoming, Leaf
from freehold.gateway.wire.fields import TOKENS_LIMIT
from freehold.gateway.wire.leaves import walk
from freehold.gateway.wire.openai_chat_prompt import response_format_of, tool_choice_of

DIALECT = "openai.chat"
OPERATION = "chat"

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
ROLE_CHANNELS: dict[Role, Channel] = {
    "system": Channel.SYSTEM,
    "user": Channel.USER,
    "assistant": Channel.ASSISTANT,
    "tool": Channel.TOOL_RESULT,
}
_STOP_LIMIT = 16  # OpenAI takes 4, others 16
_CHOICES_LIMIT = 128
_BIASES_LIMIT = 1024

# Words of the format itself. A string that equals one of them holds nothing to find.
_WORDS = (
    "messages model role content system developer user assistant tool function type text name stream stream_options"
    " include_usage temperature top_p top_k min_p n stop seed max_tokens max_completion_tokens logprobs top_logprobs tools"
    " tool_choice tool_calls tool_call_id id arguments parameters description strict required properties object string number"
    " integer boolean array null items enum auto none response_format json_object json_schema schema presence_penalty"
    " frequency_penalty repetition_penalty image_url url detail parallel_tool_calls metadata store additionalProperties"
)
VOCABULARY = frozenset(_WORDS.split())


def decode(incoming: Incoming) -> Exchange:
    """Raises InvalidRequest naming the field at fault."""
    document = incoming.document
    model = fields.model_name(document)
    _refuse_unscannable(document)
    stream = fields.boolean(document, "stream") or False
    _check_response_format(document)
    tool_choice, unsaid = fields.said(partial(tool_choice_of, document), lambda: None)
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
        messages=_messages(document),
        tools=_tools(document),
        sampling=_sampling(document),
        response_format=response_format_of(document),
        tool_choice=tool_choice,
        parallel_tool_calls=fields.boolean(document, "parallel_tool_calls"),
        include_usage=_include_usage(document, stream),
        choices=fields.integer(document, "n", 1, _CHOICES_LIMIT) or 1,
        headers=incoming.headers,
        can_wait=fields.text(document, "service_tier") == "flex",
        unsaid=unsaid,
    )


def same_document(exchange: Exchange, *, model: str, ask_usage: bool) -> Mapping[str, Any]:
    """The same request under the provider's name of the model, asked for usage where a stream would go without."""
    document = exchange.document
    if model != exchange.model:
        document = {**document, "model": model}
    if ask_usage and exchange.stream and not exchange.include_usage:
        document = {**document, "stream_options": {**(document.get("stream_options") or {}), "include_usage": True}}
    return document


def leaves(document: Mapping[str, Any]) -> list[Leaf]:
    """Every string and key that is not a word of the format itself, with its channel."""
    return walk(document, _channel_of, VOCABULARY)


def _channel_of(path: Path, value: Any, around: Channel) -> Channel:
    """What lies where: `messages` by role, tool calls and reasoning in them, `tools`; anything else is around it or OTHER."""
    if not path:
        return Channel.OTHER
    if path[0] == "tools":
        return Channel.TOOL_DESCRIPTION
    if path[0] != "messages":
        return Channel.OTHER
    if len(path) == 2 and isinstance(value, Mapping):
        role = _ROLES.get(value["role"]) if isinstance(value.get("role"), str) else None
        return ROLE_CHANNELS[role] if role else Channel.OTHER
    match path[-1]:
        case "arguments" if "tool_calls" in path:
            return Channel.TOOL_ARGUMENTS
        case "reasoning_content":
            return Channel.REASONING
        case "file_data" | "data":  # of a file, of a sound: base64
            return Channel.FILE
        case "url" if isinstance(value, str) and value.startswith("data:"):
            return Channel.FILE
    return around


def _refuse_unscannable(document: Mapping[str, Any]) -> None:
    if fields.sequence(document, "functions"):
        raise fields.unsupported("functions", "use tools instead")
    for modality in fields.sequence(document, "modalities") or ():
        if modality != "text":
            raise fields.unsupported("modalities", "only text answers can be guarded")


def _check_response_format(document: Mapping[str, Any]) -> None:
    form = fields.mapping(document, "response_format")
    if form is not None and form.get("type") not in ("text", "json_object", "json_schema"):
        raise fields.wrong("response_format.type", "text, json_object or json_schema")


def _include_usage(document: Mapping[str, Any], stream: bool) -> bool:
    options = fields.mapping(document, "stream_options")
    if options is None:
        return False
    if not stream:
        raise InvalidRequest("stream_options: only allowed with stream true", param="stream_options", code="invalid_value")
    return fields.boolean(options, "include_usage", "stream_options.") or False


def _messages(document: Mapping[str, Any]) -> tuple[Message, ...]:
    items = fields.sequence(document, "messages")
    if not items:
        raise fields.missing("messages")
    return tuple(_message(item, f"messages[{number}]") for number, item in enumerate(items))


def _message(item: Any, where: str) -> Message:
    document = fields.member(item, where)
    at = where + "."
    role = _ROLES.get(fields.required_text(document, "role", at))
    if role is None:
        raise fields.wrong(at + "role", "one of " + ", ".join(_ROLES))
    content, attachments = _content(document, at)
    calls = tuple(
        _tool_call(call, f"{at}tool_calls[{number}]")
        for number, call in enumerate(fields.sequence(document, "tool_calls", at) or ())
    )
    if content is None and not calls and role != "assistant":
        raise fields.missing(at + "content", "missing")
    return Message(
        role=role,
        text=content or "",
        name=fields.text(document, "name", at),
        tool_calls=calls,
        tool_call_id=_call_id(document, role, at),
        attachments=attachments,
    )


def _call_id(document: Mapping[str, Any], role: Role, at: str) -> str | None:
    if role == "tool" and document.get("role") == "tool":
        return fields.required_text(document, "tool_call_id", at)
    return fields.text(document, "tool_call_id", at)


def _content(document: Mapping[str, Any], at: str) -> tuple[str | None, int]:
    """The text of a message, its parts joined by line ends, and how many parts are not text."""
    content = document.get("content")
    if content is None or isinstance(content, str):
        return content, 0
    if not isinstance(content, list):
        raise fields.wrong(at + "content", "a string or a list of parts")
    texts: list[str] = []
    attachments = 0
    for number, item in enumerate(content):
        where = f"{at}content[{number}]"
        part = fields.member(item, where)
        match fields.required_text(part, "type", where + "."):
            case "text" | "refusal" as kind:
                texts.append(fields.text(part, kind, where + ".") or "")
            case _:
                attachments += 1
    return "\n".join(texts), attachments


def _tool_call(item: Any, where: str) -> ToolCall:
    call = fields.member(item, where)
    function = fields.mapping(call, "function", where + ".")
    if function is None:
        raise fields.wrong(where + ".function", "an object: only function tools are supported")
    return ToolCall(
        call_id=fields.required_text(call, "id", where + "."),
        name=fields.required_text(function, "name", where + ".function."),
        arguments=fields.text(function, "arguments", where + ".function.") or "",
    )


def _tools(document: Mapping[str, Any]) -> tuple[Tool, ...]:
    return tuple(_tool(item, f"tools[{number}]") for number, item in enumerate(fields.sequence(document, "tools") or ()))


def _tool(item: Any, where: str) -> Tool:
    tool = fields.member(item, where)
    if tool.get("type") != "function":
        raise fields.wrong(where + ".type", "function: other kinds of tools can't be guarded yet")
    function = fields.mapping(tool, "function", where + ".") or {}
    at = where + ".function."
    return Tool(
        name=fields.required_text(function, "name", at),
        description=fields.text(function, "description", at) or "",
        parameters=cast(Mapping[str, Any], fields.mapping(function, "parameters", at) or {}),
        is_strict=fields.boolean(function, "strict", at),
    )


def _sampling(document: Mapping[str, Any]) -> Sampling:
    top_k = fields.integer(document, "top_k", -1, TOKENS_LIMIT)  # -1 and 0 switch it off, as vLLM has it
    max_tokens = fields.integer(document, "max_completion_tokens", 1, TOKENS_LIMIT)
    older = fields.integer(document, "max_tokens", 1, TOKENS_LIMIT)
    if max_tokens is not None and older is not None and max_tokens != older:  # what holds then is each provider's to say
        what = "max_tokens: says otherwise than max_completion_tokens, which took its place; leave it out"
        raise InvalidRequest(what, param="max_tokens", code="invalid_value")
    return Sampling(
        max_tokens=older if max_tokens is None else max_tokens,
        temperature=fields.number(document, "temperature", 0, 2),
        top_p=_positive(document, "top_p", 1),
        top_k=top_k if top_k is not None and top_k > 0 else None,
        min_p=fields.number(document, "min_p", 0, 1),
        repetition_penalty=_positive(document, "repetition_penalty", 10),
        presence_penalty=fields.number(document, "presence_penalty", -2, 2),
        frequency_penalty=fields.number(document, "frequency_penalty", -2, 2),
        seed=fields.integer(document, "seed", -(1 << 63), (1 << 63) - 1),
        stop=_stop(document),
        top_logprobs=_top_logprobs(document),
        logit_bias=_logit_bias(document),
    )


def _logit_bias(document: Mapping[str, Any]) -> tuple[tuple[int, float], ...]:
    """Token numbers are keys, and so strings."""
    biases = fields.mapping(document, "logit_bias") or {}
    if len(biases) > _BIASES_LIMIT or not all(token.isascii() and token.isdigit() and len(token) < 8 for token in biases):
        raise fields.wrong("logit_bias", f"an object of up to {_BIASES_LIMIT} token numbers with a bias each")
    return tuple((int(token), fields.number(biases, token, -100, 100, "logit_bias.") or 0.0) for token in biases)


def _positive(document: Mapping[str, Any], key: str, high: float) -> float | None:
    value = fields.number(document, key, 0, high)
    if value == 0:
        raise fields.wrong(key, f"a number above 0, up to {high:g}")
    return value


def _stop(document: Mapping[str, Any]) -> tuple[str, ...]:
    stop = document.get("stop")
    if stop is None:
        return ()
    items = [stop] if isinstance(stop, str) else stop
    if not isinstance(items, list) or len(items) > _STOP_LIMIT or not all(isinstance(item, str) and item for item in items):
        raise fields.wrong("stop", f"a string or up to {_STOP_LIMIT} strings, none of them empty")
    return tuple(items)


def _top_logprobs(document: Mapping[str, Any]) -> int | None:
    wanted = fields.boolean(document, "logprobs")
    top = fields.integer(document, "top_logprobs", 0, 20)
    if not wanted:
        if top:
            raise InvalidRequest("top_logprobs: needs logprobs true", param="top_logprobs", code="invalid_value")
        return None
    return top or 0
