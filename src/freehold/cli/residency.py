"""`freehold residency`: where data may go, and where it went."""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from importlib.resources import files
from pathlib import Path
from sqlite3 import Connection
from time import time_ns
from typing import Any

import click
from msgspec.structs import replace
from rich.table import Table

from freehold import config as configuration
from freehold.cli import Unusable
from freehold.cli.terminal import print_table
from freehold.config import Config
from freehold.core.findings import Context
from freehold.core.limits import DAY_NS, day_of, midnight, time_text
from freehold.core.ports import Placement
from freehold.guard import StreamGuard
from freehold.guard.labels import Label
from freehold.guard.patterns import close
from freehold.guard.residency import ENGINE, LabelPolicy, policy_of
from freehold.guard.residency_config import SiteConfig
from freehold.policy_read import policy_path, read_policy
from freehold.residency import load_residency
from freehold.store.database import connected, open_reader

_CALLS = """
    SELECT provider, count(*) AS calls, min(received_at_ns) AS first_ns, max(received_at_ns) AS last_ns
    FROM ledger WHERE provider IS NOT NULL AND received_at_ns >= ? GROUP BY provider
"""
_PLACEMENTS = "SELECT n, facts FROM audit WHERE kind = 'placement' AND facts IS NOT NULL ORDER BY n"
_POLICIES = "SELECT facts FROM audit WHERE kind = 'policy_loaded' AND facts IS NOT NULL"


@click.group()
def residency() -> None:
    """See where data may go, and where it went."""


@residency.command()
@click.option("--labels", default="", help="What a caller would send in x-freehold-labels: personal,export_controlled")
@click.option("--found", multiple=True, metavar="NAME", help="A rule or category that the guard would find. May be repeated.")
@click.option("--model", help="Only upstreams that serve it.")
@click.option("--key-name", default="", help="The client key's name.")
@click.option("--team", default="", help="The client key's team.")
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="The configuration; default: this node's.")
@click.option("--json", "as_json", is_flag=True, help="The decision as one JSON object.")
def check(
    labels: str, found: tuple[str, ...], model: str | None, key_name: str, team: str, config_path: Path | None, as_json: bool
) -> None:
    """Explain which upstreams may have an exchange, and why not the others. Nothing is sent.

    Exit code 0: somebody may; 1: nobody.
    """
    config, policy = _policy(config_path)
    context = Context(model=model or "", key_name=key_name, team=team)
    claimed = [word.strip() for word in labels.split(",") if word.strip()]
    placement = policy.place_found(context, claimed, _findings(config, config_path, found), _upstreams(config, model), time_ns())
    if as_json:
        click.echo(json.dumps(asdict(placement) | {"labels": sorted(placement.labels)}, indent=2))
    else:
        _explain(placement)
    sys.exit(0 if placement.allowed else 1)


@residency.command()
@click.option("--days", default=30, show_default=True, type=click.IntRange(1, 36_500), help="Count the calls of so many days.")
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="The configuration; default: this node's.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for a program.")
def report(days: int, config_path: Path | None, as_json: bool) -> None:
    """List recipients, countries, safeguards and calls: what a record of processing asks for (GDPR article 30)."""
    config, policy = _policy(config_path)
    now_ns = time_ns()
    store = config.store
    path = configuration.home() / store.file
    with connected(open_reader, path, store.busy_timeout_s) as connection:
        calls = {row["provider"]: row for row in connection.execute(_CALLS, (now_ns - days * DAY_NS,))}
    rows = [_recipient(config, policy, name, calls.pop(name, None), now_ns) for name in _upstreams(config, None)]
    rows += [{"upstream": name, "calls": row["calls"], "configured": False} for name, row in calls.items()]
    by_basis: dict[str, int] = {}
    for row in rows:
        basis = row.get("transfer_basis") or "unknown"
        by_basis[basis] = by_basis.get(basis, 0) + row["calls"]
    if as_json:
        click.echo(json.dumps({"days": days, "recipients": rows, "calls_by_basis": by_basis}, indent=2, default=str))
        return
    table = Table(
        "upstream", "operator", "country", "parent", "basis", "keeps", "may have", "until", "calls", box=None, pad_edge=False
    )
    for row in rows:
        shown = (
            "upstream",
            "operator",
            "jurisdiction",
            "parent_jurisdiction",
            "transfer_basis",
            "retention",
            "labels",
            "until",
            "calls",
        )
        table.add_row(*(_cell(row.get(name)) for name in shown))
    print_table(table)
    click.echo(f"calls of {days} days by basis: " + ", ".join(f"{basis} {count}" for basis, count in sorted(by_basis.items())))


@residency.command()
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
def replay(as_json: bool) -> None:
    """Make every placement in the log again, each under the policy of its time, and name the first that comes out otherwise.

    Exit code 0: all come out the same; 1: one does not.
    """
    store = configuration.load().store
    path = configuration.home() / store.file
    with connected(open_reader, path, store.busy_timeout_s) as connection:
        outcomes = list(_replayed(connection))
    different = [n for n, outcome in outcomes if outcome == "different"]
    unknown = sum(outcome == "unknown_policy" for _, outcome in outcomes)
    same = len(outcomes) - len(different) - unknown
    if as_json:
        click.echo(json.dumps({"same": same, "different": different, "unknown_policy": unknown}))
    else:
        click.echo(f"{same} placements come out the same, {len(different)} otherwise; of {unknown} the policy is not in the log.")
        if different:
            click.echo(f"The first that comes out otherwise is row {different[0]}.", err=True)
    sys.exit(1 if different else 0)


