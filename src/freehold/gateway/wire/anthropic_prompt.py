"""A Messages request in no dialect's words.

Read strictly, for a provider of another dialect: refused by name is what only providers of this dialect can do and the answer
depends on (their own tools, citations, containers, where the answer is computed). Dropped is what steers cost and caching.
Read leniently, for the record and a provider of the same dialect: what is not known here counts as an attachment.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, Literal

import orjson

from freehold.core.exchange import ResponseFormat, Role, Sampling, ToolChoice
from freehold.gateway.wire import fields
from freehold.gateway.wire.prompt import (
    UNSEALED,
    CallPart,
    MediaPart,
    Part,
    Prompt,
    PromptTool,
    Reasoning,
    ReasoningPart,
    ResultPart,
    TextPart,
    Turn,
    sealed,
)

DIALECT = "anthropic.messages"
REDACTED = "redacted."  # begins the seal that stands for a thought which only its provider can read
_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}
_MODES: dict[str, Literal["auto", "none", "required"]] = {"auto": "auto", "none": "none", "any": "required"}
_ONLY_HERE = ("mcp_servers", "container", "compaction", "inference_geo")
_EFFORTS = {"low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}  # other dialects end at high
_PLAIN_USER = re.compile(r"[A-Za-z0-9_-]{1,64}")
_COUNTED = MediaPart(kind="file")  # stands for a block that our engine can't read


def read(document: Mapping[str, Any], sampling: Sampling, *, strict: bool) -> Prompt:
    """Raises InvalidRequest for what is malformed and, if `strict`, for what no other dialect has."""
    if strict:
        _refuse_only_here(document)
    reader = _Reader(strict)
    items = fields.sequence(document, "messages")
    if not items:
        raise fields.missing("messages")
    turns = [
        turn
        for number, item in enumerate(items)
        for turn in reader.turns(fields.member(item, f"messages[{number}]"), f"messages[{number}].")
    ]
    output = fields.mapping(document, "output_config") or {}
    choice = fields.mapping(document, "tool_choice") or {}
    return Prompt(
        turns=(*reader.system(document), *turns),
        tools=tuple(reader.tools(document)),
        tool_choice=_tool_choice(choice),
        parallel_tool_calls=False if fields.boolean(choice, "disable_parallel_tool_use", "tool_choice.") else None,
        sampling=sampling,
        response_format=_response_format(document, output),
        reasoning=_reasoning(document, output),
        user=_user(document),
    )


class _Reader:
    """Reads turns and tools. What only this dialect has is refused if `strict`, else it becomes an attachment."""

    def __init__(self, strict: bool) -> None:
        self._strict = strict

    def system(self, document: Mapping[str, Any]) -> Iterator[Turn]:
        if isinstance(system := document.get("system"), str):
            if system:
                yield Turn(role="system", parts=(TextPart(text=system),))
        elif system is not None:
            yield Turn(role="system", parts=tuple(self._parts(document, "system", "")))

    def turns(self, message: Mapping[str, Any], at: str) -> Iterator[Turn]:
        """One turn, or several where a message holds results and other things: results are turns of their own."""
        role = _ROLES.get(fields.required_text(message, "role", at))
        if role is None:
            raise fields.wrong(at + "role", "user, assistant or system")
        parts = list(self._parts(message, "content", at))
        while parts:
            is_result = isinstance(parts[0], ResultPart)
            size = next((n for n, part in enumerate(parts) if isinstance(part, ResultPart) != is_result), len(parts))
            yield Turn(role="tool" if is_result else role, parts=tuple(parts[:size]))
            del parts[:size]

    def tools(self, document: Mapping[str, Any]) -> Iterator[PromptTool]:
        for number, item in enumerate(fields.sequence(document, "tools") or ()):
            at = f"tools[{number}]."
            tool = fields.member(item, at[:-1])
            if tool.get("type") not in (None, "custom"):
                if self._strict:
                    raise fields.unsupported(at + "type", "only providers of this dialect have this tool; leave it out")
                continue
            yield PromptTool(
                name=fields.required_text(tool, "name", at),
                description=fields.text(tool, "description", at) or "",
                parameters=fields.mapping(tool, "input_schema", at) or {},
                is_strict=fields.boolean(tool, "strict", at),
                cache_control=fields.mapping(tool, "cache_control", at),
            )

    def _parts(self, document: Mapping[str, Any], key: str, at: str) -> Iterator[Part]:
        content = document.get(key)
        if isinstance(content, str):
            yield TextPart(text=content)
            return
        if not isinstance(content, list):
            raise fields.wrong(at + key, "a string or a list of content blocks")
        for number, item in enumerate(content):
            where = f"{at}{key}[{number}]"
            yield from self._part(fields.member(item, where), where + ".")

    def _part(self, block: Mapping[str, Any], at: str) -> Sequence[Part]:
        match fields.required_text(block, "type", at):
            case "text":
                text = _string(block, "text", at)
                return (TextPart(text=text, cache_control=fields.mapping(block, "cache_control", at)),)
            case "image":
                return (self._media("image", block, at),)
            case "document":
                return self._document(block, at)
            case "tool_use":
                return (_call(block, at),)
            case "tool_result":
                return (self._result(block, at),)
            case "thinking":
                seal = fields.text(block, "signature", at)
                signature = sealed(DIALECT, seal) if seal and seal != UNSEALED else None
                return (ReasoningPart(text=_string(block, "thinking", at), signature=signature),)
            case "redacted_thinking":
                return (ReasoningPart(text="", signature=sealed(DIALECT, REDACTED + _string(block, "data", at))),)
            case _:
                return (self._foreign(at + "type", "blocks of this kind only"),)

    def _foreign(self, where: str, what: str) -> MediaPart:
        if self._strict:
            raise fields.unsupported(where, f"{what} providers of this dialect understand; leave it out")
        return _COUNTED

    def _media(self, kind: Literal["image", "file"], block: Mapping[str, Any], at: str) -> MediaPart:
        name = fields.text(block, "title", at)
        source, at = fields.mapping(block, "source", at) or {}, at + "source."
        match source.get("type"):
            case "base64":
                data, media_type = _string(source, "data", at), fields.text(source, "media_type", at)
                return MediaPart(kind=kind, media_type=media_type, data=data, name=name)
            case "url":
                return MediaPart(kind=kind, url=fields.required_text(source, "url", at), name=name)
            case "file":
                return MediaPart(kind=kind, file_id=fields.required_text(source, "file_id", at), name=name)
            case _:
                return self._foreign(at + "type", "sources of this kind only")

    def _document(self, block: Mapping[str, Any], at: str) -> Sequence[Part]:
        """A document of text is text, its title before it; where citations are asked for, only this dialect gives them."""
        if (fields.mapping(block, "citations", at) or {}).get("enabled") and self._strict:
            raise fields.unsupported(at + "citations", "only providers of this dialect cite; leave it out")
        source = fields.mapping(block, "source", at) or {}
        about = [text for key in ("title", "context") if (text := fields.text(block, key, at))]
        match source.get("type"):
            case "text":
                return (TextPart(text="\n\n".join([*about, _string(source, "data", at + "source.")])),)
            case "content":
                return (*(TextPart(text=text) for text in about), *self._parts(source, "content", at + "source."))
            case _:
                return (self._media("file", block, at),)

    def _result(self, block: Mapping[str, Any], at: str) -> ResultPart:
        given = self._parts(block, "content", at) if block.get("content") is not None else ()
        parts = [
            part if isinstance(part, TextPart | MediaPart) else self._foreign(at + "content", "such results") for part in given
        ]
        return ResultPart(
            call_id=fields.required_text(block, "tool_use_id", at),
            parts=tuple(parts),
            is_error=fields.boolean(block, "is_error", at) or False,
            cache_control=fields.mapping(block, "cache_control", at),
        )


def _refuse_only_here(document: Mapping[str, Any]) -> None:
    for name in _ONLY_HERE:
        if document.get(name):
            raise fields.unsupported(name, "only a provider of this dialect has it; leave it out")
    if document.get("max_tokens") == 0:
        raise fields.unsupported("max_tokens", "only a provider of this dialect takes 0; ask for at least 1")


def _call(block: Mapping[str, Any], at: str) -> CallPart:
    arguments = fields.mapping(block, "input", at)
    return CallPart(
        call_id=fields.required_text(block, "id", at),
        name=fields.required_text(block, "name", at),
        arguments=orjson.dumps(arguments or {}).decode(),
    )


def _string(document: Mapping[str, Any], key: str, at: str) -> str:
    """A text that must be there and may be empty."""
    value = fields.text(document, key, at)
    if value is None:
        raise fields.missing(at + key, "missing")
    return value


def _user(document: Mapping[str, Any]) -> str | None:
    """The end user's id as providers of every dialect take it: what is not of their letters or too long goes as its digest.

    Claude Code's is a JSON text of 150 characters, which OpenAI and others refuse.
    """
    user = fields.text(fields.mapping(document, "metadata") or {}, "user_id", "metadata.")
    return user if not user or _PLAIN_USER.fullmatch(user) else sha256(user.encode()).hexdigest()


def _tool_choice(choice: Mapping[str, Any]) -> ToolChoice | None:
    if not choice:
        return None
    kind = fields.required_text(choice, "type", "tool_choice.")
    if kind == "tool":
        return ToolChoice(mode="named", name=fields.required_text(choice, "name", "tool_choice."))
    if kind not in _MODES:
        raise fields.wrong("tool_choice.type", "auto, any, tool or none")
    return ToolChoice(mode=_MODES[kind])


def _response_format(document: Mapping[str, Any], output: Mapping[str, Any]) -> ResponseFormat | None:
    """`output_format` is the field's earlier name."""
    form = fields.mapping(output, "format", "output_config.") or fields.mapping(document, "output_format")
    if form is None or form.get("type") != "json_schema":
        return None
    return ResponseFormat(kind="json_schema", schema=fields.mapping(form, "schema", "output_config.format."), is_strict=True)


def _reasoning(document: Mapping[str, Any], output: Mapping[str, Any]) -> Reasoning | None:
    thinking = fields.mapping(document, "thinking") or {}
    effort = _EFFORTS.get(fields.text(output, "effort", "output_config.") or "")
    match thinking.get("type"):
        case "disabled":
            return Reasoning(budget_tokens=0)
        case "enabled":
            budget = fields.integer(thinking, "budget_tokens", 1, 1 << 31)
            return Reasoning(effort=effort, budget_tokens=budget, wants_summary=thinking.get("display") != "omitted")
        case None:
            return Reasoning(effort=effort) if effort else None
        case _:  # the model decides how much
            return Reasoning(effort=effort, wants_summary=thinking.get("display") != "omitted")
