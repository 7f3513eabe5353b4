import numpy as np
import numpy.typing as npt
import pytest

from freehold.engine.kernels import reference
from freehold.engine.kernels.elementwise import exp, gelu_times, rms_norm, silu_times, soft_cap
from freehold.engine.kernels.emit import F32, I16, Emitter, Value, vector
from freehold.engine.kernels.library import Kernels
from freehold.engine.kernels.targets import Target
from tests.engine.kernels.native import Columns, call, emitted


def mapped(kernels: Kernels, name: str, operation: object, *inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """A vector operation over whole arrays."""

    def body(e: Emitter) -> None:
        *sources, out, count = e.arguments

        def one(i: Value) -> None:
            at = e.mul(i, 4 * e.lanes)
            values = [e.load(e.floats, source, at) for source in sources]
            e.store(operation(e, kernels.target, *values), out, at)  # type: ignore[operator]

        e.each(count, one)

    out = np.empty_like(inputs[0])
    function = emitted(kernels, name, len(inputs) + 2, body)
    call(function, *(a.ctypes.data for a in inputs), out.ctypes.data, len(out) // kernels.target.lanes)
    return out


def test_exp_is_right_to_two_parts_in_ten_million(kernels: Kernels) -> None:
    x = np.linspace(-87, 88, 1 << 18).astype(np.float32)
    expected = np.exp(x.astype(np.float64))
    assert np.abs(mapped(kernels, "exp", exp, x) / expected - 1).max() < 2e-7


def test_exp_of_zero_is_one_and_of_the_extremes_finite(kernels: Kernels) -> None:
    x = np.array([0.0, -0.0, -np.inf, np.inf, -1e30, 1e30] + [0.0] * 10, np.float32)
    y = mapped(kernels, "exp", exp, x)
    assert y[0] == y[1] == 1.0
    assert np.isfinite(y).all()
    assert 0 < y[2] < 1e-37


def test_silu_times_equals_the_reference(kernels: Kernels) -> None:
    rng = np.random.default_rng(0)
    gate, up = (rng.normal(0, 5, 4096).astype(np.float32) for _ in range(2))
    expected = reference.silu(gate) * up
    np.testing.assert_allclose(mapped(kernels, "silu", silu_times, gate, up), expected, rtol=1e-6, atol=1e-9)


def test_gelu_times_equals_the_reference(kernels: Kernels) -> None:
    rng = np.random.default_rng(4)
    gate, up = (rng.normal(0, 5, 4096).astype(np.float32) for _ in range(2))
    gate[:16] = [0, -0.0, 1e-20, -1e-20, 30, -30, 500, -500, 1e4, -1e4, 1, -1, 3, -3, 6, -6]
    expected = reference.gelu(gate) * up
    np.testing.assert_allclose(mapped(kernels, "gelu", gelu_times, gate, up), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cap", [5.0, 30.0, 50.0])
def test_a_soft_cap_equals_the_reference(kernels: Kernels, cap: float) -> None:
    def capped(e: Emitter, target: Target, x: Value) -> Value:
        return soft_cap(e, target, x, cap)

    x = np.concatenate([np.linspace(-5 * cap, 5 * cap, 4080), [0, -0.0, 1e-6, -1e-6, 1e4, -1e4, 1e30, -1e30] * 2]).astype(
        np.float32
    )
    capped_x = mapped(kernels, f"cap_{cap:.0f}", capped, x)
    np.testing.assert_allclose(capped_x, reference.soft_cap(x.astype(np.float64), cap), atol=3e-7 * cap)
    assert np.abs(capped_x).max() <= cap
    assert (np.diff(capped_x[:4080]) >= 0).all()  # what is larger stays so


def test_quantising_equals_the_reference_bit_for_bit(kernels: Kernels) -> None:
    rng = np.random.default_rng(1)
    x = (rng.normal(size=(5, 256)) * 10.0 ** rng.integers(-20, 20, (5, 1))).astype(np.float32)
    x[2, 32:64] = 0
    columns = Columns(kernels, x)
    q, scales = reference.quantise(x)
    assert np.array_equal(columns.q, q)
    assert np.array_equal(columns.headers[..., 0], scales)
    halves = q.reshape(5, -1, 2, 16).sum(-1, dtype=np.int32)
    assert np.array_equal(columns.headers[..., 1], scales * halves.sum(-1).astype(np.float32))
    assert np.array_equal(columns.headers[..., 2:], scales[..., None] * halves.astype(np.float32))


def test_rms_norm_equals_the_reference(kernels: Kernels) -> None:
    rng = np.random.default_rng(2)

    def body(e: Emitter) -> None:
        x, weight, epsilon, out, blocks = e.arguments
        rms_norm(e, kernels.target, x, weight, e.load(F32, epsilon), out, blocks)

    function = emitted(kernels, "norm", 5, body)
    for length in (32, 576, 4096):
        x, weight = (rng.normal(size=length).astype(np.float32) for _ in range(2))
        epsilon, out = np.array([1e-5], np.float32), np.empty_like(x)
        call(function, x.ctypes.data, weight.ctypes.data, epsilon.ctypes.data, out.ctypes.data, length // 32)
        np.testing.assert_allclose(out, reference.rms_norm(x, weight, 1e-5), rtol=2e-6)


def test_halves_round_trip_as_numpy_has_them(kernels: Kernels) -> None:
    """All 63488 finite f16, and floats between them."""

    def narrow(e: Emitter) -> None:
        source, out, count = e.arguments

        def one(i: Value) -> None:
            value = e.load(e.floats, source, e.mul(i, 4 * e.lanes))
            e.store(kernels.target.to_half(e, value), out, e.mul(i, 2 * e.lanes))

        e.each(count, one)

    def widen(e: Emitter) -> None:
        source, out, count = e.arguments

        def one(i: Value) -> None:
            value = e.load(vector(e.lanes, I16), source, e.mul(i, 2 * e.lanes))
            e.store(kernels.target.from_half(e, value), out, e.mul(i, 4 * e.lanes))

        e.each(count, one)

    lanes = kernels.target.lanes
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    every = every[np.isfinite(every)]
    wide = np.empty(len(every), np.float32)
    call(emitted(kernels, "widen", 3, widen), every.ctypes.data, wide.ctypes.data, len(every) // lanes)
    assert np.array_equal(wide.view(np.uint32), every.astype(np.float32).view(np.uint32))

    rng = np.random.default_rng(3)
    between = (rng.normal(size=1 << 16) * 10.0 ** rng.uniform(-9, 4, 1 << 16)).clip(-65504, 65504).astype(np.float32)
    ties = (every[:-1].astype(np.float32) + every[1:].astype(np.float32))[: len(every) // 32 * 32 - 32] / 2
    for x in (between, np.ascontiguousarray(ties)):
        narrowed = np.empty(len(x), np.uint16)
        call(emitted(kernels, "narrow", 3, narrow), x.ctypes.data, narrowed.ctypes.data, len(x) // lanes)
        assert np.array_equal(narrowed, x.astype(np.float16).view(np.uint16))
