"""What a request makes a pass do, and how the engine tells its meter."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.engine.gguf import FilePrefix, read_header
from freehold.engine.kv_cache import KvType
from freehold.engine.models.shape import shape_of
from freehold.engine.work import WIDE, ModelWork, model_work
from freehold.meter.window import WindowMeter
from tests.engine.embedded_model import embedded_model
from tests.engine.scheduler_bench import Bench, prompt
from tests.fakes.energy import SaidSource

WORK = ModelWork(weights_bytes=1000, kv_bytes=10, token_flops=2000, position_flops=20)


class Straight:
    """Implements `work.Times`: a pass takes `fixed_s`, and `column_s` more for each column."""

    def __init__(self, fixed_s: float, column_s: float) -> None:
        self.fixed_s, self.column_s = fixed_s, column_s

    def expected(self, columns: int) -> float:
        return self.fixed_s + self.column_s * columns


def test_weights_are_shared_keys_and_operations_are_ones_own() -> None:
    alone = WORK.of(1, end=5, columns=1, flops_per_byte=10)
    assert alone == 1000 + 5 * 10 + (2000 + 5 * 20) / 10
    assert WORK.of(4, end=5, columns=1, flops_per_byte=10) == alone - 750


def test_a_prefix_that_was_found_is_read_and_not_computed() -> None:
    whole = WORK.of(1, end=100, columns=100, flops_per_byte=1)
    cached = WORK.of(1, end=100, columns=10, flops_per_byte=1)
    assert cached == 1000 + 100 * 10 + 10 * 2000 + (10 * 90 + 55) * 20
    assert cached < whole


@given(st.integers(1, 300), st.data(), st.floats(0.1, 1e4))
def test_a_prompt_in_pieces_takes_the_same_operations(end: int, data: st.DataObject, flops_per_byte: float) -> None:
    cut = data.draw(st.integers(0, end))
    bytes_ = ModelWork(weights_bytes=1, kv_bytes=0, token_flops=2000, position_flops=20)
    pieces = bytes_.of(1, cut, cut, flops_per_byte) + bytes_.of(1, end, end - cut, flops_per_byte) - 1
    assert math.isclose(pieces, bytes_.of(1, end, end, flops_per_byte), rel_tol=1e-9)


def test_what_an_operation_costs_is_told_by_the_passes() -> None:
    # A single column takes 10 s for 1000 bytes, one more column 0.1 s for 2000 operations: 200 operations a byte, about.
    assert WORK.flops_per_byte(Straight(9.9, 0.1)) == pytest.approx(200)
    assert WORK.flops_per_byte(Straight(0.0, 1.0)) == pytest.approx(2)  # operations are all there is
    assert WORK.flops_per_byte(Straight(1.0, 0.0)) == 10.0  # columns that cost no time tell nothing
    assert WIDE > 1


@pytest.mark.model
def test_the_embedded_models_work_follows_from_its_shape() -> None:
    path = embedded_model()
    header = read_header(FilePrefix(path), path.name)
    work = model_work(shape_of(header.metadata, header.tensors), header.tensors, KvType.F16)
    assert work.token_flops == pytest.approx(2 * 134.5e6, rel=0.01)  # its 135M parameters, each multiplied and added once
    assert 0.9 < work.weights_bytes / path.stat().st_size < 1.0  # all but header, norms and what is only metadata
    assert work.kv_bytes == 30 * 3 * 64 * 2 * 2  # layers, KV heads, width, keys and values, two bytes
    assert work.position_flops == 4 * 30 * 9 * 64


def metered(bench: Bench) -> WindowMeter:
    source = SaidSource(bench)  # type: ignore[arg-type]
    meter = WindowMeter(source, idle_w=0.0, clock=bench.clock)
    meter.loaded(False)
    return meter


@settings(max_examples=15)
@given(st.lists(st.tuples(st.integers(1, 120), st.integers(1, 20), st.integers(0, 6)), min_size=1, max_size=6))
def test_answers_joules_add_up_to_what_the_meter_gave(requests: list[tuple[int, int, int]]) -> None:
    meters: list[WindowMeter] = []

    def make(bench: Bench) -> WindowMeter:
        meters.append(metered(bench))
        return meters[0]

    bench = Bench(max_sequences=4, meter=make, work=WORK)
    for number, (size, count, steps_before) in enumerate(requests):
        for _ in range(steps_before):
            bench.step()
        bench.submit(number, prompt(number, size), max_tokens=count)
    bench.run()
    told = [bench.finished(number).worked.metered for number in range(len(requests))]
    energies = [one.energy.energy_j for one in told if one is not None]
    assert len(energies) == len(requests)
    totals = meters[0].totals()
    assert math.isclose(math.fsum(energy or 0.0 for energy in energies), totals.attributed_j, rel_tol=1e-9)
    busy_s = math.fsum(one.machine_s for one in told if one is not None)
    assert math.isclose(busy_s, bench.scheduler.stats().busy_s, rel_tol=1e-9)


def test_a_request_that_left_is_forgotten_and_its_joules_are_nobodys() -> None:
    meters: list[WindowMeter] = []

    def make(bench: Bench) -> WindowMeter:
        meters.append(metered(bench))
        return meters[0]

    bench = Bench(meter=make, work=WORK)
    bench.submit(1, prompt(1, 30), max_tokens=100)
    for _ in range(8):
        bench.step()
    bench.scheduler.cancel(1)
    bench.submit(2, prompt(2, 5), max_tokens=2)
    bench.run()
    assert meters[0].so_far(1) is None
    assert meters[0].totals().unattributed_j > 0


def test_a_request_that_begins_like_another_gets_fewer_joules() -> None:
    bench = Bench(meter=metered, work=WORK)
    first = prompt(1, 150)
    bench.submit(1, first, max_tokens=1, scope="all")
    bench.run()
    bench.submit(2, first, max_tokens=1, scope="all")
    bench.run()
    one, two = (bench.finished(number).worked.metered for number in (1, 2))
    assert one is not None
    assert two is not None
    assert bench.finished(2).cached_tokens == 128
    assert (two.energy.energy_j or 0) < (one.energy.energy_j or 0)
