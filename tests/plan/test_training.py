"""Training: published runs, memory, and what scale does."""

import csv
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from freehold.core.errors import InvalidRequest, MalformedArtefact, UnknownFigure
from freehold.plan.catalogue import Precision, find
from freehold.plan.training import TrainingJob, train
from freehold.plan.training_fit import RUNS, data_sha256, fit, leave_one_out, parse_runs, stored_fit
from freehold.plan.training_memory import (
    Layout,
    Recompute,
    Shape,
    activation_gb,
    by_parallelism,
    guessed_shape,
    least_layout,
    state_gb,
)
from freehold.plan.validation import validate, validate_runs

# MLPerf Training v4.1 and v5.0, mlcommons/training_results_v4.1 and _v5.0; each row names its file.
MLPERF = list(csv.DictReader((Path(__file__).parent / "mlperf_training.csv").read_text(encoding="utf-8").splitlines()))
MLPERF_CHIPS = {"H100": "H100", "H200": "H200", "GB200": "GB200", "B200": "B200", "v5p": "TPU v5p", "trillium": "TPU v6e"}
MLPERF_PARAMETERS = {"llama31_405b": 405e9, "gpt3": 175e9}
LLAMA = TrainingJob(parameters=405e9, tokens=15.6e12, chip=find("H100"), chips=16_384)


def test_llama_3_1_405b_is_as_published() -> None:
    found = train(LLAMA)
    assert found.chip_hours.p50 == pytest.approx(30.84e6, rel=0.25)
    assert found.chip_hours.p10 < 30.84e6 < found.chip_hours.p90
    assert found.days is not None
    assert found.days.p50 == pytest.approx(found.chip_hours.p50 / 16_384 / 24)
    assert found.loss_at_scale == pytest.approx(1.0)
    assert found.memory is not None
    assert found.memory.fits
    assert found.is_own_level


def test_the_stored_fit_is_of_the_stored_data() -> None:
    stored, made = stored_fit(), fit(RUNS)
    assert stored.data_sha256 == data_sha256() == made.data_sha256
    assert stored.level == pytest.approx(made.level, rel=1e-4)
    assert dict(stored.levels) == pytest.approx(dict(made.levels), rel=1e-4)
    assert (stored.half_low, stored.half_high) == pytest.approx((made.half_low, made.half_high))
    assert stored.sigma == pytest.approx(made.sigma, rel=1e-3)


def test_a_run_left_out_is_predicted() -> None:
    errors = [abs(run.mfu / predicted - 1) for run, predicted in leave_one_out(RUNS)]
    assert len(errors) == 13
    assert median(errors) <= 0.15
    assert max(errors) <= 0.5  # GPT-3 on V100, whose days are an estimate


def test_tuned_runs_of_mlperf() -> None:
    errors = []
    for row in MLPERF:
        (chip,) = {name for word, name in MLPERF_CHIPS.items() if word in row["accelerator"].replace("(GB200)", "GB2OO")} or {
            "GB200"
        }
        job = TrainingJob(
            parameters=MLPERF_PARAMETERS[row["benchmark"]],
            tokens=float(row["tokens_to_target"]),
            chip=find(chip),
            chips=int(row["accel_total"]),
            precision=Precision.BF16,
            is_tuned=True,
        )
        days = train(job).days
        assert days is not None
        errors.append(abs(days.p50 * 24 * 60 / float(row["minutes_median"]) - 1))
    assert median(errors) <= 0.15
    assert max(errors) <= 0.5  # TPU v6e, computed in other precisions


@settings(max_examples=8, phases=[Phase.generate])
@given(st.floats(1e8, 1e13), st.floats(1e9, 1e14), st.integers(1, 100_000))
def test_more_work_takes_longer_and_more_chips_are_never_cheaper(parameters: float, tokens: float, chips: int) -> None:
    job = TrainingJob(parameters=parameters, tokens=tokens, chip=find("H100"), chips=chips)
    one, more = train(job), train(replace(job, tokens=2 * tokens))
    assert more.chip_hours.p50 == pytest.approx(2 * one.chip_hours.p50)
    assert one.chip_hours.p10 <= one.chip_hours.p50 <= one.chip_hours.p90
    many = train(replace(job, chips=2 * chips))
    assert many.loss_at_scale >= one.loss_at_scale * (1 - 1e-9)


def test_a_gigawatt_says_that_one_failure_must_not_stop_all() -> None:
    found = train(replace(LLAMA, chip=find("B200"), chips=476_000))
    assert found.reliability is not None
    assert 0 < found.reliability.goodput < 0.2
    assert any("spare chips" in warning for warning in found.warnings)
    assert any("extrapolated" in warning for warning in found.warnings)


def test_eight_bits_are_faster_by_a_range() -> None:
    slow, fast = train(LLAMA), train(replace(LLAMA, precision=Precision.FP8))
    assert 1.15 < slow.chip_hours.p50 / fast.chip_hours.p50 < 1.7
    assert "eight bits" in {bar.name for bar in fast.chip_hours.bars}


def test_attention_counts_where_sequences_are_long() -> None:
    assert train(LLAMA).attention_flop == 0
    shape = Shape(layers=126, hidden=16_384, heads=128, is_guess=False)
    found = train(replace(LLAMA, sequence=131_072, shape=shape))
    assert found.attention_flop == 12 * 126 * 16_384 * 131_072 * 15.6e12
    assert found.flop == pytest.approx(6 * 405e9 * 15.6e12 + found.attention_flop)


