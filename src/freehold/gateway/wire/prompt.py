"""A request in no dialect's words: what one codec reads and another writes when client and provider speak different ones.

It holds what at least two dialects can say. A field that only one has is refused by its `read_prompt` where leaving it out would
change the answer's meaning, and dropped where it would not. `None` leaves a choice to the provider.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from freehold.core.exchange import Exchange, Message, ResponseFormat, Role, Sampling, Tool, ToolCall, ToolChoice


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPart:
    """`cache_control` is Anthropic's mark for a cached prefix; other dialects take no notice of it."""

    text: str = field(repr=False)
    cache_control: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPart:
    """An image, a sound, a document. Exactly one of `data` (base64), `url` and `file_id` (the provider's own) is set."""

    kind: Literal["image", "audio", "video", "file"]
    media_type: str | None = None
    data: str | None = field(repr=False, default=None)
    url: str | None = field(repr=False, default=None)
    file_id: str | None = None
    name: str | None = None
    detail: str | None = None  # OpenAI's resolution: low, high, auto


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningPart:
    """A past thought. `signature` is the seal its provider wants back, as `sealed` marks it; it may be all there is."""

    text: str = field(repr=False)
    signature: str | None = field(repr=False, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPart:
    """A past tool call. `arguments` is JSON text, "{}" where there are none. `signature` as of a thought (Gemini seals calls)."""

    call_id: str
    name: str
    arguments: str = field(repr=False)
    signature: str | None = field(repr=False, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultPart:
    """What a tool gave back."""

    call_id: str
    parts: tuple["TextPart | MediaPart", ...]
    name: str | None = None
    is_error: bool = False
    cache_control: Mapping[str, Any] | None = None


_SEALERS = ("anthropic.messages.", "google.gemini.", "openai.responses.")  # dialects whose providers seal
UNSEALED = "freehold.unsealed"  # stands for a seal in dialects that want one with each thought
MARKS = tuple(mark.encode() for mark in (*_SEALERS, UNSEALED))  # begin what stands in a client's document of another dialect's


def sealed(dialect: str, seal: str) -> str:
    """A seal with the dialect of the provider who made it before it: no other may be sent it, for it would refuse the request.

    Clients keep seals of their own dialect bare, and others as they are here.
    """
    return seal if is_foreign(seal) else f"{dialect}.{seal}"


def is_foreign(seal: str) -> bool:
    """Whether a seal in a client's own document is another dialect's."""
    return seal.startswith(_SEALERS) or seal == UNSEALED


def bare_seal(dialect: str, signature: str | None) -> str | None:
    """What a provider of `dialect` wrote; None where it was another."""
    mark = dialect + "."
    return signature.removeprefix(mark) if signature is not None and signature.startswith(mark) else None


def mended(
    exchange: Exchange, path: tuple[str, ...], mend: Callable[[Any], Any], marks: Sequence[bytes] = MARKS
) -> Mapping[str, Any]:
    """The document with each item of the lists at `path` as `mend` gives it back; None takes it out, and what held it alone.

    The document itself where nothing changes, as in every body without a mark.
    """
    return _mended(exchange.document, path, mend) if any(mark in exchange.body for mark in marks) else exchange.document


def _mended(document: Mapping[str, Any], path: tuple[str, ...], mend: Callable[[Any], Any]) -> Mapping[str, Any]:
    key, *rest = path
    items = document.get(key)
    if not isinstance(items, list):
        return document
    made = [
        _mended(item, tuple(rest), mend) if rest and isinstance(item, dict) else item if rest else mend(item) for item in items
    ]
    if all(new is old for new, old in zip(made, items, strict=True)):
        return document
    return {**document, key: [item for item in made if item is not None and not (rest and item.get(rest[0]) == [])]}


_BY_NAME = ("properties", "$defs", "definitions")  # members of a schema whose own members are schemas, by the client's names
_ONE_OR_MORE = ("items", "prefixItems", "anyOf", "oneOf", "allOf", "not", "additionalProperties")


def inner_schemas(schema: Any) -> list[Any]:
    """The schemas that one is made of: all but its values, such as a `const`."""
    if not isinstance(schema, dict):
        return []
    found = [item for key in _BY_NAME if isinstance(named := schema.get(key), dict) for item in named.values()]
    for key in _ONE_OR_MORE:
        inner = schema.get(key)
        found += inner if isinstance(inner, list) else [inner]
    return found


Part: TypeAlias = TextPart | MediaPart | ReasoningPart | CallPart | ResultPart


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Results stand in turns of the role "tool"; thoughts and calls in the assistant's."""

    role: Role
    parts: tuple[Part, ...]
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptTool:
    """`parameters` is a JSON schema of an object."""

    name: str
    description: str = field(repr=False, default="")
    parameters: Mapping[str, Any] = field(repr=False, default_factory=dict)
    is_strict: bool | None = None
    cache_control: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasoning:
    """How much a model may think: in words (minimal, low, medium, high, xhigh), in tokens, or both. 0 tokens is not at all."""

    effort: str | None = None
    budget_tokens: int | None = None
    wants_summary: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    turns: tuple[Turn, ...]
    tools: tuple[PromptTool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    sampling: Sampling = field(default_factory=Sampling)
    choices: int = 1
    response_format: ResponseFormat | None = None
    reasoning: Reasoning | None = None
    user: str | None = field(repr=False, default=None)  # the end user's id for the provider's abuse checks


def messages_of(prompt: Prompt) -> tuple[Message, ...]:
    """The turns as our engine takes them: text, tool calls and results; what is neither is counted."""
    return tuple(message for turn in prompt.turns for message in _messages(turn))


def tools_of(prompt: Prompt) -> tuple[Tool, ...]:
    return tuple(
        Tool(name=tool.name, description=tool.description, parameters=tool.parameters, is_strict=tool.is_strict)
        for tool in prompt.tools
    )


def _messages(turn: Turn) -> list[Message]:
    results = [part for part in turn.parts if isinstance(part, ResultPart)]
    others = tuple(part for part in turn.parts if not isinstance(part, ResultPart))
    messages = [_message("tool", part.parts, name=part.name, tool_call_id=part.call_id) for part in results]
    if others or not results:
        messages.append(_message(turn.role, others, name=turn.name))
    return messages


def _message(role: Role, parts: tuple[Part, ...], *, name: str | None = None, tool_call_id: str | None = None) -> Message:
    return Message(
        role=role,
        text="\n".join(part.text for part in parts if isinstance(part, TextPart)),
        name=name,
        tool_calls=tuple(
            ToolCall(call_id=part.call_id, name=part.name, arguments=part.arguments)
            for part in parts
            if isinstance(part, CallPart)
        ),
        tool_call_id=tool_call_id,
        attachments=sum(isinstance(part, MediaPart) for part in parts),
    )
