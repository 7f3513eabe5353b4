"""`freehold plan serve`: does it fit, how fast, how many at a time, how many replicas."""

from collections.abc import Iterable
from pathlib import Path

import click

from freehold.cli.charts import bar_chart
from freehold.cli.plan_answer import Answer, answer_options, moved, spans, tell
from freehold.cli.plan_words import figure, read_text, simulated
from freehold.plan.catalogue import Accelerator, find
from freehold.plan.models import Decoder, Weights, find_decoder
from freehold.plan.queueing import Played
from freehold.plan.serving import Deployment, Load, Serving, load_of, replay
from freehold.plan.serving import serve as work_out
from freehold.plan.streaming import LINK_GB_PER_S, QUANTISATIONS, Host, stream_range
from freehold.plan.streaming import stream as work_out_stream
from freehold.plan.trace import parse_trace

MOST_BYTES = 32 << 20
_FITTED = "Times between tokens: fitted to ML.ENERGY's measured systems; prefill: MLPerf Inference v5.1"
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
@click.option(
    "--stream",
    type=click.Choice(list(QUANTISATIONS), case_sensitive=False),
    help="Instead: how fast a token can come at most in this quantisation where the card does not hold the model.",
)
@click.option("--link-gb-per-s", type=float, default=LINK_GB_PER_S, show_default=True, help="With --stream: to the card.")
@click.option("--ram-gb", type=float, help="With --stream: what the machine's memory holds. Default: all the card does not.")
@click.option("--ram-gb-per-s", type=float, help="With --stream: what its processors multiply at. Default: they do not.")
@click.option("--disk-gb-per-s", type=float, help="With --stream: what the disk reads.")
@answer_options
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
    stream: str | None,
    link_gb_per_s: float,
    ram_gb: float | None,
    ram_gb_per_s: float | None,
    disk_gb_per_s: float | None,
    as_json: bool,
    html: Path | None,
) -> None:
    """Tell whether a model fits chips, how fast it answers, how many sequences at a time, and how many replicas a load takes.

    Times between tokens are a fit to measured systems. For a model on your own machine, streamed from disk or not,
    `freehold fit` predicts this engine from rates that it measures.
    """
    if stream is not None:
        host = Host(link_gb_per_s=link_gb_per_s, memory_gb=ram_gb, memory_gb_per_s=ram_gb_per_s, disk_gb_per_s=disk_gb_per_s)
        tell(_streamed(find_decoder(model), stream, find(chip), host), as_json, html)
        return
    deployment = Deployment(model=find_decoder(model), chip=find(chip), chips=tp, weights=_WEIGHTS[weights])
    arrivals = parse_trace(read_text(path, MOST_BYTES, "trace", "cut out the busiest hours"), str(path)) if path else ()
    if arrivals:
        load = load_of(arrivals, itl_ms, ttft_ms)
    else:
        load = Load(prompt_tokens=prompt, output_tokens=output, requests_per_s=rate, itl_ms=itl_ms, ttft_ms=ttft_ms)
    found = work_out(deployment, load, batch)
    tell(_answer(found, replay(found, arrivals) if arrivals else None, len(arrivals)), as_json, html)


def _answer(one: Serving, played: Played | None, requests: int) -> Answer:
    model, chip, held = one.deployment.model, one.deployment.chip, one.fit
    room = chip.memory_gb or 0.0
    parts = [("weights", held.weights_gb), ("keys and values", held.kv_gb), ("kept free", room - held.weights_gb - held.kv_gb)]
    return Answer(
        title=f"{model.name} in {one.deployment.weights.name} on {one.deployment.chips} {chip.name}",
        document=_document(one) | {"trace": played},
        facts=(*_facts(one), *(_played(played, requests) if played else ())),
        spans=spans(
            ("between tokens", one.itl_ms, "ms"),
            ("first token", one.ttft_ms, "ms"),
            ("a replica", one.tokens_per_s, "tokens/s"),
            ("energy of a token", one.joules_per_token, "J"),
        ),
        moved=moved(("the tokens a second", one.tokens_per_s, "tokens/s")),
        charts=(bar_chart(f"Memory of a chip, {figure(room)} GB", parts, "GB"),),
        sources=(f"{chip.name}: {chip.source}", f"{model.name}: {model.source}", _FITTED),
        caveats=(
            "Times are without a queue; prompts that come in meanwhile lengthen some steps, which --trace has in it.",
            *one.warnings,
        ),
    )


def _streamed(model: Decoder, quantisation: str, chip: Accelerator, host: Host) -> Answer:
    one = work_out_stream(model.parameters, quantisation, chip, host, model.active_parameters)
    drawn = stream_range(one, chip, host, model.active_parameters / model.parameters)
    places = [("the card", one.resident_gb), ("memory", one.memory_gb), ("disk", one.disk_gb)]
    where = ", ".join(f"{figure(size, 'GB')} {'on' if name == 'disk' else 'in'} {name}" for name, size in places if size)
    return Answer(
        title=f"{model.name} in {quantisation} streamed to one {chip.name}",
        document={
            "model": model.name,
            "quantisation": quantisation,
            "chip": chip.name,
            "stream": one,
            "bound_tokens_per_s": one.tokens_per_s,
            "expected_tokens_per_s": drawn,
        },
        facts=(
            ("weights", f"{figure(one.weights_gb, 'GB')}: {where}"),
            ("at most", f"{figure(one.tokens_per_s, 'tokens/s')} for one answer at a time, bound by {one.bound}"),
            ("to be expected", f"{simulated(drawn, 'tokens/s')}: engines reach 0.7 to 1 of the bound"),
            (
                "on your machine",
                "`freehold fit` measures its rates, and predicts this engine with what checks and system calls take",
            ),
        ),
        spans=spans(("to be expected", drawn, "tokens/s")),
        moved=moved(("the tokens a second", drawn, "tokens/s")),
        charts=(bar_chart("Where the weights lie", places, "GB"),),
        sources=(f"{chip.name}: {chip.source}", f"{model.name}: {model.source}"),
        caveats=("A bound by bandwidth alone: no engine is faster, most are slower.",),
    )


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
