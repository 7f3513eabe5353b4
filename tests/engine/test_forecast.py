"""What is said before loading: of a model that is streamed always, of one that is not where it costs nothing."""

from pathlib import Path

import pytest

from freehold.core.errors import DeviceError
from freehold.engine import forecast as forecasts
from freehold.engine import machine
from freehold.engine.budget import Plan, plan
from freehold.engine.config import EngineConfig
from freehold.engine.fit import Link, Tier
from freehold.engine.forecast import forecast
from freehold.engine.memory import Room
from freehold.engine.models.shape import shape_of
from freehold.engine.shapes import dimensions, header_of

HEADER = header_of(dimensions("0.5b"), "Q8_0")
SHAPE = shape_of(HEADER.metadata, HEADER.tensors)


@pytest.fixture(autouse=True)
def little(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "cache_folder", lambda: tmp_path / "cache" / "kernels")
    for name, value in (("_LARGEST_BYTES", 4 << 20), ("_DISK_S", 0.01), ("_WRITE_S", 0.01), ("_SAMPLE_BYTES", 16 << 20)):
        monkeypatch.setattr(machine, name, value)


def planned(ram_mb: int) -> Plan:
    found = Room(available_bytes=ram_mb << 20, limit_bytes=ram_mb << 20, bound_by="a test")
    return plan(SHAPE, HEADER.tensors, EngineConfig(ram_mb=ram_mb, context_tokens=512, max_sequences=1), 1, found)


def test_a_streamed_model_is_measured_for_and_a_whole_one_only_by_what_is_kept(tmp_path: Path) -> None:
    whole, tight = planned(2000), planned(300)
    assert forecast(HEADER.tensors, whole, tmp_path, 1, "portable") is None
    streamed = forecast(HEADER.tensors, tight, tmp_path, 1, "portable")
    assert streamed is not None
    assert streamed.bytes.of(Tier.DISK) == tight.placement.streamed_bytes
    assert streamed.token_s >= streamed.links[Link.DISK]
    later = forecast(HEADER.tensors, whole, tmp_path, 1, "portable")
    assert later is not None
    assert later.fits
    assert later.token_s < streamed.token_s


def test_a_machine_that_cannot_be_measured_is_no_reason_not_to_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise DeviceError("the system gives no memory")

    monkeypatch.setattr(forecasts, "calibrate", refuse)
    assert forecast(HEADER.tensors, planned(300), tmp_path, 1, "portable") is None
