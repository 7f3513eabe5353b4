"""`freehold audit-model`: is the remote model the one it says? Asked, compared, told with p-values.

Exit codes: 0 no difference was found, 1 something differs, 2 it cannot be told.
"""

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from freehold import config as configuration
from freehold.cli import Unusable
from freehold.cli.files import refuse_unwritable
from freehold.cli.terminal import print_table
from freehold.config import Config
from freehold.core.errors import ConfigError, FreeholdError, os_errors
from freehold.core.ports import Prices
from freehold.gateway.prices import PriceList
from freehold.model_audits.collect import Pace
from freehold.model_audits.planning import Asked, make_plan
from freehold.model_audits.sides import Audited, Side, SideName, Taken, find_side, judged, open_side, read_baseline, take
from freehold.model_audits.spending import Ceiling, Estimate, estimate
from freehold.provenance.files import write_durably
from freehold.provenance.model_audit.baseline import Baseline, encode
from freehold.provenance.model_audit.comparison import CAUSES
from freehold.provenance.model_audit.config import PLAN_NAMES, TESTS


@click.command("audit-model")
@click.argument("upstream")
@click.option(
    "--reference", metavar="REF", help="What it is compared with: a model here, another upstream, or a baseline's file."
)
@click.option("--model", help="Which model of UPSTREAM, as this node calls it. Default: its only one.")
@click.option("--reference-model", help="Which model of REF, where that is an upstream.")
@click.option(
    "--plan", "plan_name", type=click.Choice(PLAN_NAMES), help="What is asked. Default: standard, 25 prompts x 40 answers."
)
@click.option("--prompts", "prompts_path", type=click.Path(path_type=Path), help="A TOML file of your own prompts.")
@click.option("--prompt-count", type=click.IntRange(1, 1000), help="Only the first so many prompts.")
@click.option("--samples", type=click.IntRange(1, 10_000), help="Answers to each prompt.")
@click.option(
    "--reference-samples", type=click.IntRange(2, 10_000), help="Answers of the reference, or in a baseline; default: as many."
)
@click.option("--max-tokens", type=click.IntRange(1, 4096), help="Longest answer.")
@click.option("--temperature", type=click.FloatRange(0, 2), help="Of both sides.")
@click.option("--test", "tests", multiple=True, type=click.Choice(TESTS), help="Only this test; may be given more than once.")
@click.option("--alpha", type=click.FloatRange(1e-6, 0.5), help="Chance of a false alarm, all tests together. Default: 0.05.")
@click.option("--seed", type=click.IntRange(0, 1 << 53), help="Of the permutations: the same answers give the same p-values.")
@click.option(
    "--save-baseline", type=click.Path(path_type=Path), help="Keep what UPSTREAM answers in this file, for later audits."
)
@click.option("--concurrency", default=4, show_default=True, type=click.IntRange(1, 256), help="Requests under way at once.")
@click.option("--per-minute", type=click.IntRange(1, 100_000), help="At most so many requests a minute.")
@click.option("--answers-per-request", default=8, show_default=True, type=click.IntRange(1, 128), help="Asked for where it can.")
@click.option("--max-usd", type=click.FloatRange(0, 1e6), help="Stop before a side costs more.")
@click.option("--max-requests", type=click.IntRange(1, 1_000_000), help="Stop before a side is asked more often.")
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="The node's configuration file.")
@click.option("--yes", is_flag=True, help="Do not ask whether the cost is agreed to.")
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
def audit_model(
    upstream: str,
    reference: str | None,
    model: str | None,
    reference_model: str | None,
    config_path: Path | None,
    save_baseline: Path | None,
    yes: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Compare what UPSTREAM answers with what a reference answers to the same prompts.

    UPSTREAM is named in the configuration, or a model on this machine. Log-probabilities, whole answers and ranks are compared,
    counts of tokens and names checked. The cost is shown before anything is asked. That nothing was found does not prove that
    the models are the same: the result says what would have been found.

    Exit code 0: no difference was found; 1: something differs; 2: it cannot be told.
    """
    if reference is None and save_baseline is None:
        raise Unusable("name what to compare with by --reference, or a file to keep a baseline in by --save-baseline")
    try:
        audit = _Audit(config_path, upstream, model, reference, reference_model, options)
        if save_baseline is not None:
            refuse_unwritable(save_baseline)
        audit.show_cost(quiet=as_json and yes)
        if not yes:
            _confirm()
        audited, now = asyncio.run(audit.run(quiet=as_json))
        if save_baseline is not None:
            with os_errors(f"cannot write the baseline {save_baseline}"):
                write_durably(save_baseline, encode(audit.baseline_of(now)), mode=0o600)
    except FreeholdError as error:
        raise Unusable(error.message) from error
    if audited is None:
        click.echo(json.dumps({"baseline": str(save_baseline)}) if as_json else f"kept in {save_baseline}")
        return
    click.echo(json.dumps(_document(audit, audited), indent=2)) if as_json else _tell(audit, audited)
    if not audited.comparison.outcomes and not audited.comparison.mismatches:
        raise Unusable("no test could be held: " + "; ".join(_skipped(audited).values()))
    sys.exit(1 if audited.comparison.differs else 0)


class _Audit:
    """What was asked for on the command line, looked up."""

    def __init__(
        self,
        config_path: Path | None,
        upstream: str,
        model: str | None,
        reference: str | None,
        reference_model: str | None,
        options: Mapping[str, Any],
    ) -> None:
        self.config: Config = configuration.load(config_path)
        found = configuration.find(config_path)
        home = configuration.home()
        self._folder = found.parent if found is not None else home
        self.side = find_side(self.config, home, self._folder, upstream, model, may_be_file=False)
        self.reference: SideName | None = None
        self.baseline: Baseline | None = None
        if reference is not None:
            self.reference = find_side(self.config, home, Path(), reference, reference_model, may_be_file=True)
            if self.reference.file is not None:
                self.baseline = read_baseline(self.reference.file)
        self.plan = make_plan(
            Asked(
                plan=options["plan_name"],
                prompts_path=options["prompts_path"],
                tests=options["tests"] or None,
                **{
                    name: options[name]
                    for name in ("prompt_count", "samples", "reference_samples", "max_tokens", "temperature", "seed", "alpha")
                },
            ),
            self.baseline,
        )
        self._prices: Prices = PriceList(self.config.prices)
        self._pace = Pace(
            concurrency=options["concurrency"],
            per_minute=options["per_minute"],
            answers_per_request=options["answers_per_request"],
        )
        usd = options["max_usd"]
        self._ceiling = Ceiling(requests=options["max_requests"], microusd=None if usd is None else round(usd * 1e6))

    @property
    def is_baseline_only(self) -> bool:
        return self.reference is None

    @property
    def is_same_service(self) -> bool:
        """Whether the baseline is of this very model: then its template and names must be what they were."""
        return self.baseline is not None and (self.baseline.upstream, self.baseline.model) == (
            self.side.price_name,
            self.side.model,
        )

    def estimates(self) -> list[tuple[SideName, Estimate]]:
        asked = [(self.side, self.is_baseline_only)]
        if self.reference is not None and self.reference.file is None:
            asked.append((self.reference, True))
        return [
            (
                name,
                estimate(
                    self.plan,
                    of_reference=of_reference,
                    per_request=self._pace.answers_per_request,
                    prices=self._prices,
                    model=name.model,
                    upstream=name.price_name,
                ),
            )
            for name, of_reference in asked
        ]

    def show_cost(self, *, quiet: bool) -> None:
        """On standard error: the result stays alone on standard output. Raises ConfigError where the limit is too low for it."""
        estimates = self.estimates()
        if not quiet:
            _show_cost(estimates)
        for name, one in estimates:
            if self._ceiling.microusd is not None and name.upstream is not None and one.microusd is None:
                raise ConfigError(
                    f"what {name} costs is not known, so --max-usd cannot be kept: add a [[prices]] entry, or use --max-requests"
                )

    async def run(self, *, quiet: bool) -> tuple[Audited | None, Taken]:
        async with open_side(self.config, self._folder, self.side) as side:
            now = await self._take(side, of_reference=self.is_baseline_only, quiet=quiet)
        if self.baseline is not None:
            reference = self.baseline.sample
            return await judged(self.plan, now, reference, None, is_same_service=self.is_same_service), now
        if self.reference is None:
            return None, now
        async with open_side(self.config, self._folder, self.reference) as other:
            taken = await self._take(other, of_reference=True, quiet=quiet)
            return await judged(self.plan, now, taken.sample, other, is_same_service=False), now

    async def _take(self, side: Side, *, of_reference: bool, quiet: bool) -> Taken:
        console = Console(stderr=True, quiet=quiet or not sys.stderr.isatty())
        with console.status(f"asking {side.name}") as status:
            return await take(
                side,
                self.plan,
                self._prices,
                self._pace,
                self._ceiling,
                of_reference=of_reference,
                told=lambda requests, done: status.update(
                    f"asking {side.name}: {done} of {len(self.plan.prompts)} prompts, {requests} requests"
                ),
            )

    def baseline_of(self, now: Taken) -> Baseline:
        return Baseline(
            upstream=self.side.price_name, model=self.side.model, taken_at_s=int(time.time()), plan=self.plan, sample=now.sample
        )


def _confirm() -> None:
    if not sys.stdin.isatty():
        raise Unusable("nobody is there to agree to the cost; look at it, and say --yes")
    if not click.confirm("Ask?", err=True):
        raise Unusable("nothing was asked")


def _show_cost(estimates: list[tuple[SideName, Estimate]]) -> None:
    table = Table("side", "requests", "input tokens", "output tokens", "cost", box=None, pad_edge=False)
    for name, one in estimates:
        requests = f"{one.requests:,}"
        if one.most_requests > one.requests:
            requests += f" ({one.most_requests:,} if it gives one answer at a time)"
        table.add_row(str(name), requests, f"≤ {one.input_tokens:,}", f"≤ {one.output_tokens:,}", _cost(name, one.microusd))
    print_table(table, to_stderr=True)


def _cost(name: SideName, microusd: int | None) -> str:
    if name.upstream is None:
        return "runs here"
    return "unknown: no price is set" if microusd is None else f"≤ {microusd / 1e6:.4f} USD"


def _skipped(audited: Audited) -> dict[str, str]:
    """Why a test was not held, in the upstream's own words where it has some."""
    cannot = audited.now.cannot
    return {test: f"{why} ({cannot[test]})" if test in cannot else why for test, why in audited.comparison.skipped.items()}


def _tell(audit: _Audit, audited: Audited) -> None:
    comparison = audited.comparison
    table = Table("test", "p", "adjusted p", "result", "measured", "80 % chance to find", box=None, pad_edge=False)
    for one in comparison.outcomes:
        verdict = "differs" if one in comparison.rejected else "no difference found"
        table.add_row(one.test, f"{one.p:.4f}", f"{one.adjusted_p:.4f}", verdict, one.words, one.found or "")
    for test, why in _skipped(audited).items():
        table.add_row(test, "", "", "not held", why, "")
    print_table(table)
    click.echo()
    for mismatch in comparison.mismatches:
        click.echo(f"does not fit: {mismatch.words}")
    click.echo(f"{audit.side} against {audit.reference}: {_verdict(audited)}")
    if comparison.rejected:
        click.echo("What may be behind it, from the mildest:")
        for cause in CAUSES:
            click.echo(f"  - {cause}")
    spending = audited.now.spending
    cost = "" if spending.microusd is None else f", {spending.microusd / 1e6:.4f} USD"
    click.echo(
        f"asked {spending.requests:,} times: {spending.input_tokens:,} input and {spending.output_tokens:,} output tokens{cost}"
    )


def _verdict(audited: Audited) -> str:
    comparison = audited.comparison
    if comparison.rejected:
        return f"the distribution differs (false alarm at most {comparison.alpha:.0%})"
    if comparison.mismatches:
        return "its answers do not differ as far as was looked, but what it says of itself does not fit"
    if not comparison.outcomes:
        return "cannot be told"
    return "no difference found; smaller changes than those above may be there"


def _document(audit: _Audit, audited: Audited) -> dict[str, Any]:
    comparison, spending = audited.comparison, audited.now.spending
    return {
        "upstream": audit.side.price_name,
        "model": audit.side.model,
        "reference": str(audit.reference),
        "differs": comparison.differs,
        "verdict": _verdict(audited),
        "alpha": comparison.alpha,
        "tests": [asdict(one) | {"rejected": one in comparison.rejected} for one in comparison.outcomes],
        "not_held": _skipped(audited),
        "mismatches": [asdict(one) for one in comparison.mismatches],
        "rival_causes": list(CAUSES) if comparison.rejected else [],
        "plan": {
            "prompts": len(audit.plan.prompts),
            "samples": audit.plan.samples,
            "max_tokens": audit.plan.max_tokens,
            "temperature": audit.plan.temperature,
            "permutations": audit.plan.permutations,
            "seed": audit.plan.seed,
        },
        "spent": {
            "requests": spending.requests,
            "input_tokens": spending.input_tokens,
            "output_tokens": spending.output_tokens,
            "usd": None if spending.microusd is None else spending.microusd / 1e6,
        },
    }
