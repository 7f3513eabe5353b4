"""A request in no dialect's words as Gemini's document. Raises InvalidRequest for what Gemini lacks.

Model and stream are said in the address. Left out is what changes no answer: caching marks, the end user's id, resolutions of
images, `strict` of tools (Gemini's own modes see to it), seals of thoughts (they are another provider's) and thoughts that only
their provider can read.
"""

import mimetypes
from collections.abc import Iterable, Mapping
from typing import Any, assert_never

import orjson

from freehold.core.errors import InvalidRequest
from freehold.core.exchange import ResponseFormat, Sampling, ToolChoice
from freehold.gateway.wire.fields import lacks
from freehold.gateway.wire.gemini_words import DIALECT, NO_SEAL
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
    bare_seal,
)

_BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}  # Google's own, for OpenAI's words
ANSWER_KEYS = ("output", "result", "error")  # a result of one of these alone is its value: Google's words, and its SDK's
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY", "named": "ANY"}
_SAMPLING = {
    "maxOutputTokens": "max_tokens",
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
    "seed": "seed",
}


def write(prompt: Prompt) -> dict[str, Any]:
    if prompt.parallel_tool_calls is False and prompt.tools:
        raise lacks("Gemini", "a promise of one tool call at a time (parallel_tool_calls false)")
    document: dict[str, Any] = {"contents": _contents(prompt.turns)}
    system = [_plain(part) for turn in prompt.turns if turn.role == "system" for part in turn.parts]
    if system:
        document["systemInstruction"] = {"parts": system}
    if prompt.tools:
        document["tools"] = [{"functionDeclarations": [_declaration(tool) for tool in prompt.tools]}]
        if prompt.tool_choice is not None:
            document["toolConfig"] = {"functionCallingConfig": _calling(prompt.tool_choice)}
    config = {
        **_sampling(prompt.sampling),
        **({"candidateCount": prompt.choices} if prompt.choices > 1 else {}),
        **_format(prompt.response_format),
        **_thinking(prompt.reasoning),
    }
    if config:
        document["generationConfig"] = config
    return document


def arguments_of(text: str) -> dict[str, Any]:
    """A call's arguments from their JSON text. Text that is no object, as a mask can make it, is kept as it is in one."""
    try:
        arguments = orjson.loads(text) if text.strip() else {}
    except orjson.JSONDecodeError:
        return {"arguments": text}
    return arguments if isinstance(arguments, dict) else {"arguments": text}


def _contents(turns: Iterable[Turn]) -> list[dict[str, Any]]:
    """Turns of one role that follow each other are one content: the results of one step's calls must stand together."""
    names: dict[str, str] = {}  # of calls, by id
    contents: list[dict[str, Any]] = []
    last = ""
    for turn in turns:
        if turn.role == "system":
            continue
        parts = [written for part in turn.parts for written in _written(part, turn, names)]
        if not parts:
            continue
        if turn.role == last:
            contents[-1]["parts"] += parts
        else:
            contents.append({"role": "model" if turn.role == "assistant" else "user", "parts": parts})
        last = turn.role
    if not contents:
        raise InvalidRequest("Gemini needs a turn that is not the system's and not empty", code="missing_required_parameter")
    for content in contents:
        _seal(content["parts"])
    return contents


def _seal(parts: list[dict[str, Any]]) -> None:
    calls = [part for part in parts if "functionCall" in part]
    if calls and not any("thoughtSignature" in part for part in calls):
        calls[0]["thoughtSignature"] = NO_SEAL


def _written(part: Part, turn: Turn, names: dict[str, str]) -> list[dict[str, Any]]:
    match part:
        case TextPart() | MediaPart():
            return [_plain(part)] if isinstance(part, MediaPart) or part.text else []
        case ReasoningPart():
            seal = _sealed(part)
            is_readable = seal or part.signature is None
            return [{"text": part.text, "thought": True, **seal}] if part.text and is_readable else []
        case CallPart():
            names[part.call_id] = part.name
            call = {"id": part.call_id, "name": part.name, "args": arguments_of(part.arguments)}
            return [{"functionCall": call, **_sealed(part)}]
        case ResultPart():
            return _result(part, names)
        case _:
            assert_never(part)


