"""A Responses request in no dialect's words, and back.

A custom tool, whose input is free text, goes to other dialects as a function with one string `input`, a tool of a namespace with
both names in one; the answer's writer turns their calls back. Refused by name is what needs the provider's own tools or memory.
The seal of a thought travels in `encrypted_content`, marked with the dialect it came from, so that no provider is sent a seal it
did not make.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal, assert_never

import orjson

from freehold.core.exchange import Exchange, Role, Sampling
from freehold.gateway.wire import fields
from freehold.gateway.wire import openai_media as media
from freehold.gateway.wire.prompt import (
    CallPart,
    MediaPart,
    Part,
    Prompt,
    PromptTool,
    ReasoningPart,
    ResponseFormat,
    ResultPart,
    TextPart,
    ToolChoice,
    Turn,
)

ROLES: dict[str, Role] = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
FOREIGN_SEAL = "sealed."  # before a seal of another dialect's provider, in our answers' `encrypted_content`
OWN_SEAL = "openai.responses."  # before a seal of a provider of this dialect, where another dialect's client keeps it

_DIALECT = "openai.responses"
_MODES: dict[str, Literal["auto", "none", "required"]] = {"auto": "auto", "none": "none", "required": "required"}
_STATE = ("previous_response_id", "conversation", "prompt", "moderation")  # only a provider of the same dialect has them
_TOKENS_LIMIT = 1 << 31
_NO_PARAMETERS = {"type": "object", "properties": {}}
_SHELL = "local_shell"
_SHELL_PARAMETERS = {
    "type": "object",
    "properties": {
        "command": {"type": "array", "items": {"type": "string"}, "description": "the program and its arguments"},
        "workdir": {"type": "string", "description": "the directory to run it in"},
        "timeout_ms": {"type": "integer"},
    },
    "required": ["command"],
}


def read(exchange: Exchange) -> Prompt:
    return read_document(exchange.document)


def read_document(document: Mapping[str, Any]) -> Prompt:
    """Raises InvalidRequest: with the code "unsupported_parameter" for what no other dialect has."""
    for name in _STATE:
        if document.get(name):
            raise media.unsupported(name, "only a provider of the same dialect has it")
    reasoning = fields.mapping(document, "reasoning") or {}
    return Prompt(
        turns=_turns(document),
        tools=tuple(
            tool for at, item in enumerate(fields.sequence(document, "tools") or ()) for tool in _tools(item, f"tools[{at}].")
        ),
        tool_choice=_tool_choice(document),
        parallel_tool_calls=fields.boolean(document, "parallel_tool_calls"),
        sampling=sampling_of(document),
        response_format=_response_format(document),
        reasoning=media.read_effort(
            fields.text(reasoning, "effort", "reasoning."),
            "reasoning.effort",
            wants_summary=bool(reasoning.get("summary") or reasoning.get("generate_summary")),
        ),
        user=fields.text(document, "user") or fields.text(document, "safety_identifier"),
    )


def sampling_of(document: Mapping[str, Any]) -> Sampling:
    wants_logprobs = "message.output_text.logprobs" in (fields.sequence(document, "include") or ())
    top = fields.integer(document, "top_logprobs", 0, 20)
    return Sampling(
        max_tokens=fields.integer(document, "max_output_tokens", 1, _TOKENS_LIMIT),
        temperature=fields.number(document, "temperature", 0, 2),
        top_p=fields.number(document, "top_p", 0, 1) or None,
        top_logprobs=top or (0 if wants_logprobs else None),
    )


def asked_tools(document: Mapping[str, Any]) -> dict[str, tuple[str, str, str | None]]:
    """(type, name, namespace) of each tool, by the name it has in other dialects."""
    found: dict[str, tuple[str, str, str | None]] = {}
    for tool in _mappings(document.get("tools")):
        kind, name = str(tool.get("type")), str(tool.get("name"))
        if kind == "namespace":
            for inner in _mappings(tool.get("tools")):
                found[_spaced(name, str(inner.get("name")))] = (str(inner.get("type")), str(inner.get("name")), name)
        else:
            name = _SHELL if kind == _SHELL else name
            found[name] = (kind, name, None)
    return found


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _spaced(namespace: str, name: str) -> str:
    """A tool of a namespace, in dialects that know none. Names may hold no dot."""
    return f"{namespace}__{name}"


def write(prompt: Prompt, *, model: str) -> dict[str, Any]:
    """The document for a provider, who is not to keep it. Raises InvalidRequest for what Responses can't say."""
    document: dict[str, Any] = {
        "model": model,
        "input": [item for turn in prompt.turns for item in _items(turn)],
        "stream": True,
        "store": False,
        **_written_sampling(prompt),
    }
    if prompt.tools:
        document["tools"] = [_written_tool(tool) for tool in prompt.tools]
        if prompt.tool_choice is not None:
            document["tool_choice"] = _written_choice(prompt.tool_choice)
        if prompt.parallel_tool_calls is not None:
            document["parallel_tool_calls"] = prompt.parallel_tool_calls
    if (form := prompt.response_format) is not None:
        schema = media.write_schema(form) if form.kind == "json_schema" else {}
        document["text"] = {"format": {"type": form.kind, **schema}}
    if reasoning := _written_reasoning(prompt):
        document["reasoning"] = reasoning
        document["include"] = [*document.get("include", ()), "reasoning.encrypted_content"]
    if prompt.user is not None:
        document["user"] = prompt.user
    return document


