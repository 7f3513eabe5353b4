"""What an operator may set for the guard in the configuration file. What it means is decided in `policy.py`.

The policy file has settings of its own: `policy_file.py`.
"""

from typing import Literal

import msgspec

ActionName = Literal["allow", "tag", "tokenise", "mask", "block"]
ModeName = Literal["enforce", "shadow"]


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
    """`engine` "auto" is Hyperscan where it is installed; findings are the same with either.

    `policy` is a file, relative to the configuration's folder: its rules go before `rules` and `categories`.
    """

    engine: Literal["hyperscan", "re2", "auto"] = "auto"
    policy: str | None = None
    categories: dict[str, RuleConfig] = {}
    rules: dict[str, RuleConfig] = {}
