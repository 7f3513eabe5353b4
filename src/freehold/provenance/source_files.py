"""The files that something is made of, and whether they stayed as they were while it was.

A conversion reads them by ranges, for hours. What was hashed is what was read if no file was written in between: a file's change
time (ctime) moves with every write, rename and attribute, and no call sets it back.
"""

from collections.abc import Sequence
from pathlib import Path

from freehold.core.errors import VerificationError, os_errors
from freehold.core.models import Manifest
from freehold.provenance.manifest import check_name, checked, hash_file, model_id
from freehold.provenance.progress import Progress, counted


class SourceFiles:
    """Files `names` of `directory`, as they are when this is made. Links are followed, as download caches have them."""

    def __init__(self, directory: Path, names: Sequence[str]) -> None:
        """Raises MalformedArtefact for a name that leaves the directory, DeviceError for a file that cannot be read."""
        for name in names:
            check_name(name)
        self._directory = directory
        self._states = {name: _state(directory / name) for name in sorted(names, key=str.encode)}

    def hash(self, name: str, progress: Progress) -> Manifest:
        """All of them. `name` is what they are called together."""
        progress.step(f"hashing {name}", sum(state[-1] for state in self._states.values()))
        advanced = counted(progress)
        files = tuple(hash_file(self._directory / file, file, advanced) for file in self._states)
        return checked(Manifest(model_id=model_id(files), name=name, files=files, origin=""))

    def refuse_changed(self) -> None:
        """Raises VerificationError for a file that was written since."""
        for name, state in self._states.items():
            if _state(self._directory / name) != state:
                raise VerificationError(f"{self._directory / name} was changed while it was converted: start again when it rests")


def _state(path: Path) -> tuple[int, ...]:
    with os_errors(f"cannot read {path}"):
        found = path.stat()
    return (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size)
