import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.measurement import Carbon, Footprint, Grade, Measurement
from freehold.store.database import open_writer
from freehold.store.rows import ENTRY_NAMES, INSERT_ENTRY, entry_row
from tests.store.drafts import entry

REALS = st.none() | st.integers(-(1 << 53), 1 << 53) | st.floats()


@settings(max_examples=100)
@given(st.lists(REALS, min_size=8, max_size=8), st.floats(allow_nan=False) | st.integers(0, 1 << 40))
def test_a_row_is_as_the_file_gives_it_back(reals: list[float | None], duration_ms: float) -> None:
    ttft_ms, low_j, high_j, by_tokens_j, by_time_j, embodied_g, water_l, electricity_microusd = reals
    footprint = Footprint(
        by_tokens_j=by_tokens_j,
        by_time_j=by_time_j,
        embodied_g=embodied_g,
        water_l=water_l,
        electricity_microusd=electricity_microusd,
        carbon=Carbon(g=3, low_g=-0.0, high_g=4.5, zone="DE", year=2025, method="annual"),
    )
    energy = Measurement(grade=Grade.MODELLED, source="a model", energy_j=250, low_j=low_j, high_j=high_j)
    row = entry_row(replace(entry("xc_1"), ttft_ms=ttft_ms, duration_ms=duration_ms, energy=energy, footprint=footprint))
    with tempfile.TemporaryDirectory() as folder, closing(open_writer(Path(folder) / "record.db", 1.0)) as connection:
        connection.execute(INSERT_ENTRY, row)
        (stored,) = connection.execute("SELECT * FROM ledger").fetchall()
    assert repr(dict(stored)) == repr({"seq": 1, **dict(zip(ENTRY_NAMES, row, strict=True))})