def test_what_a_chip_holds() -> None:
    alone = Layout(tensor=1, pipeline=1, data=1, zero=0)
    assert state_gb(1e9, alone) == pytest.approx(16)
    assert state_gb(1e9, Layout(tensor=8, pipeline=4, data=1, zero=0)) == pytest.approx(16 / 32)
    stages = [state_gb(1e9, Layout(tensor=1, pipeline=1, data=64, zero=zero)) for zero in range(4)]
    assert stages == pytest.approx([16, 4 + 12 / 64, 2 + 14 / 64, 16 / 64])
    # Korthikanti et al., section 4: s b h (34 + 5 a s / h) for a layer of 22B's shape.
    shape = Shape(layers=1, hidden=6144, heads=64, is_guess=False)
    assert activation_gb(shape, alone, Recompute.NONE, 2048, 4) == pytest.approx(
        2048 * 4 * 6144 * (34 + 5 * 64 * 2048 / 6144) / 1e9
    )
    assert activation_gb(shape, alone, Recompute.FULL, 2048, 4) == pytest.approx(2 * 2048 * 4 * 6144 / 1e9)


@given(st.floats(1e8, 2e12), st.integers(1, 20_000))
def test_a_layout_that_is_given_fits_its_chips(parameters: float, chips: int) -> None:
    shape = guessed_shape(parameters)
    assert 12 * shape.layers * shape.hidden**2 == pytest.approx(parameters, rel=0.5)
    found = least_layout(parameters, shape, find("H100"), chips, 8192)
    if found is not None:
        assert found.fits
        assert found.layout.tensor * found.layout.pipeline * found.layout.data <= chips


@settings(max_examples=20)
@given(st.floats(1e8, 2e12), st.integers(1, 20_000))
def test_parallelism_is_shown_with_what_fits_and_what_does_not(parameters: float, chips: int) -> None:
    shape, card = guessed_shape(parameters), find("H100")
    rows = by_parallelism(parameters, shape, card, chips, 8192)
    least = least_layout(parameters, shape, card, chips, 8192)
    assert len({(one.layout.zero, one.layout.tensor) for one in rows}) == len(rows) >= 2
    for one in rows:
        assert one.layout.tensor * one.layout.pipeline * one.layout.data <= chips
        # What does not fit has the longest pipeline that there can be.
        assert one.fits or one.layout.pipeline == min(shape.layers, chips // one.layout.tensor)
    if least is not None:
        assert any(one.fits for one in rows if one.layout.zero == 1)


def test_a_model_that_no_layout_holds_is_said() -> None:
    assert least_layout(405e9, guessed_shape(405e9), find("H100"), 8, 8192) is None
    assert any("no parallelism of 8 chips" in warning for warning in train(replace(LLAMA, chips=8)).warnings)


@pytest.mark.parametrize(
    "job",
    [
        replace(LLAMA, parameters=0.0),
        replace(LLAMA, parameters=405.0),
        replace(LLAMA, tokens=15.6),
        replace(LLAMA, tokens=float("nan")),
        replace(LLAMA, parameters=1e30),
        replace(LLAMA, chips=0),
        replace(LLAMA, mfu=1.5),
        replace(LLAMA, active_parameters=1e12),
        replace(LLAMA, sequence=0),
        replace(LLAMA, precision=Precision.INT8),
        replace(LLAMA, mfu=0.4, is_tuned=True),
        replace(LLAMA, checkpoint_s=-1.0),
        replace(LLAMA, chip_mtbf_h=0.0),
        replace(LLAMA, chip_mtbf_h=0.0, chips=None),
        replace(LLAMA, shape=Shape(layers=5, hidden=100, heads=7, is_guess=False)),
        replace(LLAMA, pue=0.5),
    ],
)
def test_absurd_runs_are_refused(job: TrainingJob) -> None:
    with pytest.raises(InvalidRequest):
        train(job)


def test_what_a_chip_never_published_stops_the_plan() -> None:
    with pytest.raises(UnknownFigure, match="bf16_dense_tflops of Metis AIPU"):
        train(replace(LLAMA, chip=find("Metis")))
    with pytest.raises(UnknownFigure, match="fp8_dense_tflops of A100"):
        train(replace(LLAMA, chip=find("A100"), precision=Precision.FP8))
    found = train(replace(LLAMA, chip=find("TPU v5p")))
    assert found.energy_mwh is None
    assert found.rent_usd is None
    assert any("all chips" in warning for warning in found.warnings)


def test_validation_has_cases_with_sources() -> None:
    families = {family.name: family for family in validate()}
    assert families["training hours"].median_error <= 0.15
    assert families["power of a chip"].median_error <= 0.1
    assert families["total processing performance"].worst.error == pytest.approx(0, abs=1e-4)
    assert all(case.source and case.published > 0 for family in families.values() for case in family.cases)
    own = validate_runs(RUNS)
    assert own.median_error <= families["training hours"].median_error


def test_a_malformed_run_is_named_by_its_line() -> None:
    row = {"run": "a", "accelerator": "H100", "params_b": "7", "active_params_b": "7", "tokens_t": "2", "accel_hours": "1e5"}
    row |= {"n_accel": "", "energy_mwh": "", "pue": ""}
    assert parse_runs([row], "runs.csv")[0].flop == pytest.approx(8.4e22)
    for change in ({"params_b": "many"}, {"tokens_t": ""}, {"accel_hours": "-3"}, {"accelerator": "abacus"}):
        with pytest.raises(MalformedArtefact, match=r"runs\.csv, line 3"):
            parse_runs([row, row | change], "runs.csv")
    with pytest.raises(MalformedArtefact, match="column 'pue' is missing"):
        parse_runs([{key: value for key, value in row.items() if key != "pue"}], "runs.csv")
    with pytest.raises(MalformedArtefact, match="no rows"):
        parse_runs([], "runs.csv")
