import pytest

from freehold.meter.config import RemoteModelConfig
from freehold.meter.remote import PUE, SIZES, SPREAD, RemoteModels


def test_the_worked_example_of_the_method() -> None:
    """440B in all, 132B active, 10,000 tokens, one at a time long enough: 0.03834 kWh, as EcoLogits' own documentation has it."""
    models = RemoteModels([RemoteModelConfig(model="example", total_b=(440, 440), active_b=(132, 132))])
    found = models.use("example", 10_000, float("inf"))
    assert found is not None
    assert found.energy.energy_j == pytest.approx(0.03833790589818617 * 3.6e6, rel=1e-9)
    assert found.energy.low_j == pytest.approx((1 - SPREAD) * 0.03833790589818617 * 3.6e6)


def test_a_guess_of_the_size_is_a_wide_range() -> None:
    found = RemoteModels().use("gpt-4o-2024-08-06", 1000, 1e9)
    assert found is not None
    assert found.energy.high_j is not None
    assert found.energy.low_j is not None
    assert found.energy.high_j > 3 * found.energy.low_j
    size = RemoteModels().size("GPT-4o-2024-08-06")
    assert size is not None
    assert size.is_guess


@pytest.mark.parametrize(
    ("model", "total_b"),
    [
        ("gpt-4o-mini-2024-07-18", 28),
        ("gpt-4-0613", 1760),
        ("gpt-4.1", 352),
        ("meta-llama/Llama-3.1-8B-Instruct", 8.03),
        ("o1-mini", 28),
    ],
)
def test_the_most_particular_name_counts(model: str, total_b: float) -> None:
    size = RemoteModels().size(model)
    assert size is not None
    assert size.total_b[1] == total_b


def test_what_is_not_known_is_none() -> None:
    models = RemoteModels()
    assert models.size("gpt-5") is None
    assert models.use("gpt-5", 100, 1.0) is None
    assert models.use("gpt-4o", None, 1.0) is None
    assert models.use("gpt-4o", 0, 1.0) is None


def test_a_short_answer_cannot_have_held_its_server_for_longer_than_it_took() -> None:
    slow, quick = (RemoteModels().use("gpt-4o", 1000, seconds) for seconds in (1e6, 1.0))
    assert slow is not None
    assert quick is not None
    assert quick.embodied_g < slow.embodied_g


def test_every_size_that_comes_along_has_a_source_and_rises() -> None:
    assert PUE > 1
    for size in SIZES:
        assert size.source
        assert 0 < size.active_b[0] <= size.active_b[1] <= size.total_b[1]
        assert size.total_b[0] <= size.total_b[1]
