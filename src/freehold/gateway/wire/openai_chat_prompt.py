"""A chat completion request in no dialect's words, and back.

Dropped in reading is what steers billing, storage and caching: it changes no answer. Refused by name is what would change it and
no other dialect can say. A past thought goes to a provider as `reasoning_content` only where no seal is on it: a sealed one is of
another provider, and providers that never think aloud refuse the field.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, assert_never

from freehold.core.exchange import Exchange, ResponseFormat, Role, Sampling, ToolChoice
from freehold.gateway.wire import fields
from freehold.gateway.wire import openai_media as media
from freehold.gateway.wire.prompt import CallPart, MediaPart, Prompt, PromptTool, ReasoningPart, ResultPart, TextPart, Turn

_DIALECT = "openai.chat"
_ROLES: dict[str, Role] = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}
_MODES: dict[str, Literal["auto", "none", "required"]] = {"auto": "auto", "none": "none", "required": "required"}
_ONLY_HERE = ("logit_bias", "web_search_options", "audio", "functions", "function_call")  # no other dialect has them
_SAMPLING = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty", "seed")

_Said: TypeAlias = TextPart | MediaPart | ReasoningPart | CallPart  # what is no result


def read(exchange: Exchange) -> Prompt:
    """Raises InvalidRequest naming a field that no other dialect has."""
    document = exchange.document
    for name in _ONLY_HERE:
        if document.get(name):
            raise fields.unsupported(name, "only a provider of chat completions has it")
    return Prompt(
        turns=_turns(document),
        tools=tuple(_tool(item, f"tools[{at}].") for at, item in enumerate(fields.sequence(document, "tools") or ())),
        tool_choice=tool_choice_of(document),
        parallel_tool_calls=fields.boolean(document, "parallel_tool_calls"),
        sampling=exchange.sampling,
        choices=exchange.choices,
        response_format=response_format_of(document),
        reasoning=media.read_effort(fields.text(document, "reasoning_effort"), "reasoning_effort"),
        user=fields.text(document, "user") or fields.text(document, "safety_identifier"),
    )


def write(prompt: Prompt, *, model: str) -> dict[str, Any]:
    """The document for a provider. Raises InvalidRequest for what chat completions can't say."""
    document: dict[str, Any] = {
        "model": model,
        "messages": _messages(prompt.turns),
        "stream": True,
        "stream_options": {"include_usage": True},
        **_written_sampling(prompt.sampling),
    }
    if prompt.choices > 1:
        document["n"] = prompt.choices
    if prompt.tools:  # choices among no tools are refused by providers
        document["tools"] = [_written_tool(tool) for tool in prompt.tools]
        if prompt.tool_choice is not None:
            document["tool_choice"] = _written_choice(prompt.tool_choice)
        if prompt.parallel_tool_calls is not None:
            document["parallel_tool_calls"] = prompt.parallel_tool_calls
    if prompt.response_format is not None:
        document["response_format"] = _written_format(prompt.response_format)
    if (effort := media.write_effort(prompt.reasoning)) is not None:
        document["reasoning_effort"] = effort
    if prompt.user is not None:
        document["user"] = prompt.user
    return document


def _turns(document: Mapping[str, Any]) -> tuple[Turn, ...]:
    """One turn a message; the results that follow each other are one turn, as they answer one."""
    turns: list[Turn] = []
    for at, item in enumerate(fields.sequence(document, "messages") or ()):
        where = f"messages[{at}]."
        turn = _turn(fields.member(item, where[:-1]), where)
        if turn.role == "tool" and turns and turns[-1].role == "tool":
            turn = Turn(role="tool", parts=turns.pop().parts + turn.parts)
        turns.append(turn)
    return tuple(turns)


def _turn(message: Mapping[str, Any], where: str) -> Turn:
    role = _ROLES.get(fields.required_text(message, "role", where))
    if role is None:
        raise fields.unsupported(where + "role", "only a provider of chat completions has it")
    name = fields.text(message, "name", where)
    parts = tuple(_part(part, at) for part, at in _content(message, where))
    if role == "tool":
        given = tuple(part for part in parts if isinstance(part, TextPart | MediaPart))
        return Turn(role="tool", parts=(ResultPart(call_id=fields.required_text(message, "tool_call_id", where), parts=given),))
    if role != "assistant":
        return Turn(role=role, parts=parts, name=name)
    thought = fields.text(message, "reasoning_content", where) or fields.text(message, "reasoning", where)
    refusal = fields.text(message, "refusal", where)
    calls = fields.sequence(message, "tool_calls", where) or ()
    return Turn(
        role=role,
        name=name,
        parts=(
            *((ReasoningPart(text=thought),) if thought else ()),
            *parts,
            *((TextPart(text=refusal),) if refusal else ()),
            *(_call(call, f"{where}tool_calls[{at}]") for at, call in enumerate(calls)),
        ),
    )


