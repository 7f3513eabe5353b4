"""`freehold plan serve`: does it fit, how fast, how many at a time, how many replicas."""

from collections.abc import Iterable
from pathlib import Path

import click

from freehold.cli.plan_words import as_json, echo_json, figure, show_facts, simulated, tornado
from freehold.core.errors import InvalidRequest
from freehold.plan.catalogue import find
from freehold.plan.models import Weights, find_decoder
from freehold.plan.queueing import Played
from freehold.plan.serving import Deployment, Load, Serving, load_of, replay
from freehold.plan.serving import serve as work_out
from freehold.plan.trace import Arrival, parse_trace

MOST_BYTES = 32 << 20
_WEIGHTS = {one.name.lower(): one for one in Weights}


@click.command()
@click.option("--model", required=True, help="A name of the table: llama-3.1-70b, qwen3-32b, gpt-oss-120b.")
@click.option("--chip", required=True, help="A name of the catalogue.")
@click.option("--tp", type=int, default=1, show_default=True, help="Chips of one replica.")
@click.option("--weights", type=click.Choice(list(_WEIGHTS)), default="bf16", show_default=True, help="How weights are stored.")
@click.option("--prompt", type=int, default=512, show_default=True, help="Tokens of a prompt, on average.")
@click.option("--output", type=int, default=512, show_default=True, help="Tokens of an answer, on average.")
@click.option("--batch", type=int, help="Sequences at a time. Default: the most that memory and --itl-ms allow.")
@click.option("--itl-ms", type=float, help="The most between two tokens, in milliseconds.")
@click.option("--ttft-ms", type=float, help="The most before the first token, in milliseconds.")
@click.option("--rate", type=float, help="Requests a second in the busiest hour: how many replicas that takes.")
@click.option(
    "--trace",
    "path",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Requests as they came, CSV: arrived_s, prompt_tokens, output_tokens, or Azure's or vidur's. In place of the averages.",
)
@as_json
def serve(
    model: str,
    chip: str,
    tp: int,
    weights: str,
    prompt: int,
    output: int,
    batch: int | None,
    itl_ms: float | None,
    ttft_ms: float | None,
    rate: float | None,
    path: Path | None,
    as_json: bool,
) -> None:
    """Tell whether a model fits chips, how fast it answers, how many sequences at a time, and how many replicas a load takes.

    Times between tokens are a fit to measured systems. For a model on your own machine, streamed from disk or not,
    `freehold fit` predicts this engine from rates that it measures.
    """
    deployment = Deployment(model=find_decoder(model), chip=find(chip), chips=tp, weights=_WEIGHTS[weights])
    arrivals = _trace(path) if path else ()
    if arrivals:
        load = load_of(arrivals, itl_ms, ttft_ms)
    else:
        load = Load(prompt_tokens=prompt, output_tokens=output, requests_per_s=rate, itl_ms=itl_ms, ttft_ms=ttft_ms)
    found = work_out(deployment, load, batch)
    played = replay(found, arrivals) if arrivals else None
    if as_json:
        echo_json(_document(found) | {"trace": played})
        return
    show_facts((*_facts(found), *(_played(played, len(arrivals)) if played else ())))
    click.echo("\nwhat moves the tokens a second most")
    tornado(found.tokens_per_s)


def _facts(one: Serving) -> Iterable[tuple[str, str]]:
    deployment, held = one.deployment, one.fit
    yield "model", f"{deployment.model.name} in {deployment.weights.name} on {deployment.chips} {deployment.chip.name}"
    yield "weights", f"{figure(held.weights_gb, 'GB')} a chip, {figure(held.kv_gb, 'GB')} left for keys and values"
    each = f"{figure(held.kv_bytes_per_sequence / 1e6, 'MB')} each at {one.load.prompt_tokens + one.load.output_tokens:,} tokens"
    yield "sequences", f"{held.sequences:,} fit at a time, {each}"
    yield "batch", f"{one.batch:,}, bound by {one.bound}"
    yield "between tokens", simulated(one.itl_ms, "ms")
    yield "first token", f"{simulated(one.ttft_ms, 'ms')}, without a queue"
    yield "a replica", f"{simulated(one.tokens_per_s, 'tokens/s')}, {figure(one.requests_per_s, 'requests/s')}"
    yield "energy of the cards", f"{simulated(one.joules_per_token, 'J')} a token, without hosts and cooling"
    if one.replicas is not None:
        yield "replicas", f"{one.replicas:,} for {figure(one.load.requests_per_s, 'requests/s')}, each busy to 80 %"
    fit = one.decode_fit
    errors = f"median error {fit.median_error:.0%} ({fit.dense_median_error:.0%} of dense models), P90 {fit.p90_error:.0%}"
    yield "how good", f"{errors}: {fit.rows} measured systems, each model left out in turn"
    for warning in one.warnings:
        yield "note", warning


def _trace(path: Path) -> tuple[Arrival, ...]:
    if path.stat().st_size > MOST_BYTES:
        raise InvalidRequest(f"{path} is larger than {MOST_BYTES >> 20} MiB: cut out the busiest hours", param="trace")
    try:
        return parse_trace(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError as exc:
        raise InvalidRequest(f"{path} is no text: {exc}", param="trace") from exc


def _played(one: Played, requests: int) -> Iterable[tuple[str, str]]:
    yield (
        "of the trace",
        f"{requests:,} requests: {one.replicas:,} replicas keep the limits for 95 of 100, at work {one.busy:.0%} of the time",
    )
    yield "first token then", f"{figure(one.ttft_p50_ms, 'ms')} in the middle, {figure(one.ttft_p95_ms, 'ms')} for 95 of 100"
    yield (
        "between tokens then",
        f"{figure(one.between_p50_ms, 'ms')} in the middle, {figure(one.between_p95_ms, 'ms')} for 95 of 100",
    )


def _document(one: Serving) -> dict[str, object]:
    return {
        "model": one.deployment.model.name,
        "weights": one.deployment.weights.name.lower(),
        "chip": one.deployment.chip.name,
        "chips": one.deployment.chips,
        "fit": one.fit,
        "batch": one.batch,
        "bound": one.bound,
        "itl_ms": one.itl_ms,
        "ttft_ms": one.ttft_ms,
        "tokens_per_s": one.tokens_per_s,
        "requests_per_s": one.requests_per_s,
        "joules_per_token": one.joules_per_token,
        "replicas": one.replicas,
        "decode_fit": one.decode_fit,
        "warnings": one.warnings,
    }