def _turns(document: Mapping[str, Any]) -> tuple[Turn, ...]:
    """The instructions, then the input: what an assistant says, thinks and calls in a row is one turn, as are results."""
    turns: list[Turn] = []
    if instructions := fields.text(document, "instructions"):
        turns.append(Turn(role="system", parts=(TextPart(text=instructions),)))
    given = document.get("input")
    if given is None or isinstance(given, str):
        return (*turns, Turn(role="user", parts=(TextPart(text=given),))) if given else tuple(turns)
    for at, item in enumerate(fields.sequence(document, "input") or ()):
        turn = _turn(fields.member(item, f"input[{at}]"), f"input[{at}].")
        if turn.role in ("assistant", "tool") and turns and turns[-1].role == turn.role:
            turn = Turn(role=turn.role, parts=turns.pop().parts + turn.parts)
        turns.append(turn)
    return tuple(turns)


def _turn(item: Mapping[str, Any], where: str) -> Turn:
    kind = fields.text(item, "type", where) or "message"
    match kind:
        case "message":
            role = ROLES.get(fields.required_text(item, "role", where))
            if role is None:
                raise fields.wrong(where + "role", "one of " + ", ".join(ROLES))
            return Turn(role=role, parts=_content(item, "content", where))
        case "function_call" | "custom_tool_call" | "local_shell_call":
            return Turn(role="assistant", parts=(_call(kind, item, where),))
        case "function_call_output" | "custom_tool_call_output" | "local_shell_call_output":
            call_id = fields.text(item, "call_id", where) or fields.required_text(item, "id", where)
            return Turn(role="tool", parts=(ResultPart(call_id=call_id, parts=_content(item, "output", where)),))
        case "reasoning":
            return Turn(role="assistant", parts=(_thought(item, where),))
        case _:
            raise media.unsupported(where + "type", "only a provider of the same dialect has such items")


def _call(kind: str, item: Mapping[str, Any], where: str) -> CallPart:
    call_id = fields.required_text(item, "call_id", where)
    if kind == "local_shell_call":
        action = {**(fields.mapping(item, "action", where) or {})}
        action.pop("type", None)
        return CallPart(call_id=call_id, name=_SHELL, arguments=orjson.dumps(action).decode())
    name = fields.required_text(item, "name", where)
    if namespace := fields.text(item, "namespace", where):
        name = _spaced(namespace, name)
    if kind == "custom_tool_call":
        arguments = orjson.dumps({"input": fields.text(item, "input", where) or ""}).decode()
        return CallPart(call_id=call_id, name=name, arguments=arguments)
    return CallPart(call_id=call_id, name=name, arguments=fields.text(item, "arguments", where) or "{}")


def _thought(item: Mapping[str, Any], where: str) -> ReasoningPart:
    """A seal without our mark is of a provider of this dialect: no other one can read it."""
    key = "content" if item.get("content") else "summary"
    texts = [
        fields.text(fields.member(part, f"{where}{key}[{at}]"), "text", f"{where}{key}[{at}].") or ""
        for at, part in enumerate(fields.sequence(item, key, where) or ())
    ]
    seal = fields.text(item, "encrypted_content", where) or ""
    signature = seal.removeprefix(FOREIGN_SEAL) if seal.startswith(FOREIGN_SEAL) else None
    return ReasoningPart(text="\n\n".join(texts), signature=signature)