def _content(message: Mapping[str, Any], where: str) -> list[tuple[Mapping[str, Any], str]]:
    content = message.get("content")
    if isinstance(content, str):
        return [({"type": "text", "text": content}, where)] if content else []
    return [
        (fields.member(item, f"{where}content[{at}]"), f"{where}content[{at}].")
        for at, item in enumerate(fields.sequence(message, "content", where) or ())
    ]


def _part(part: Mapping[str, Any], at: str) -> TextPart | MediaPart | ReasoningPart:
    match fields.required_text(part, "type", at):
        case "thinking":  # Mistral's
            thoughts = [fields.member(item, at + "thinking[]") for item in fields.sequence(part, "thinking", at) or ()]
            return ReasoningPart(text="".join(fields.text(item, "text", at + "thinking[].") or "" for item in thoughts))
        case "text":
            return TextPart(text=fields.text(part, "text", at) or "", cache_control=fields.mapping(part, "cache_control", at))
        case "refusal":
            return TextPart(text=fields.text(part, "refusal", at) or "")
        case "image_url":
            return _of_url("image", part, "image_url", at)
        case "video_url":  # vLLM and others
            return _of_url("video", part, "video_url", at)
        case "input_audio":
            return media.of_audio(fields.mapping(part, "input_audio", at) or {}, at + "input_audio.")
        case "file":
            return media.of_file(fields.mapping(part, "file", at) or {}, at + "file.")
        case _:
            raise fields.unsupported(
                at + "type", "only text, images, audio, video and files can go to a provider of another dialect"
            )


def _of_url(kind: Literal["image", "video"], part: Mapping[str, Any], key: str, at: str) -> MediaPart:
    where = fields.mapping(part, key, at) or {}
    url = fields.required_text(where, "url", f"{at}{key}.")
    return media.of_url(kind, url, detail=fields.text(where, "detail", f"{at}{key}."))


def _call(item: Any, where: str) -> CallPart:
    call = fields.member(item, where)
    function = fields.mapping(call, "function", where + ".") or {}
    return CallPart(
        call_id=fields.required_text(call, "id", where + "."),
        name=fields.required_text(function, "name", where + ".function."),
        arguments=fields.text(function, "arguments", where + ".function.") or "{}",
    )


def _tool(item: Any, at: str) -> PromptTool:
    tool = fields.member(item, at[:-1])
    function = fields.mapping(tool, "function", at) or {}
    return PromptTool(
        name=fields.required_text(function, "name", at + "function."),
        description=fields.text(function, "description", at + "function.") or "",
        parameters=fields.mapping(function, "parameters", at + "function.") or {},
        is_strict=fields.boolean(function, "strict", at + "function."),
        cache_control=fields.mapping(tool, "cache_control", at),
    )


def tool_choice_of(document: Mapping[str, Any]) -> ToolChoice | None:
    choice = document.get("tool_choice")
    if choice is None:
        return None
    if isinstance(choice, str):
        if choice not in _MODES:
            raise fields.wrong("tool_choice", "auto, none, required or a function")
        return ToolChoice(mode=_MODES[choice])
    named = fields.mapping(document, "tool_choice") or {}
    if named.get("type") != "function":
        raise fields.unsupported("tool_choice.type", "only function can go to a provider of another dialect")
    function = fields.mapping(named, "function", "tool_choice.") or {}
    return ToolChoice(mode="named", name=fields.required_text(function, "name", "tool_choice.function."))


def response_format_of(document: Mapping[str, Any]) -> ResponseFormat | None:
    form = fields.mapping(document, "response_format")
    match form.get("type") if form is not None else None:
        case "json_schema":
            schema = fields.mapping(form or {}, "json_schema", "response_format.") or {}
            return media.read_schema(schema, "response_format.json_schema.")
        case "json_object":
            return ResponseFormat(kind="json_object")
        case "text":
            return ResponseFormat(kind="text")
        case _:
            return None


