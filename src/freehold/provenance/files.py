"""Small files: written so that a reader sees the whole old one or the whole new one, also after a power cut; read to a limit."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from freehold.core.errors import MalformedArtefact, os_errors


def write_durably(path: Path, content: bytes, *, mode: int = 0o644, replace: bool = True) -> bool:
    """Write `content` at `path` in one step. With `replace` false a file already there stays; tells whether ours is in place."""
    # The name is unguessable and O_EXCL refuses what is there: nobody can plant a link for us to write through.
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        if replace:
            part.replace(path)
        else:
            try:
                os.link(part, path)
            except FileExistsError:
                return False
    finally:
        part.unlink(missing_ok=True)
    sync_directory(path.parent)
    return True


def sync_directory(directory: Path) -> None:
    """Make a rename in `directory` survive a power cut."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_small(path: Path, what: str, limit_bytes: int) -> bytes:
    """The whole file. Raises DeviceError where it cannot be read, MalformedArtefact where it is larger than any `what` is."""
    with os_errors(f"cannot read the {what} {path}"), path.open("rb") as file:
        raw = file.read(limit_bytes + 1)
    if len(raw) > limit_bytes:
        raise MalformedArtefact(f"{path} has more than {limit_bytes:,} bytes: no {what} has")
    return raw


@contextlib.contextmanager
def named(file: Path | str) -> Iterator[None]:
    """What parses bytes does not know which file they are of: its MalformedArtefact is raised again with the name in front."""
    try:
        yield
    except MalformedArtefact as error:
        raise MalformedArtefact(f"{file}: {error.message}") from error