def _content(item: Mapping[str, Any], key: str, where: str) -> tuple[TextPart | MediaPart, ...]:
    content = item.get(key)
    if content is None or isinstance(content, str):
        return (TextPart(text=content),) if content else ()
    if not isinstance(content, list):
        raise fields.wrong(where + key, "a string or a list of parts")
    return tuple(_part(fields.member(part, f"{where}{key}[{at}]"), f"{where}{key}[{at}].") for at, part in enumerate(content))


def _part(part: Mapping[str, Any], at: str) -> TextPart | MediaPart:
    match fields.required_text(part, "type", at):
        case "input_text" | "output_text" | "text":
            return TextPart(text=fields.text(part, "text", at) or "")
        case "refusal":
            return TextPart(text=fields.text(part, "refusal", at) or "")
        case "input_image":
            detail, url = fields.text(part, "detail", at), fields.text(part, "image_url", at)
            if url:
                return media.of_url("image", url, detail=detail)
            return MediaPart(kind="image", file_id=fields.required_text(part, "file_id", at), detail=detail)
        case "input_file":
            return media.of_file(part, at)
        case "input_audio":
            return media.of_audio(fields.mapping(part, "input_audio", at) or {}, at + "input_audio.")
        case _:
            raise media.unsupported(at + "type", "only text, images, audio and files can go to a provider of another dialect")


def _tools(item: Any, at: str) -> Iterable[PromptTool]:
    """The tool, or those of a namespace; none for a search that may not leave the provider, which coding agents offer unasked."""
    tool = fields.member(item, at[:-1])
    if tool.get("type") == "web_search" and tool.get("external_web_access") is False:
        return
    if tool.get("type") != "namespace":
        yield _tool(tool, at)
        return
    namespace = fields.required_text(tool, "name", at)
    for number, inner in enumerate(fields.sequence(tool, "tools", at) or ()):
        where = f"{at}tools[{number}]."
        read_tool = _tool(fields.member(inner, where[:-1]), where)
        yield replace(read_tool, name=_spaced(namespace, read_tool.name))


def _tool(tool: Mapping[str, Any], at: str) -> PromptTool:
    match fields.required_text(tool, "type", at):
        case "function":
            return PromptTool(
                name=fields.required_text(tool, "name", at),
                description=fields.text(tool, "description", at) or "",
                parameters=fields.mapping(tool, "parameters", at) or {},
                is_strict=fields.boolean(tool, "strict", at),
            )
        case "custom":
            return _of_custom(tool, at)
        case "local_shell":
            return PromptTool(name=_SHELL, description="Runs a command in the user's shell.", parameters=_SHELL_PARAMETERS)
        case kind:
            raise media.unsupported(at + "type", f"only a provider of the same dialect has {kind[:40]}; leave that tool out")


def _of_custom(tool: Mapping[str, Any], at: str) -> PromptTool:
    description = fields.text(tool, "description", at) or ""
    form = fields.mapping(tool, "format", at) or {}
    if grammar := fields.text(form, "definition", at + "format."):
        syntax = fields.text(form, "syntax", at + "format.") or "lark"
        description += f"\n\nThe input must follow this {syntax} grammar:\n{grammar}"
    return PromptTool(
        name=fields.required_text(tool, "name", at),
        description=description,
        parameters={
            "type": "object",
            "properties": {"input": {"type": "string", "description": "the tool's whole input, as plain text"}},
            "required": ["input"],
        },
    )


def _tool_choice(document: Mapping[str, Any]) -> ToolChoice | None:
    choice = document.get("tool_choice")
    if choice is None:
        return None
    if isinstance(choice, str):
        if choice not in _MODES:
            raise fields.wrong("tool_choice", "auto, none, required or a tool")
        return ToolChoice(mode=_MODES[choice])
    named = fields.mapping(document, "tool_choice") or {}
    if named.get("type") not in ("function", "custom"):
        raise media.unsupported("tool_choice.type", "only function and custom can go to a provider of another dialect")
    return ToolChoice(mode="named", name=fields.required_text(named, "name", "tool_choice."))


def _response_format(document: Mapping[str, Any]) -> ResponseFormat | None:
    form = fields.mapping(fields.mapping(document, "text") or {}, "format", "text.")
    if form is None:
        return None
    match fields.required_text(form, "type", "text.format."):
        case "json_schema":
            return media.read_schema(form, "text.format.")
        case "json_object":
            return ResponseFormat(kind="json_object")
        case "text":
            return ResponseFormat(kind="text")
        case _:
            raise fields.wrong("text.format.type", "text, json_object or json_schema")


