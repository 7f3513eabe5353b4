"""A generateContent request in no dialect's words. `gemini_document.py` is the way back.

Contents of the model's that follow each other are one turn, and texts in it that follow each other one text: a client that kept
a stream's pieces sends them so. Calls have had ids only of late: those without get one, and results find their call by name and
order. Dropped is what steers safety filters, billing and storage, and seals on texts, which other providers can't read. Refused
by name, when strict, is what would change the answer and no other dialect can say; when not, it counts as an attachment.
"""

from collections.abc import Mapping
from typing import Any, Literal

import orjson

from freehold.core.errors import InvalidRequest
from freehold.core.exchange import Exchange, ResponseFormat, ToolChoice
from freehold.gateway.wire import fields
from freehold.gateway.wire.fields import Document
from freehold.gateway.wire.gemini_document import ANSWER_KEYS
from freehold.gateway.wire.gemini_schema import to_json_schema
from freehold.gateway.wire.gemini_words import named, read_seal
from freehold.gateway.wire.prompt import (
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
)

_USERS = ("user", "function", "tool")  # "function" held results before they went into the user's turn
_MEDIA: dict[str, Literal["image", "audio", "video"]] = {"image": "image", "audio": "audio", "video": "video"}
_GOOGLES_FILES = ("https://generativelanguage.googleapis.com/", "gs://", "files/")  # which nobody else can read
_EFFORTS = {"minimal": "minimal", "low": "low", "medium": "medium", "high": "high", "xhigh": "high"}
_BUDGET_LIMIT_TOKENS = 1 << 31
_DYNAMIC = -1  # the model thinks as much as it sees fit
_FILTERED = ("ANY", "VALIDATED")  # modes that `allowedFunctionNames` narrows


def read(document: Document, *, is_strict: bool) -> Prompt:
    """All but sampling and choices, which the exchange has. Raises InvalidRequest naming the field at fault."""
    asked = named(document)
    if is_strict and asked.get("cachedContent"):
        raise _only_here("cachedContent")
    config = named(fields.mapping(asked, "generationConfig") or {}, "generationConfig.")
    choice, allowed = _tool_choice(asked)
    tools = _tools(asked, is_strict=is_strict)
    return Prompt(
        turns=(*_system(asked, is_strict=is_strict), *_turns(asked, is_strict=is_strict)),
        tools=tuple(tool for tool in tools if not allowed or tool.name in allowed),
        tool_choice=choice,
        response_format=_response_format(config, is_strict=is_strict),
        reasoning=_reasoning(config),
    )


def _only_here(where: str) -> InvalidRequest:
    return fields.unsupported(where, "only Gemini has it; a provider of another dialect can't be asked for it")


def _system(document: Document, *, is_strict: bool) -> tuple[Turn, ...]:
    content = fields.mapping(document, "systemInstruction")
    if content is None:
        return ()
    parts = _Reader(is_strict=is_strict).parts(content, "systemInstruction.")
    return (Turn(role="system", parts=parts),) if parts else ()


def _turns(document: Document, *, is_strict: bool) -> tuple[Turn, ...]:
    contents = fields.sequence(document, "contents")
    if not contents:
        raise fields.missing("contents")
    reader = _Reader(is_strict=is_strict)
    turns: list[Turn] = []
    for number, item in enumerate(contents):
        where = f"contents[{number}]"
        content = fields.member(item, where)
        role = fields.text(content, "role", where + ".") or "user"
        parts = reader.parts(content, where + ".")
        if role == "model":
            _add_model(turns, parts)
        elif role in _USERS:
            _add_user(turns, parts)
        else:
            raise fields.wrong(where + ".role", "user or model")
    return tuple(turns)


def _add_model(turns: list[Turn], parts: tuple[Part, ...]) -> None:
    before = turns.pop().parts if turns and turns[-1].role == "assistant" else ()
    joined: list[Part] = []
    for part in (*before, *parts):
        last = joined[-1] if joined else None
        if isinstance(part, TextPart) and isinstance(last, TextPart):
            joined[-1] = TextPart(text=last.text + part.text)
        elif isinstance(part, ReasoningPart) and isinstance(last, ReasoningPart) and last.signature is None:
            joined[-1] = ReasoningPart(text=last.text + part.text, signature=part.signature)
        else:
            joined.append(part)
    turns.append(Turn(role="assistant", parts=tuple(joined)))


def _add_user(turns: list[Turn], parts: tuple[Part, ...]) -> None:
    """Results make turns of their own, all that answer one turn of the model's in one."""
    results = tuple(part for part in parts if isinstance(part, ResultPart))
    others = tuple(part for part in parts if not isinstance(part, ResultPart))
    if results:
        before = turns.pop().parts if turns and turns[-1].role == "tool" else ()
        turns.append(Turn(role="tool", parts=before + results))
    if others:
        turns.append(Turn(role="user", parts=others))


