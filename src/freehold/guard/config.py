"""What an operator may set for the guard, as written in the configuration file. What it means is decided in `policy.py`."""

from typing import Literal

import msgspec

ActionName = Literal["allow", "tag", "mask", "block"]
ModeName = Literal["enforce", "shadow"]
DirectionName = Literal["request", "response"]


class RuleConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done with a finding. What is left out is as the rule's category says, and there as the default says.

    `request` and `response` say otherwise for one direction.
    """

    action: ActionName | None = None
    mode: ModeName | None = None
    request: "DirectionConfig | None" = None
    response: "DirectionConfig | None" = None


class DirectionConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    action: ActionName | None = None
    mode: ModeName | None = None


class GuardConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`engine` "auto" is Hyperscan where it is installed; findings are the same with either."""

    engine: Literal["hyperscan", "re2", "auto"] = "auto"
    categories: dict[str, RuleConfig] = {}
    rules: dict[str, RuleConfig] = {}