def _items(turn: Turn) -> Iterable[dict[str, Any]]:
    """The items of one turn in their order; what is said between thoughts, calls and results is a message each time."""
    said: list[dict[str, Any]] = []
    for part in turn.parts:
        if isinstance(part, TextPart | MediaPart):
            said.append(_written_part(part, turn.role))
            continue
        if said:
            yield {"type": "message", "role": turn.role, "content": said}
            said = []
        if (item := _written_item(part)) is not None:
            yield item
    if said:
        yield {"type": "message", "role": turn.role, "content": said}


def _written_item(part: ReasoningPart | CallPart | ResultPart) -> dict[str, Any] | None:
    match part:
        case CallPart():
            return {"type": "function_call", "call_id": part.call_id, "name": part.name, "arguments": part.arguments}
        case ResultPart():
            output = _written_output(part)
            return {"type": "function_call_output", "call_id": part.call_id, "output": output}
        case ReasoningPart():
            seal = part.signature or ""
            if not seal.startswith(OWN_SEAL):  # a provider takes only thoughts of its own
                return None
            summary = [{"type": "summary_text", "text": part.text}] if part.text else []
            return {"type": "reasoning", "summary": summary, "encrypted_content": seal.removeprefix(OWN_SEAL)}
        case _:
            assert_never(part)


def _written_output(part: ResultPart) -> str | list[dict[str, Any]]:
    """There is no mark for a result that is an error: the text says so."""
    mark = "Error: " if part.is_error else ""
    if all(isinstance(given, TextPart) for given in part.parts):
        return mark + "\n".join(given.text for given in part.parts if isinstance(given, TextPart))
    marked = [{"type": "input_text", "text": mark.rstrip()}] if mark else []
    return [*marked, *(_written_part(given, "tool") for given in part.parts)]


def _written_part(part: Part, role: Role) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "output_text" if role == "assistant" else "input_text", "text": part.text}
    if isinstance(part, MediaPart) and role != "assistant":
        return _written_media(part)
    raise media.lacks(_DIALECT, f"{part.kind} of the {role}'s" if isinstance(part, MediaPart) else "a result's part")


def _written_media(part: MediaPart) -> dict[str, Any]:
    match part.kind:
        case "image":
            detail = part.detail or "auto"
            if (url := media.to_url(part)) is not None:
                return {"type": "input_image", "image_url": url, "detail": detail}
            return {"type": "input_image", "file_id": part.file_id, "detail": detail}
        case "file":
            return {"type": "input_file", **({"file_url": part.url} if part.url else media.to_file(part))}
        case "audio":
            if (audio := media.to_audio(part)) is not None:
                return {"type": "input_audio", "input_audio": audio}
        case "video":
            pass
        case _:
            assert_never(part.kind)
    raise media.lacks(_DIALECT, f"{part.kind} {part.media_type or ''}".rstrip())


def _written_tool(tool: PromptTool) -> dict[str, Any]:
    """`strict` is written even where nobody asked: without it, Responses takes it for true."""
    return {
        "type": "function",
        "name": tool.name,
        **({"description": tool.description} if tool.description else {}),
        "parameters": dict(tool.parameters or _NO_PARAMETERS),
        "strict": tool.is_strict or False,
    }


def _written_choice(choice: ToolChoice) -> str | dict[str, Any]:
    return {"type": "function", "name": choice.name} if choice.mode == "named" else choice.mode


def _written_reasoning(prompt: Prompt) -> dict[str, Any]:
    if prompt.reasoning is None:
        return {}
    effort = media.write_effort(prompt.reasoning)
    return {
        **({"effort": effort} if effort else {}),
        **({"summary": "auto"} if prompt.reasoning.wants_summary else {}),
    }


def _written_sampling(prompt: Prompt) -> dict[str, Any]:
    """A seed is dropped: it is a best effort wherever there is one."""
    sampling = prompt.sampling
    lacking = {
        "stop": sampling.stop,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "repetition_penalty": sampling.repetition_penalty not in (None, 1.0),
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "more than one choice": prompt.choices > 1,
    }
    for name, is_asked in lacking.items():
        if is_asked:
            raise media.lacks(_DIALECT, name)
    asked = {"temperature": sampling.temperature, "top_p": sampling.top_p, "max_output_tokens": sampling.max_tokens}
    document: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    if sampling.top_logprobs is not None:
        document["include"] = ["message.output_text.logprobs"]
        document["top_logprobs"] = sampling.top_logprobs
    return document