class _Reader:
    """Reads parts in their order, and keeps which calls have no result yet."""

    def __init__(self, *, is_strict: bool) -> None:
        self._is_strict = is_strict
        self._calls = 0
        self._open: list[CallPart] = []

    def parts(self, content: Document, at: str) -> tuple[Part, ...]:
        items = enumerate(fields.sequence(content, "parts", at) or ())
        read = [self._part(fields.member(item, f"{at}parts[{number}]"), f"{at}parts[{number}].") for number, item in items]
        return tuple(part for part in read if part is not None)

    def _part(self, document: Document, at: str) -> Part | None:
        part = named(document, at)
        seal = fields.text(part, "thoughtSignature", at)
        signature = read_seal(seal) if seal else None
        if (call := fields.mapping(part, "functionCall", at)) is not None:
            return self._call(named(call), at + "functionCall.", signature)
        if (response := fields.mapping(part, "functionResponse", at)) is not None:
            return self._result(named(response), at + "functionResponse.")
        if "text" in part:
            text = fields.text(part, "text", at) or ""
            if fields.boolean(part, "thought", at):
                return ReasoningPart(text=text, signature=signature)
            return TextPart(text=text) if text else None
        try:
            return _media(part, at)
        except InvalidRequest as exc:
            if self._is_strict or exc.code != fields.UNSUPPORTED:
                raise
            return MediaPart(kind="file")

    def _call(self, call: Document, at: str, signature: str | None) -> CallPart:
        self._calls += 1
        part = CallPart(
            call_id=fields.text(call, "id", at) or f"call_{self._calls}",
            name=fields.required_text(call, "name", at),
            arguments=orjson.dumps(fields.mapping(call, "args", at) or {}).decode(),
            signature=signature,
        )
        self._open.append(part)
        return part

    def _result(self, response: Document, at: str) -> ResultPart:
        name = fields.required_text(response, "name", at)
        call_id = fields.text(response, "id", at)
        same = (call for call in self._open if (call.call_id == call_id if call_id else call.name == name))
        call = next(same, None)
        if call is not None:
            self._open.remove(call)
        elif call_id is None and self._is_strict:
            raise fields.unsupported(at + "name", "no functionCall without a response stands before it under this name")
        text, is_error = _answer(fields.mapping(response, "response", at) or {})
        return ResultPart(
            call_id=call.call_id if call else call_id or name,
            name=name,
            parts=(*((TextPart(text=text),) if text else ()), *self._shown(response, at)),
            is_error=is_error,
        )

    def _shown(self, response: Document, at: str) -> tuple[MediaPart, ...]:
        """Media that newer models take inside a result."""
        items = enumerate(fields.sequence(response, "parts", at) or ())
        shown = [self._part(fields.member(item, f"{at}parts[{number}]"), f"{at}parts[{number}].") for number, item in items]
        return tuple(part for part in shown if isinstance(part, MediaPart))


def _answer(response: Document) -> tuple[str, bool]:
    """What a tool said, and whether it failed. A value alone under one of Google's words is that value."""
    if len(response) != 1 or (key := next(iter(response))) not in ANSWER_KEYS:
        return (orjson.dumps(response).decode() if response else ""), False
    value = response[key]
    return (value if isinstance(value, str) else orjson.dumps(value).decode()), key == "error"


def _media(part: Document, at: str) -> MediaPart | None:
    if part.get("videoMetadata"):
        raise _only_here(at + "videoMetadata")
    if (blob := fields.mapping(part, "inlineData", at)) is not None:
        blob = named(blob)
        media_type = fields.required_text(blob, "mimeType", at + "inlineData.")
        data = fields.required_text(blob, "data", at + "inlineData.")
        name = fields.text(blob, "displayName", at + "inlineData.")
        return MediaPart(kind=_kind(media_type), media_type=media_type, data=data, name=name)
    if (file := fields.mapping(part, "fileData", at)) is not None:
        file = named(file)
        url = fields.required_text(file, "fileUri", at + "fileData.")
        if url.startswith(_GOOGLES_FILES):
            raise fields.unsupported(at + "fileData.fileUri", "only Google can read this file; put it into inlineData")
        file_type = fields.text(file, "mimeType", at + "fileData.")
        return MediaPart(kind=_kind(file_type or ""), media_type=file_type, url=url, name=fields.text(file, "displayName", at))
    unknown = sorted(key for key, value in part.items() if value is not None and key not in ("thoughtSignature", "thought"))
    if unknown:
        raise _only_here(at + unknown[0])
    return None


