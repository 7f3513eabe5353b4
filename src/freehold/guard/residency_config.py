"""What an operator may set about where data may go. What it means is decided in `residency.py`."""

from datetime import date
from typing import Annotated, Literal

import msgspec

from freehold.guard.labels import Label

Days = Annotated[int, msgspec.Meta(ge=0)]
Code = Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")]
# GDPR articles 45 to 49. scc: standard contractual clauses with a transfer impact assessment; bcr: binding corporate rules.
Basis = Literal["local", "eea", "adequacy", "dpf_certified", "scc", "bcr", "consent"]


class SiteConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is attested of one upstream. What is left out is unknown, and unknown is never allowed where a rule asks for it."""

    region: str | None = None  # the operator's word for the place: "eu-central-1"
    jurisdiction: Code | None = None  # whose law holds there
    operator: str | None = None  # who runs it
    parent_jurisdiction: Code | None = None  # of the operator's ultimate parent: location is not control
    us_presence: bool | None = None  # whether the operator is otherwise within reach of United States courts
    transfer_basis: Basis | None = None
    retention_days: Days | None = None  # how long the operator keeps what it was sent
    trains_on_data: bool | None = None
    subprocessors: dict[str, Code] = {}  # name to jurisdiction
    attested_at: date | None = None
    expires_at: date | None = None  # the last day on which all this may be relied on


class LabelRuleConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What data of a label needs. `allowed` and `allowed_parents` list codes, and groups: EU, EEA, adequacy; `*` is anywhere."""

    allowed: list[str] = []
    allowed_parents: list[str] = msgspec.field(default_factory=lambda: ["*"])
    bases: list[Basis] = []  # one of them; none named is any
    local_only: bool = False
    no_cloud_act_exposure: bool = False
    max_retention_days: Days | None = None
    no_training: bool = False


class ResidencyConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`labels` has the rule of each label, `upstreams` what is attested of each.

    `local` names upstreams that this house runs itself, beside our own engine, which always counts as local.
    """

    labels: dict[Label, LabelRuleConfig] = {}
    upstreams: dict[str, SiteConfig] = {}
    local: list[str] = []
    default_label: Label = Label.INTERNAL  # what every exchange is at least
    # A rule's or a category's name (`*` stands for any part) to the label of what has it in it.
    findings: dict[str, Label] = msgspec.field(default_factory=lambda: {"personal_data": Label.PERSONAL})
    keys: dict[str, list[Label]] = {}  # a client key's name (`*` as above) to labels of its traffic
    teams: dict[str, list[Label]] = {}
    jurisdictions: str | None = None  # a CSV file of rows that add to ours or replace them