def _sealed(part: ReasoningPart | CallPart) -> dict[str, str]:
    """With the seal that it has of a provider of Gemini's."""
    seal = bare_seal(DIALECT, part.signature)
    return {"thoughtSignature": seal} if seal else {}


def _result(result: ResultPart, names: Mapping[str, str]) -> list[dict[str, Any]]:
    """The response, and behind it what of it is no text: that every model takes there."""
    name = names.get(result.call_id) or result.name
    if name is None:
        raise InvalidRequest("a tool's result answers no call before it, and Gemini needs the tool's name", code="invalid_value")
    text = "\n".join(part.text for part in result.parts if isinstance(part, TextPart))
    response = {"id": result.call_id, "name": name, "response": {"error": text} if result.is_error else _output(text)}
    return [{"functionResponse": response}, *(_plain(part) for part in result.parts if isinstance(part, MediaPart))]


def _output(text: str) -> dict[str, Any]:
    """An object is the response itself; whatever else goes under the word that Google has for it."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = None
    is_response = isinstance(value, dict) and value and not (len(value) == 1 and value.keys() & set(ANSWER_KEYS))
    return value if is_response else {"output": text}


def _plain(part: Part) -> dict[str, Any]:
    match part:
        case TextPart():
            return {"text": part.text}
        case MediaPart():
            return _media(part)
        case _:
            raise lacks("Gemini", "a thought, a call or a result of the system's")


def _media(part: MediaPart) -> dict[str, Any]:
    media_type = part.media_type or (mimetypes.guess_type(part.name)[0] if part.name else None)
    if part.data is not None:
        if media_type is None:
            raise lacks("Gemini", f"{part.kind} data without a media type")
        return {"inlineData": {"mimeType": media_type, "data": part.data}}
    if part.url is not None:
        return {"fileData": {"fileUri": part.url, **({"mimeType": media_type} if media_type else {})}}
    raise lacks("Gemini", f"{part.kind} known to another provider by its id")


def _declaration(tool: PromptTool) -> dict[str, Any]:
    declaration: dict[str, Any] = {"name": tool.name}
    if tool.description:
        declaration["description"] = tool.description
    if tool.parameters:
        declaration["parametersJsonSchema"] = dict(tool.parameters)
    return declaration


def _calling(choice: ToolChoice) -> dict[str, Any]:
    names = {"allowedFunctionNames": [choice.name]} if choice.mode == "named" else {}
    return {"mode": _MODES[choice.mode], **names}


def _sampling(sampling: Sampling) -> dict[str, Any]:
    if sampling.min_p:
        raise lacks("Gemini", "min_p")
    if sampling.repetition_penalty not in (None, 1):
        raise lacks("Gemini", "repetition_penalty")
    config = {name: value for name, key in _SAMPLING.items() if (value := getattr(sampling, key)) is not None}
    if sampling.stop:
        config["stopSequences"] = list(sampling.stop)
    if sampling.top_logprobs is not None:
        config["responseLogprobs"] = True
        if sampling.top_logprobs:
            config["logprobs"] = sampling.top_logprobs
    return config


def _format(form: ResponseFormat | None) -> dict[str, Any]:
    if form is None or form.kind == "text":
        return {}
    schema = {"responseJsonSchema": dict(form.schema)} if form.schema else {}
    return {"responseMimeType": "application/json", **schema}


def _thinking(reasoning: Reasoning | None) -> dict[str, Any]:
    """Budgets, which models of every age take: levels are the newest ones' alone."""
    if reasoning is None:
        return {}
    budget_tokens = reasoning.budget_tokens
    if budget_tokens is None and reasoning.effort is not None:
        budget_tokens = _BUDGETS.get(reasoning.effort, _BUDGETS["high"])
    budget = {} if budget_tokens is None else {"thinkingBudget": budget_tokens}
    return {"thinkingConfig": {**budget, **({"includeThoughts": True} if reasoning.wants_summary else {})}}