@residency.command()
def jurisdictions() -> None:
    """Print the table of jurisdictions that comes with Freehold, as CSV with its sources."""
    click.echo((files("freehold.guard") / "data" / "jurisdictions.csv").read_text(encoding="utf-8"), nl=False)


def _policy(config_path: Path | None) -> tuple[Config, LabelPolicy]:
    config = configuration.load(config_path)
    found = configuration.find(config_path)
    policy = load_residency(config.residency, configuration.home() if found is None else found.parent)
    if not isinstance(policy, LabelPolicy):
        raise Unusable("the configuration has no [residency] table: nothing is restricted, every upstream may have everything")
    return config, policy


def _findings(config: Config, config_path: Path | None, names: tuple[str, ...]) -> list[tuple[str, str]]:
    """Rule and category as a finding of each name has them."""
    if not names:
        return []
    path = policy_path(config.guard.policy, configuration.find(config_path), configuration.home())
    # re2 compiles in a moment, and only names are asked for.
    guard = StreamGuard(replace(config.guard, engine="re2"), policy=read_policy(path) if path is not None else None)
    category_of = {subject.id: subject.category for subject in guard.policy.subjects}
    category_of = {category: category for category in category_of.values()} | category_of
    for name in names:
        if name not in category_of:
            raise Unusable(f"there is no rule or category {name!r}; {close(name, category_of)}")
    return [(name, category_of[name]) for name in names]


def _upstreams(config: Config, model: str | None) -> list[str]:
    served = {upstream.name: list(upstream.models) for upstream in config.upstreams}
    if config.engine.model:
        served = {ENGINE: [config.engine.model]} | served
    names = [name for name, models in served.items() if model is None or model in models]
    if not names:
        raise Unusable(f"no upstream serves the model {model!r}" if model else "no upstream is configured, and no engine")
    return names


def _explain(placement: Placement) -> None:
    click.echo("labels: " + ", ".join(f"{label} (from the {origin})" for label, origin in placement.origins))
    table = Table("upstream", "may have it", "why not", box=None, pad_edge=False)
    for name in placement.allowed:
        table.add_row(name, "yes", "")
    for one in placement.rejected:
        table.add_row(one.upstream, "no", ", ".join(one.reasons))
    print_table(table)
    click.echo(f"policy {placement.policy_digest}")


def _recipient(config: Config, policy: LabelPolicy, name: str, calls: Any, now_ns: int) -> dict[str, Any]:
    settings = config.residency
    assert settings is not None  # `policy` was made of it
    is_local = name == ENGINE or name in settings.local
    site = settings.upstreams.get(name, SiteConfig(region="local", transfer_basis="local") if is_local else SiteConfig())
    labels = [label for label in Label if policy.place_found(Context(), [label], (), [name], now_ns).allowed]
    return {
        "upstream": name,
        "configured": True,
        "local": is_local,
        "operator": site.operator,
        "region": site.region,
        "jurisdiction": site.jurisdiction,
        "parent_jurisdiction": site.parent_jurisdiction,
        "transfer_basis": "local" if is_local else site.transfer_basis,
        "retention_days": site.retention_days,
        "retention": None if site.retention_days is None else f"{site.retention_days} days",
        "trains_on_data": site.trains_on_data,
        "subprocessors": site.subprocessors,
        "attested_at": site.attested_at,
        "until": _until(site.expires_at, now_ns),
        "labels": labels,
        "calls": calls["calls"] if calls else 0,
        "first_call": time_text(calls["first_ns"]) if calls else None,
        "last_call": time_text(calls["last_ns"]) if calls else None,
    }


def _until(expires_at: date | None, now_ns: int) -> str | None:
    if expires_at is None:
        return None
    today = midnight(day_of(now_ns)).date()
    return f"{expires_at} (expired)" if expires_at < today else f"{expires_at} ({(expires_at - today).days} days)"


def _replayed(connection: Connection) -> Iterator[tuple[int, str]]:
    """Each placement's row, and whether it comes out the same."""
    policies = {}
    for row in connection.execute(_POLICIES):
        facts = json.loads(row["facts"])
        if facts.get("of") == "residency":
            policies[facts["digest"]] = policy_of(json.dumps(facts["policy"]))
    for row in connection.execute(_PLACEMENTS):
        facts = json.loads(row["facts"])
        policy = policies.get(facts["policy_digest"])
        if policy is None or policy.digest != facts["policy_digest"]:
            yield row["n"], "unknown_policy"
            continue
        context = Context(**(facts["context"] | {"labels": frozenset(facts["context"]["labels"])}))
        found = [(rule, category) for rule, category in facts["found"]]
        again = policy.place_found(context, facts["claimed"], found, facts["upstreams"], facts["at_ns"])
        rejected = {one.upstream: list(one.reasons) for one in again.rejected}
        is_same = (list(again.allowed), rejected) == (facts["allowed"], facts["rejected"])
        yield row["n"], "same" if is_same else "different"


def _cell(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "nothing"
    return "unknown" if value is None else str(value)
