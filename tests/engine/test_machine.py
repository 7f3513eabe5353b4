"""What is kept of a machine, and that the rates are those of the real kernels. Nothing here asserts a speed."""

from pathlib import Path

import pytest

from freehold.engine import machine
from freehold.engine.machine import calibrate, disk_rate, kept_at
from freehold.engine.tensor_types import TensorType


@pytest.fixture(autouse=True)
def little(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder of its own for rates, and less of everything: what is measured here is not believed."""
    monkeypatch.setattr(machine, "cache_folder", lambda: tmp_path / "cache" / "kernels")  # compiled ones stay where they are
    for name, value in (("_LARGEST_BYTES", 4 << 20), ("_DISK_S", 0.01), ("_WRITE_S", 0.01), ("_SAMPLE_BYTES", 16 << 20)):
        monkeypatch.setattr(machine, name, value)


def test_rates_are_kept_and_only_what_is_missing_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = calibrate([TensorType.Q4_0], tmp_path, 2, kernels="portable")
    assert set(first.kernels) == {"Q4_0"}
    assert first.disk_bytes_per_s
    assert first.check_bytes_per_s
    assert first.ram_bytes_per_s
    second = calibrate([TensorType.Q4_0, TensorType.Q8_0], tmp_path, 2, kernels="portable")
    assert second.kernels["Q4_0"] == first.kernels["Q4_0"]
    assert second.disk_bytes_per_s == first.disk_bytes_per_s
    assert set(second.kernels) == {"Q4_0", "Q8_0"}

    def never(*_: object) -> float:
        raise AssertionError("everything was kept")

    monkeypatch.setattr(machine, "disk_rate", never)
    assert calibrate([TensorType.Q8_0], tmp_path, 2, kernels="portable") == second
    with pytest.raises(AssertionError):
        calibrate([TensorType.Q8_0], tmp_path, 2, kernels="portable", fresh=True)


def test_one_machine_has_one_file_and_another_number_of_threads_another(tmp_path: Path) -> None:
    assert kept_at(tmp_path, 2, "vnni") == kept_at(tmp_path / "not" / "there", 2, "vnni")
    assert kept_at(tmp_path, 1, "vnni") != kept_at(tmp_path, 2, "vnni")
    assert kept_at(tmp_path, 2, "avx2") != kept_at(tmp_path, 2, "vnni")


def test_a_damaged_file_is_as_good_as_none(tmp_path: Path) -> None:
    path = kept_at(tmp_path, 1, "portable")
    path.parent.mkdir(parents=True)
    path.write_text('{"threads": "many"}')
    assert calibrate([TensorType.Q4_0], tmp_path, 1, kernels="portable", disk=False).kernels


def test_the_file_made_for_reading_is_removed(tmp_path: Path) -> None:
    rate, cpu_s = disk_rate(tmp_path)
    assert rate is not None
    assert rate > 0
    assert cpu_s >= 0
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_leaves_the_disk_unknown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(machine, "_write_sample", full)
    assert disk_rate(tmp_path) == (None, 0.0)
    found = calibrate([], tmp_path, 1, kernels="portable").machine()
    assert found.disk_bytes_per_s is None


def test_a_model_file_is_read_where_it_lies_and_found_in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_SMALLEST_SAMPLE_BYTES", 1 << 20)
    model = tmp_path / "name" / "model.gguf"
    model.parent.mkdir()
    model.write_bytes(bytes(9 << 20))
    monkeypatch.setattr(machine, "_write_sample", None)
    for place in (model, tmp_path):
        rate, _ = disk_rate(place)
        assert rate is not None
        assert rate > 0
