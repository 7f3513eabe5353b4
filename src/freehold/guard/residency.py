"""Where an exchange may be answered: labels in, upstreams out. Implements `core.ports.Residency`.

Decided here: an upstream is allowed if it satisfies the rule of every label that applies, and of every label below those. A label
without a rule, an upstream nobody attested anything of, a fact a rule asks for that is unknown: each of them denies. Labels come
from the key, the team, the caller, and what the guard found (in shadow, too); a caller may add to them and take nothing away.
The decision is a pure function of what goes in, the configuration and the table of jurisdictions, whose digest it names: the same
question under the same digest has the same answer at any later time.

An upstream that is local sends data nowhere: rules on countries, parents, bases and contracts have nothing to hold against it.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase

import msgspec

from freehold.core.errors import ConfigError, InvalidRequest
from freehold.core.findings import Context, Finding
from freehold.core.ports import Placement, Rejection
from freehold.guard.jurisdictions import ADEQUACY, GROUPS, OURS, Jurisdiction, Jurisdictions, day_ns
from freehold.guard.labels import Label, raises, with_below
from freehold.guard.residency_config import LabelRuleConfig, ResidencyConfig, SiteConfig

ENGINE = "freehold"  # our own, on this machine
ANYWHERE = "*"
UNRESTRICTED_DIGEST = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Site:
    """An upstream's facts, its days as times."""

    config: SiteConfig
    from_ns: int | None
    until_ns: int | None


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    residency: ResidencyConfig
    jurisdictions: dict[str, Jurisdiction]


class LabelPolicy:
    """Raises ConfigError where the configuration does not hold together."""

    def __init__(self, config: ResidencyConfig, jurisdictions: Jurisdictions = OURS) -> None:
        self._config = config
        self._jurisdictions = jurisdictions
        self._local = frozenset([ENGINE, *config.local])
        self._sites = {name: _site(site) for name, site in config.upstreams.items()}
        for label, rule in config.labels.items():
            _check_places(label, rule, jurisdictions)
        for name, site in config.upstreams.items():
            _check_codes(name, site, jurisdictions)
        self._digest = hashlib.sha256(self.document()).hexdigest()

    @property
    def digest(self) -> str:
        return self._digest

    def document(self) -> bytes:
        """All that decides, as canonical JSON: kept in the log, it lets an old decision be made again."""
        return msgspec.json.encode(_Document(residency=self._config, jurisdictions=dict(self._jurisdictions)), order="sorted")

    def facts(self) -> dict[str, object]:
        """What the log keeps when this comes into force: whoever has it can make every decision under its digest again."""
        return {"of": "residency", "digest": self._digest, "policy": msgspec.json.decode(self.document())}

    def place(
        self, context: Context, claimed: Sequence[str], findings: Sequence[Finding], upstreams: Sequence[str], at_ns: int
    ) -> Placement:
        """Raises InvalidRequest for labels that do not exist."""
        found = {(finding.rule, finding.category) for finding in findings}
        return self.place_found(context, claimed, sorted(found), upstreams, at_ns)

    def place_found(
        self, context: Context, claimed: Sequence[str], found: Iterable[tuple[str, str]], upstreams: Sequence[str], at_ns: int
    ) -> Placement:
        """`found` are rules and categories of findings: all of them that a decision needs, and what the log keeps."""
        origins = self._origins(context, claimed, found)
        labels = frozenset(label for label, _ in origins)
        verdicts = [(name, self._reasons(name, labels, at_ns)) for name in upstreams]
        return Placement(
            labels=frozenset(map(str, labels)),
            origins=tuple((str(label), origin) for label, origin in origins),
            allowed=tuple(name for name, reasons in verdicts if not reasons),
            rejected=tuple(Rejection(upstream=name, reasons=reasons) for name, reasons in verdicts if reasons),
            policy_digest=self._digest,
            at_ns=at_ns,
        )

    def _origins(self, context: Context, claimed: Sequence[str], found: Iterable[tuple[str, str]]) -> list[tuple[Label, str]]:
        """Each label once, with the first that gave it: rule, key, detector, and last the caller, where it says more."""
        config = self._config
        given = [(config.default_label, "rule")]
        given += [(parse_label(label), "key") for label in sorted(context.labels)]
        given += [(label, "rule") for label in _matching(config.keys, context.key_name)]
        given += [(label, "rule") for label in _matching(config.teams, context.team)]
        given += [
            (label, "detector")
            for rule, category in found
            for pattern, label in config.findings.items()
            if fnmatchcase(rule, pattern) or fnmatchcase(category, pattern)
        ]
        origins: dict[Label, str] = {}
        for label, origin in given:
            origins.setdefault(label, origin)
        known = list(origins)
        for label in map(parse_label, claimed):
            if raises(label, known):
                origins.setdefault(label, "caller")
        return sorted(origins.items())

    def _reasons(self, name: str, labels: Iterable[Label], at_ns: int) -> tuple[str, ...]:
        """Why an upstream may not have data of these labels; none where it may."""
        reasons: set[str] = set()
        bound: set[Label] = set()
        for label in labels:
            bound.update(with_below(label))
            if label not in self._config.labels:
                reasons.add(f"no_rule_for_{label}")
        if name not in self._local:
            reasons.update(self._unattested(name, at_ns))
            for label in bound & self._config.labels.keys():
                reasons.update(self._broken(self._config.labels[label], self._config.upstreams.get(name, SiteConfig()), at_ns))
        return tuple(sorted(reasons))

    def _unattested(self, name: str, at_ns: int) -> Iterable[str]:
        site = self._sites.get(name)
        if site is None:
            return ("nothing_attested",)
        missing = [f"{field}_unknown" for field in ("region", "jurisdiction") if getattr(site.config, field) is None]
        if site.from_ns is None or at_ns < site.from_ns:
            missing.append("not_attested_yet")
        if site.until_ns is not None and at_ns >= site.until_ns:
            missing.append("attestation_expired")
        return missing

    def _broken(self, rule: LabelRuleConfig, site: SiteConfig, at_ns: int) -> Iterable[str]:
        """What of one rule an upstream elsewhere does not satisfy."""
        if rule.local_only:
            return ("not_local",)
        checks = {
            "jurisdiction_not_allowed": self._is_within(site.jurisdiction, rule.allowed, site, at_ns),
            "parent_not_allowed": self._is_within(site.parent_jurisdiction, rule.allowed_parents, site, at_ns),
            "subprocessor_not_allowed": all(
                self._is_within(code, rule.allowed, site, at_ns) for code in site.subprocessors.values()
            ),
            "basis_missing": not rule.bases or site.transfer_basis in rule.bases,
            "cloud_act_exposure": not rule.no_cloud_act_exposure or self._is_out_of_reach(site),
            "retention_too_long": rule.max_retention_days is None
            or (site.retention_days is not None and site.retention_days <= rule.max_retention_days),
            "trains_on_data": not rule.no_training or site.trains_on_data is False,
        }
        return [reason for reason, holds in checks.items() if not holds]

    def _is_within(self, code: str | None, places: Sequence[str], site: SiteConfig, at_ns: int) -> bool:
        if ANYWHERE in places:
            return True
        jurisdiction = self._jurisdictions.get(code or "")
        if jurisdiction is None:
            return False
        if code in places or not jurisdiction.groups.isdisjoint(places):
            return True
        return ADEQUACY in places and jurisdiction.is_adequate(site.transfer_basis, at_ns)

    def _is_out_of_reach(self, site: SiteConfig) -> bool:
        """Known not to be: of a company whose parent or whose presence is unknown, it cannot be said."""
        codes = [site.jurisdiction, site.parent_jurisdiction, *site.subprocessors.values()]
        places = [self._jurisdictions.get(code or "") for code in codes]
        return site.us_presence is False and all(place is not None and not place.cloud_act for place in places)


