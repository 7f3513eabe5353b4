"""What `freehold fit` says. Rates are measured, but on little data: no number is held to what a machine makes of it."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import freehold.cli.fit as fits
from freehold.cli import main
from freehold.cli.sizes import bytes_of
from freehold.engine import machine
from tests.engine.embedded_model import embedded_model


@pytest.fixture(scope="module")
def model() -> str:
    """Looked for before the home is another one."""
    return str(embedded_model())


@pytest.fixture(autouse=True)
def little(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("FREEHOLD_HOME", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(machine, "cache_folder", lambda: tmp_path / "cache" / "kernels")  # compiled ones stay where they are
    for name, value in (("_LARGEST_BYTES", 4 << 20), ("_DISK_S", 0.01), ("_WRITE_S", 0.01), ("_SAMPLE_BYTES", 16 << 20)):
        monkeypatch.setattr(machine, name, value)


def fit(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["fit", *arguments])


def told(*arguments: str) -> dict[str, Any]:
    result = fit(*arguments, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert isinstance(document, dict)
    return document


def test_a_size_and_a_quantisation_are_enough() -> None:
    found = told("--params", "70B", "--quant", "q4_k_m", "--ram", "32G", "--disk-rate", "3.5G")
    assert found["model"] == "llama-3.1-70b q4_k_m"
    assert not found["fits"]
    assert sum(found["bytes"].values()) == 41_916_252_160
    assert found["machine"]["disk_bytes_per_s"] == 3.5e9
    assert found["prediction"]["token_s"] >= found["bytes"]["disk"] / 3.5e9
    assert found["memory"]["usable_bytes"] < 32e9
    assert found["prediction"]["with_more_ram_s"] <= found["prediction"]["token_s"]


def test_more_memory_and_a_card_move_bytes_up() -> None:
    asked = ("--params", "70B", "--pcie", "25G", "--vram-rate", "800G", "--disk-rate", "3.5")
    less, more = told(*asked, "--ram", "16G"), told(*asked, "--ram", "16G", "--vram", "21.5G")
    assert less["bytes"]["vram"] == 0
    assert more["prediction"]["token_s"] < less["prediction"]["token_s"]
    assert 19_000_000_000 < more["bytes"]["vram"] < 21_000_000_000  # beside keys, values and what a pass needs
    assert more["bytes"]["ram"] < less["memory"]["usable_bytes"] < 16e9
    assert more["bytes"]["disk"] < less["bytes"]["disk"]
    assert more["prediction"]["with_more_vram_s"] is not None


def test_it_reads_as_one_fact_a_line() -> None:
    result = fit("--params", "8B", "--quant", "Q6_K", "--ram", "4G")
    assert result.exit_code == 0, result.output
    facts = [line.split("  ")[0] for line in result.stdout.splitlines()]
    assert facts[:6] == ["model", "machine", "memory", "a token reads", "predicted", "first token"]
    assert "streamed from the disk" in result.stdout
    assert "measured 20" in result.stdout


def test_a_scaled_shape_is_said_to_be_one() -> None:
    assert "a shape scaled from its size" in fit("--params", "13B", "--ram", "64G").stdout


def test_what_does_not_fit_is_said_with_the_numbers_and_by_the_exit_code() -> None:
    result = fit("--params", "8B", "--ram", "150M")
    assert result.exit_code == 1
    assert "not enough memory, even with every layer streamed" in result.output


def test_more_memory_streams_less_and_takes_no_longer() -> None:
    found = [told("--params", "3B", "--quant", "Q6_K", "--ram", ram, "--disk-rate", "2G") for ram in ("400M", "1G", "2G", "4G")]
    streamed = [document["bytes"]["disk"] for document in found]
    seconds = [document["prediction"]["token_s"] for document in found]
    assert streamed == sorted(streamed, reverse=True)
    assert seconds == sorted(seconds, reverse=True)
    assert (found[0]["fits"], found[-1]["fits"]) == (False, True)


def test_the_prompt_is_no_longer_than_the_context() -> None:
    assert told("--params", "3B", "--ctx", "256", "--prompt", "4096")["prediction"]["prompt_tokens"] == 256


@pytest.mark.model
def test_a_file_is_asked_by_its_header(model: str) -> None:
    found = told(model, "--threads", "1")
    assert found["fits"]
    assert found["parameters"] == 134_515_008
    assert set(found["machine"]["kernels"]) == {"Q4_1", "Q8_0"}


def test_what_cannot_be_asked_is_refused_in_words(tmp_path: Path) -> None:
    for arguments, words in (
        ((), "--params"),
        (("smollm2-135m", "--params", "8B"), "one of the two"),
        (("--params", "huge"), "no size"),
        (("--params", "8B", "--quant", "Q9"), "no quantisation"),
        (("--params", "8B", "--ram", "lots"), "no size"),
        ((str(tmp_path / "none.gguf"),), "none.gguf"),
    ):
        result = fit(*arguments)
        assert result.exit_code != 0
        assert words in result.output


@pytest.mark.parametrize(("text", "size_bytes"), [("24", 24e9), ("600M", 6e8), ("3.5G", 3.5e9), ("7GB/s", 7e9), ("1TiB", 1e12)])
def test_sizes_are_read_as_people_write_them(text: str, size_bytes: float) -> None:
    assert bytes_of(text) == size_bytes


def test_a_card_that_is_here_is_counted_unless_another_machine_is_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    found = fits._Card(usable_bytes=3_000_000_000, bytes_per_s=800_000_000_000, link_bytes_per_s=25_000_000_000)
    monkeypatch.setattr(fits._Card, "here", classmethod(lambda cls, engine: found))
    here = told("--params", "8B")
    assert 1_000_000_000 < here["bytes"]["vram"] < 3_000_000_000
    assert here["card"]["assumed"] == []
    assert here["machine"]["pcie_bytes_per_s"] == 25_000_000_000
    assert told("--params", "8B", "--ram", "16G")["bytes"]["vram"] == 0


def test_a_card_of_which_only_the_memory_is_said_gets_rates_that_are_said_to_be_assumed() -> None:
    asked = ("--params", "70B", "--ram", "64G", "--disk-rate", "3.5G", "--vram", "24G")
    found = told(*asked)
    assert len(found["card"]["assumed"]) == 2
    assert found["prediction"]["unknown"] == []
    assert found["machine"]["pcie_bytes_per_s"] == 25e9
    assert found["prediction"]["with_more_vram_s"] < found["prediction"]["token_s"]
    assert len(told(*asked, "--pcie", "12G")["card"]["assumed"]) == 1
    said = told(*asked, "--pcie", "12G", "--vram-rate", "936G")
    assert (said["card"]["assumed"], said["machine"]["vram_bytes_per_s"]) == ([], 936e9)
    read = fit(*asked).stdout
    assert "PCIe 4.0 x16 (--pcie)" in read
    assert "1 GB more VRAM" in read
    assert "the model is the processor's" in fit("--params", "8B", "--ram", "32G", "--vram", "500M").stdout


def test_a_card_is_not_counted_for_a_model_that_it_does_not_compute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = ("--params", "8B", "--quant", "Q3_K_M", "--ram", "32G", "--vram", "24G")
    found = told(*asked)
    assert found["bytes"]["vram"] == 0
    assert found["card"] is None
    assert "does not compute tensors of type Q3_K" in found["card_unused"]
    assert found["prediction"]["token_s"] == told(*asked[:-2])["prediction"]["token_s"]
    assert told(*asked[:-2])["card_unused"] is None
    assert "the model is the processor's" in fit(*asked).stdout
    settings = tmp_path / "freehold.toml"
    settings.write_text('[engine]\ndevice = "cuda"\n')
    refused = fit(*asked, "--config", str(settings))
    assert refused.exit_code != 0
    assert "engine.device is cuda, and a card does not compute" in refused.output
