"""`freehold plan validate`: how far off the planner is."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from freehold.cli.charts import bar_chart
from freehold.cli.plan_answer import Answer, Rows, answer_options, tell
from freehold.cli.plan_words import figure
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
@answer_options
def validate(path: Path | None, cases: bool, as_json: bool, html: Path | None) -> None:
    """Show predicted against published: medians, the ninth decile and the worst case of each family. Offline."""
    families = (*work_out(), *((validate_runs(_runs(path)),) if path else ()))
    tell(_answer(families, cases), as_json, html)


def _answer(families: Sequence[Family], with_cases: bool) -> Answer:
    header = ("family", "cases", "median", "P90", "worst", "which", "how")
    case_header = ("case", "predicted", "published", "error", "source")
    told = Rows(header=case_header, rows=tuple(row for family in families for row in _cases(family)))
    fit = f"{len(RUNS)} runs, data {stored_fit().data_sha256[:16]}"
    errors = [(family.name, family.median_error * 100) for family in families]
    return Answer(
        title="How far off the planner is",
        document={"fit_data_sha256": stored_fit().data_sha256, "families": [_document(family) for family in families]},
        tables=(Rows(header=header, rows=tuple(_row(family) for family in families)), *([told] if with_cases else [])),
        facts=(("training fit", fit),),
        charts=(bar_chart("Median error by family", errors, "%"),),
        sources=tuple(dict.fromkeys(case.source for family in families for case in family.cases)),
        caveats=(
            "Which terms the fits have was chosen with these errors in sight: expect somewhat more on what nobody has seen.",
        ),
    )


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