class Unrestricted:
    """Where nothing is configured nothing is restricted: every upstream may have everything.

    A caller who sends labels all the same is refused: they ask for a promise that nobody here would keep.
    """

    @property
    def digest(self) -> str:
        return UNRESTRICTED_DIGEST

    def place(
        self, context: Context, claimed: Sequence[str], findings: Sequence[Finding], upstreams: Sequence[str], at_ns: int
    ) -> Placement:
        if claimed:
            raise InvalidRequest(
                "this node has no rules on where data may go, so it can keep no promise about labels; an operator adds a "
                "[residency] table, or send no x-freehold-labels",
                code="labels_not_supported",
            )
        return Placement(
            labels=frozenset(), origins=(), allowed=tuple(upstreams), rejected=(), policy_digest=UNRESTRICTED_DIGEST, at_ns=at_ns
        )


def make_residency(config: ResidencyConfig | None, jurisdictions: Jurisdictions = OURS) -> LabelPolicy | Unrestricted:
    return Unrestricted() if config is None else LabelPolicy(config, jurisdictions)


def policy_of(document: bytes | str) -> LabelPolicy:
    """The policy that `LabelPolicy.document` wrote. Raises ConfigError."""
    try:
        written = msgspec.json.decode(document, type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise ConfigError(f"this is no residency policy as the log keeps it: {exc}") from exc
    return LabelPolicy(written.residency, written.jurisdictions)


def parse_label(text: str) -> Label:
    try:
        return Label(text)
    except ValueError as exc:
        raise InvalidRequest(
            f"there is no label {text[:60]!r}; known labels: {', '.join(Label)}", param="x-freehold-labels", code="unknown_label"
        ) from exc


def _site(config: SiteConfig) -> _Site:
    return _Site(config=config, from_ns=_day_ns(config.attested_at), until_ns=_day_ns(config.expires_at, end=True))


def _day_ns(day: date | None, *, end: bool = False) -> int | None:
    return None if day is None else day_ns(day.isoformat(), end=end)


def _matching(table: Mapping[str, Sequence[Label]], name: str) -> Iterable[Label]:
    return [label for pattern, labels in table.items() if name and fnmatchcase(name, pattern) for label in labels]


def _check_places(label: Label, rule: LabelRuleConfig, jurisdictions: Jurisdictions) -> None:
    known = {*jurisdictions, *GROUPS, ADEQUACY, ANYWHERE}
    for setting in ("allowed", "allowed_parents"):
        unknown = [place for place in getattr(rule, setting) if place not in known]
        if unknown:
            raise ConfigError(
                f"residency.labels.{label}.{setting}: {unknown[0]!r} is no jurisdiction known here; take a code such as DE, "
                f"a group ({', '.join(GROUPS)}, {ADEQUACY}), or '*', or add a row with residency.jurisdictions"
            )


def _check_codes(name: str, site: SiteConfig, jurisdictions: Jurisdictions) -> None:
    for code in (site.jurisdiction, site.parent_jurisdiction, *site.subprocessors.values()):
        if code is not None and code not in jurisdictions:
            raise ConfigError(
                f"residency.upstreams.{name}: {code!r} is no jurisdiction known here; add a row for it with "
                "residency.jurisdictions"
            )
