"""One request and what it asks for, in no provider's words.

A codec parses a body once, at the edge, into an `Exchange`. What a user wrote is `repr=False` throughout: no log line can
show it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal, NewType

from freehold.core.limits import NO_LIMITS, Limits

ExchangeId = NewType("ExchangeId", str)  # "xc_" and 26 characters; also the receipt's id
KeyId = NewType("KeyId", str)
ModelId = NewType("ModelId", str)  # Merkle root of a manifest, hex

Path = tuple[str | int, ...]  # keys and indexes that lead to a value in a JSON document

Role = Literal["system", "user", "assistant", "tool"]


def fits(globs: Sequence[str], name: str) -> bool:
    """Whether a name is among those that globs name; none named is every one."""
    return not globs or any(fnmatchcase(name, glob) for glob in globs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who is asking: one key, without its secret."""

    key_id: KeyId
    name: str
    team: str | None = None
    is_admin: bool = False
    models: tuple[str, ...] = ()  # globs of those it may use; none named is every one
    labels: frozenset[str] = frozenset()  # what its traffic is at least: "personal", "internal"
    team_models: tuple[str, ...] = ()  # those its team may use, in the same way
    limits: Limits = NO_LIMITS
    team_limits: Limits = NO_LIMITS  # hold for all keys of the team together

    def may_use(self, model: str) -> bool:
        """Whether its own globs and its team's both let it."""
        return all(fits(globs, model) for globs in (self.models, self.team_models))


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A past tool call in the prompt. `arguments` is the JSON text as the model wrote it."""

    call_id: str
    name: str
    arguments: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn. `text` joins the text parts; `attachments` counts what is not text and is only passed on."""

    role: Role
    text: str = field(repr=False)
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    attachments: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A function the model may call. `parameters` is its JSON schema."""

    name: str
    description: str = field(repr=False)
    parameters: Mapping[str, Any] = field(repr=False)
    is_strict: bool | None = None  # arguments must fit the schema; None leaves it to the upstream


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolChoice:
    """`name` goes with "named" alone: the one tool that must be called."""

    mode: Literal["auto", "none", "required", "named"]
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseFormat:
    """The form that the whole text of an answer must have. `schema` is a JSON schema."""

    kind: Literal["text", "json_object", "json_schema"]
    name: str = "answer"
    schema: Mapping[str, Any] | None = field(repr=False, default=None)
    is_strict: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How tokens are chosen. None leaves the choice to the upstream.

    `temperature` 0 is greedy. `top_logprobs` None asks for no log-probabilities, 0 for the chosen token's alone.
    `logit_bias` is (token, what is added to its logit).
    """

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    top_logprobs: int | None = None
    logit_bias: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request, decoded. `document` is the parsed body: the guard rewrites it, and codecs read it again."""

    id: ExchangeId
    received_at_ns: int  # Unix time
    principal: Principal
    dialect: str  # "openai.chat"
    operation: str  # "chat": the GenAI semantic conventions' word
    model: str
    stream: bool
    body: bytes = field(repr=False)  # as it arrived, for the request digest
    document: Mapping[str, Any] = field(repr=False)
    messages: tuple[Message, ...] = field(repr=False, default=())
    tools: tuple[Tool, ...] = field(repr=False, default=())
    sampling: Sampling = Sampling()
    response_format: ResponseFormat | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    include_usage: bool = False
    choices: int = 1  # alternatives asked for: OpenAI's `n`
    headers: Mapping[str, str] = field(default_factory=dict)  # the client's words to a provider beside the body: `anthropic-beta`
    is_rewritten: bool = False  # `document` is no longer what `body` says: it was changed here
    can_wait: bool = False  # as its dialect says it; where it does, live work goes before it, down to the engine's passes
    unsaid: str | None = None  # what is asked for that messages, tools and sampling don't say: who answers from them must refuse
