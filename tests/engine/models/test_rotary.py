import numpy as np
import pytest

from freehold.engine.kernels.graph import Rope
from freehold.engine.models.rotary import Rotation, Yarn

PLAIN = Rotation(base=10_000.0, dimensions=64)
FACTORS = np.linspace(1, 8, 32).astype(np.float32)


def floats(name: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return {"freqs": FACTORS, "short": FACTORS, "long": 2 * FACTORS}[name]


def test_frequencies_fall_from_one_to_almost_one_over_the_base() -> None:
    found = PLAIN.frequencies()
    assert found[0] == 1.0
    assert found[-1] == pytest.approx(10_000 ** (-31 / 32))
    assert (np.diff(found) < 0).all()


def test_linear_scaling_divides_every_frequency() -> None:
    scaled = Rotation(base=10_000.0, dimensions=64, scale=4.0)
    assert np.array_equal(scaled.frequencies(), PLAIN.frequencies() / 4)


def test_yarn_keeps_what_is_fast_and_scales_what_is_slow() -> None:
    yarn = Rotation(base=10_000.0, dimensions=64, scale=4.0, yarn=Yarn(original_context=4096))
    ratio = PLAIN.frequencies() / yarn.frequencies()
    turns = 4096 * PLAIN.frequencies() / (2 * np.pi)
    assert ratio[turns > 45] == pytest.approx(1)
    assert ratio[turns < 0.7] == pytest.approx(4)
    assert (np.diff(ratio) >= 0).all()


def test_yarn_over_a_context_of_a_few_positions_still_has_a_ramp() -> None:
    kept = Yarn(original_context=1).kept(10_000.0, 64)
    assert ((kept >= 0) & (kept <= 1)).all()


def test_a_context_longer_than_the_original_takes_the_long_factors() -> None:
    rotation = Rotation(base=1e4, dimensions=64, factors="short", long_factors="long", original_context=100)
    assert [rotation.factors_for(positions) for positions in (1, 100, 101)] == ["short", "short", "long"]
    assert Rotation(base=1e4, dimensions=64, factors="freqs").factors_for(1 << 20) == "freqs"
    short, long = (rotation.table(Rope.HALVES, positions, floats) for positions in (100, 101))
    assert not np.array_equal(short[1:], long[1:100])


@pytest.mark.parametrize("rope", Rope)
def test_a_table_turns_by_position_times_frequency(rope: Rope) -> None:
    rotation = Rotation(base=10_000.0, dimensions=64, magnitude=1.5, factors="freqs")
    table = rotation.table(rope, 1500, floats)  # (positions, 2, dimensions)
    angles = np.arange(1500)[:, None] * PLAIN.frequencies() / FACTORS
    cos, sin = (table[:, i, 0::2] if rope is Rope.INTERLEAVED else table[:, i, :32] for i in range(2))
    np.testing.assert_allclose(cos, 1.5 * np.cos(angles), atol=1e-6)
    np.testing.assert_allclose(sin, -1.5 * np.sin(angles), atol=1e-6)
