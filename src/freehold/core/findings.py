"""What the guard found and what policy decided about it. Never the value itself."""

from dataclasses import dataclass
from enum import StrEnum


class Channel(StrEnum):
    """Where a text stands in a request or an answer."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL_DESCRIPTION = "tool_description"
    TOOL_ARGUMENTS = "tool_arguments"
    TOOL_RESULT = "tool_result"
    REASONING = "reasoning"
    TEXT = "text"
    INPUT = "input"  # of an embedding
    FILE = "file"  # inline, decoded
    SUMMARY = "summary"  # repeats what was streamed before: Responses' "done" events
    OTHER = "other"  # a string leaf no codec claims: scanned all the same


class Direction(StrEnum):
    REQUEST = "request"
    RESPONSE = "response"


class Action(StrEnum):
    """What is done with a finding, mildest first."""

    ALLOW = "allow"
    TAG = "tag"
    TOKENISE = "tokenise"  # replaced by a token that is turned back in the answer
    MASK = "mask"
    ASK = "ask"  # a tool call waits for a person
    BLOCK = "block"


class Mode(StrEnum):
    SHADOW = "shadow"  # recorded, not acted on
    ENFORCE = "enforce"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One match of one rule. `start` and `end` count characters of the channel's text, before masking."""

    rule: str  # "aws-access-key"
    category: str  # "credential" | "personal_data" | …
    direction: Direction
    channel: Channel
    part: int
    start: int
    end: int
    confidence: float  # in (0, 1]
    action: Action  # what policy says of it
    mode: Mode
    value_digest: str | None = None  # HMAC-SHA-256 of the value under the node's own key, hex: the same value has the same digest

    @property
    def enforced(self) -> Action:
        """What really happened: a rule in shadow changes nothing."""
        return self.action if self.mode is Mode.ENFORCE else Action.ALLOW


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Whose exchange a policy decides on. Empty stands for unknown, which no rule's condition matches."""

    dialect: str = ""
    model: str = ""
    key_id: str = ""
    key_name: str = ""
    team: str = ""
    labels: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What policy decided for one whole direction of an exchange."""

    action: Action
    policy_digest: str  # sha256 of the policy in force, hex
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """What watch decided: something across exchanges a person should see."""

    kind: str
    severity: str
    message: str