def _kind(media_type: str) -> Literal["image", "audio", "video", "file"]:
    return _MEDIA.get(media_type.partition("/")[0].lower(), "file")


def _tools(document: Document, *, is_strict: bool) -> list[PromptTool]:
    tools: list[PromptTool] = []
    for number, item in enumerate(fields.sequence(document, "tools") or ()):
        where = f"tools[{number}]"
        tool = named(fields.member(item, where), where + ".")
        others = sorted(key for key, value in tool.items() if value is not None and key != "functionDeclarations")
        if others and is_strict:
            raise _only_here(f"{where}.{others[0]}")
        at = where + ".functionDeclarations"
        declared = fields.sequence(tool, "functionDeclarations", where + ".") or ()
        tools += [_tool(fields.member(one, f"{at}[{place}]"), f"{at}[{place}].") for place, one in enumerate(declared)]
    return tools


def _tool(document: Document, at: str) -> PromptTool:
    tool = named(document, at)
    schema: Mapping[str, Any] | None = fields.mapping(tool, "parametersJsonSchema", at)
    if schema is None and (own := fields.mapping(tool, "parameters", at)) is not None:
        schema = to_json_schema(own, at + "parameters")
    return PromptTool(
        name=fields.required_text(tool, "name", at),
        description=fields.text(tool, "description", at) or "",
        parameters=schema or {"type": "object", "properties": {}},
    )


def _tool_choice(document: Document) -> tuple[ToolChoice | None, tuple[str, ...]]:
    """The choice, and the only tools that may be called, where it names some: none named is all."""
    config = named(fields.mapping(document, "toolConfig") or {}, "toolConfig.")
    at = "toolConfig.functionCallingConfig."
    calling = named(fields.mapping(config, "functionCallingConfig", "toolConfig.") or {}, at)
    mode = (fields.text(calling, "mode", at) or "MODE_UNSPECIFIED").upper()
    allowed = tuple(fields.sequence(calling, "allowedFunctionNames", at) or ())
    if not all(isinstance(name, str) for name in allowed):
        raise fields.wrong(at + "allowedFunctionNames", "a list of strings")
    names = allowed if mode in _FILTERED else ()
    match mode:
        case "MODE_UNSPECIFIED":
            return None, ()
        case "AUTO" | "VALIDATED":
            return ToolChoice(mode="auto"), names
        case "NONE":
            return ToolChoice(mode="none"), ()
        case "ANY" if len(names) == 1:
            return ToolChoice(mode="named", name=names[0]), ()
        case "ANY":
            return ToolChoice(mode="required"), names
        case _:
            raise fields.wrong(at + "mode", "AUTO, ANY, NONE or VALIDATED")


def _response_format(config: Document, *, is_strict: bool) -> ResponseFormat | None:
    at = "generationConfig."
    if is_strict and config.get("responseFormat"):
        raise _only_here(at + "responseFormat")
    media_type = fields.text(config, "responseMimeType", at)
    if media_type in (None, "", "text/plain"):
        return None
    if media_type != "application/json":
        if is_strict:
            raise _only_here(at + "responseMimeType")
        return None
    schema: Mapping[str, Any] | None = fields.mapping(config, "responseJsonSchema", at)
    if schema is None and (own := fields.mapping(config, "responseSchema", at)) is not None:
        schema = to_json_schema(own, at + "responseSchema")
    return ResponseFormat(kind="json_schema", schema=schema) if schema else ResponseFormat(kind="json_object")


def _reasoning(config: Document) -> Reasoning | None:
    at = "generationConfig.thinkingConfig."
    found = fields.mapping(config, "thinkingConfig", "generationConfig.")
    if not found:
        return None
    thinking = named(found, at)
    budget_tokens = fields.integer(thinking, "thinkingBudget", _DYNAMIC, _BUDGET_LIMIT_TOKENS)
    return Reasoning(
        effort=_EFFORTS.get((fields.text(thinking, "thinkingLevel", at) or "").lower()),
        budget_tokens=None if budget_tokens == _DYNAMIC else budget_tokens,
        wants_summary=fields.boolean(thinking, "includeThoughts", at) or False,
    )


def read_exchange(exchange: Exchange) -> Prompt:
    """The whole prompt of an exchange, strictly."""
    prompt = read(exchange.document, is_strict=True)
    return Prompt(
        turns=prompt.turns,
        tools=prompt.tools,
        tool_choice=prompt.tool_choice,
        sampling=exchange.sampling,
        choices=exchange.choices,
        response_format=prompt.response_format,
        reasoning=prompt.reasoning,
    )
