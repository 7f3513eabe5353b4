"""A request in no dialect's words, written for a provider of Responses."""

from collections.abc import Iterable
from typing import Any, assert_never

from freehold.core.exchange import Role, ToolChoice
from freehold.gateway.wire import fields
from freehold.gateway.wire import openai_media as media
from freehold.gateway.wire.openai_responses_prompt import DIALECT
from freehold.gateway.wire.prompt import (
    CallPart,
    MediaPart,
    Part,
    Prompt,
    PromptTool,
    ReasoningPart,
    ResultPart,
    TextPart,
    Turn,
    bare_seal,
)

_NO_PARAMETERS = {"type": "object", "properties": {}}


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
            if (seal := bare_seal(DIALECT, part.signature)) is None:  # a provider takes only thoughts of its own
                return None
            summary = [{"type": "summary_text", "text": part.text}] if part.text else []
            return {"type": "reasoning", "summary": summary, "encrypted_content": seal}
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
    raise fields.lacks(DIALECT, f"{part.kind} of the {role}'s" if isinstance(part, MediaPart) else "a result's part")


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
    raise fields.lacks(DIALECT, f"{part.kind} {part.media_type or ''}".rstrip())


def _written_tool(tool: PromptTool) -> dict[str, Any]:
    """`strict` is written even where nobody asked: without it, Responses takes it for true."""
    return {
        "type": "function",
        "name": tool.name,
        **({"description": tool.description} if tool.description else {}),
        "parameters": dict(tool.parameters or _NO_PARAMETERS),
        "strict": media.write_strict(tool.parameters, tool.is_strict) or False,
    }


def _written_choice(choice: ToolChoice) -> str | dict[str, Any]:
    return {"type": "function", "name": choice.name} if choice.mode == "named" else choice.mode


def _written_reasoning(prompt: Prompt) -> dict[str, Any]:
    if prompt.reasoning is None:
        return {}
    effort = media.write_effort(prompt.reasoning)
    return {**({"effort": effort} if effort else {}), **({"summary": "auto"} if prompt.reasoning.wants_summary else {})}


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
            raise fields.lacks(DIALECT, name)
    asked = {"temperature": sampling.temperature, "top_p": sampling.top_p, "max_output_tokens": sampling.max_tokens}
    document: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    if sampling.top_logprobs is not None:
        document["include"] = ["message.output_text.logprobs"]
        document["top_logprobs"] = sampling.top_logprobs
    return document