def _messages(turns: Iterable[Turn]) -> list[dict[str, Any]]:
    """Tool messages take text alone: what else a result holds follows the results as a user's message."""
    messages: list[dict[str, Any]] = []
    shown: list[dict[str, Any]] = []
    for turn in turns:
        results = [part for part in turn.parts if isinstance(part, ResultPart)]
        others = [part for part in turn.parts if not isinstance(part, ResultPart)]
        for result in results:
            messages.append({"role": "tool", "tool_call_id": result.call_id, "content": _result_text(result)})
            shown += _shown(result)
        if others or not results:
            if shown:
                messages.append({"role": "user", "content": shown})
                shown = []
            messages.append(_message(turn, others))
    return [*messages, {"role": "user", "content": shown}] if shown else messages


def _result_text(result: ResultPart) -> str:
    """Chat completions have no mark for a result that is an error: the text says so."""
    text = "\n".join(part.text for part in result.parts if isinstance(part, TextPart))
    return f"Error: {text}" if result.is_error else text


def _shown(result: ResultPart) -> list[dict[str, Any]]:
    seen = [_written_media(part) for part in result.parts if isinstance(part, MediaPart)]
    return [{"type": "text", "text": f"Part of the result of tool call {result.call_id}:"}, *seen] if seen else []


def _message(turn: Turn, parts: Sequence[_Said]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": turn.role, **({"name": turn.name} if turn.name else {})}
    if turn.role == "user":
        written = [_written_part(part) for part in parts]
        plain = len(written) == 1 and written[0]["type"] == "text"
        return {**message, "content": written[0]["text"] if plain else written or ""}
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[dict[str, Any]] = []
    for part in parts:
        match part:
            case TextPart():
                texts.append(part.text)
            case ReasoningPart():
                if part.signature is None and part.text:
                    thoughts.append(part.text)
            case CallPart():
                function = {"name": part.name, "arguments": part.arguments}
                calls.append({"id": part.call_id, "type": "function", "function": function})
            case MediaPart():
                raise fields.lacks(_DIALECT, f"{part.kind} of the {turn.role}'s")
            case _:
                assert_never(part)
    message["content"] = "\n".join(texts) if texts or not calls else None  # a list of parts is more than many providers take
    if thoughts:
        message["reasoning_content"] = "\n".join(thoughts)
    if calls:
        message["tool_calls"] = calls
    return message


def _written_part(part: _Said) -> dict[str, Any]:
    match part:
        case TextPart():
            return {"type": "text", "text": part.text}
        case MediaPart():
            return _written_media(part)
        case _:
            raise fields.lacks(_DIALECT, "a thought or a call of the user's")


def _written_media(part: MediaPart) -> dict[str, Any]:
    match part.kind:
        case "image" | "video":
            if (url := media.to_url(part)) is not None:
                detail = {"detail": part.detail} if part.detail else {}
                return {"type": f"{part.kind}_url", f"{part.kind}_url": {"url": url, **detail}}
        case "audio":
            if (audio := media.to_audio(part)) is not None:
                return {"type": "input_audio", "input_audio": audio}
        case "file":
            if file := media.to_file(part):
                return {"type": "file", "file": file}
        case _:
            assert_never(part.kind)
    raise fields.lacks(_DIALECT, f"{part.kind} {'by URL' if part.url else 'by file id' if part.file_id else part.media_type}")


def _written_tool(tool: PromptTool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    if tool.parameters:
        function["parameters"] = dict(tool.parameters)
    if (is_strict := media.write_strict(tool.parameters, tool.is_strict)) is not None:
        function["strict"] = is_strict
    return {"type": "function", "function": function}


def _written_choice(choice: ToolChoice) -> str | dict[str, Any]:
    return {"type": "function", "function": {"name": choice.name}} if choice.mode == "named" else choice.mode


def _written_format(form: ResponseFormat) -> dict[str, Any]:
    if form.kind == "json_schema":
        return {"type": "json_schema", "json_schema": media.write_schema(form)}
    return {"type": form.kind}


def _written_sampling(sampling: Sampling) -> dict[str, Any]:
    document = {name: value for name in _SAMPLING if (value := getattr(sampling, name)) is not None}
    if sampling.max_tokens is not None:
        document["max_completion_tokens"] = sampling.max_tokens
    if sampling.stop:
        document["stop"] = list(sampling.stop)
    if sampling.top_logprobs is not None:
        document["logprobs"] = True
        if sampling.top_logprobs:
            document["top_logprobs"] = sampling.top_logprobs
    return document
