"""`freehold plan validate`: how far off the planner is."""

import csv
from collections.abc import Iterable
from pathlib import Path

import click

from freehold.cli.plan_words import as_json, echo_json, figure, show_rows
from freehold.core.errors import InvalidRequest, MalformedArtefact
from freehold.plan.training_fit import RUNS, Run, parse_runs, stored_fit
from freehold.plan.validation import Family, validate_runs
from freehold.plan.validation import validate as work_out

COLUMNS = ("run", "accelerator", "params_b", "active_params_b", "tokens_t", "accel_hours")
MOST_BYTES = 1 << 20


@click.command()
@click.option(
    "--runs",
    "path",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help=f"Your own training runs, CSV with {', '.join(COLUMNS)}: predicted by the stored fit.",
)
@click.option("--cases", is_flag=True, help="Show every case, not only medians and worst cases.")
@as_json
def validate(path: Path | None, cases: bool, as_json: bool) -> None:
    """Show predicted against published: medians, the ninth decile and the worst case of each family. Offline."""
    families = (*work_out(), *((validate_runs(_runs(path)),) if path else ()))
    if as_json:
        echo_json({"fit_data_sha256": stored_fit().data_sha256, "families": [_document(family) for family in families]})
        return
    show_rows(("family", "cases", "median", "P90", "worst", "which", "how"), (_row(family) for family in families))
    if cases:
        click.echo()
        show_rows(("case", "predicted", "published", "error", "source"), (row for family in families for row in _cases(family)))
    click.echo(f"\ntraining fit: {len(RUNS)} runs, data {stored_fit().data_sha256[:16]}")


def _runs(path: Path) -> tuple[Run, ...]:
    if path.stat().st_size > MOST_BYTES:
        raise InvalidRequest(f"{path} is larger than {MOST_BYTES >> 20} MiB: a table of runs is not", param="runs")
    try:
        table = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
        return parse_runs([{"n_accel": "", "energy_mwh": "", "pue": "", **row} for row in table], str(path))
    except (MalformedArtefact, UnicodeDecodeError, csv.Error) as exc:
        told = str(exc)
        raise InvalidRequest(told if str(path) in told else f"{path} is no table: {told}", param="runs") from exc


def _row(family: Family) -> tuple[str, ...]:
    worst = family.worst
    errors = (f"{family.median_error:.1%}", f"{family.p90_error:.1%}", f"{worst.error:+.1%}")
    return (family.name, str(len(family.cases)), *errors, worst.name, family.method)


def _cases(family: Family) -> Iterable[tuple[str, ...]]:
    for case in family.cases:
        figures = (figure(case.predicted, case.unit), figure(case.published, case.unit))
        yield (case.name, *figures, f"{case.error:+.1%}", case.source)


def _document(family: Family) -> dict[str, object]:
    return {
        "name": family.name,
        "method": family.method,
        "median_error": family.median_error,
        "p90_error": family.p90_error,
        "worst_error": family.worst.error,
        "worst": family.worst.name,
        "cases": [
            {
                "name": case.name,
                "unit": case.unit,
                "predicted": case.predicted,
                "published": case.published,
                "error": case.error,
                "source": case.source,
            }
            for case in family.cases
        ],
    }
