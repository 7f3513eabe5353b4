"""A Responses request in no dialect's words, and back.

A custom tool, whose input is free text, goes to other dialects as a function with one string `input`, a tool of a namespace with
both names in one; the answer's writer turns their calls back. Refused by name is what needs the provider's own tools or memory.
The seal of a thought travels in `encrypted_content`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal

import orjson

from freehold.core.exchange import Exchange, ResponseFormat, Role, Sampling, ToolChoice
from freehold.gateway.wire import fields
from freehold.gateway.wire import openai_media as media
from freehold.gateway.wire.fields import TOKENS_LIMIT
from freehold.gateway.wire.prompt import (
    CallPart,
    MediaPart,
    Prompt,
    PromptTool,
    ReasoningPart,
    ResultPart,
    TextPart,
    Turn,
    sealed,
)

ROLES: dict[str, Role] = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
DIALECT = "openai.responses"

_MODES: dict[str, Literal["auto", "none", "required"]] = {"auto": "auto", "none": "none", "required": "required"}
_STATE = ("previous_response_id", "conversation", "prompt", "moderation")  # only a provider of the same dialect has them
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
            raise fields.unsupported(name, "only a provider of the same dialect has it")
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
        max_tokens=fields.integer(document, "max_output_tokens", 1, TOKENS_LIMIT),
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
            raise fields.unsupported(where + "type", "only a provider of the same dialect has such items")


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
    key = "content" if item.get("content") else "summary"
    texts = [
        fields.text(fields.member(part, f"{where}{key}[{at}]"), "text", f"{where}{key}[{at}].") or ""
        for at, part in enumerate(fields.sequence(item, key, where) or ())
    ]
    seal = fields.text(item, "encrypted_content", where)
    return ReasoningPart(text="\n\n".join(texts), signature=sealed(DIALECT, seal) if seal else None)


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
            raise fields.unsupported(at + "type", "only text, images, audio and files can go to a provider of another dialect")


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
            raise fields.unsupported(at + "type", f"only a provider of the same dialect has {kind[:40]}; leave that tool out")


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
        raise fields.unsupported("tool_choice.type", "only function and custom can go to a provider of another dialect")
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
