"""Brings a verified model's bytes into private memory, each block checked in the very buffer it is computed from.

Decided here: the order of reading and checking. Nothing looks at a byte, not even the header's parser, before its block has
passed `check_block`; and nothing is mapped from the file, because a mapped page can be read again from a file changed since.

    file    |  block 0  |  block 1  | ... |  last block  |      4 MiB each, as in the manifest
    buffer  |  checked  |  checked  | ... |  checked     |      tensors are views of it, at the file's own offsets
"""

import os
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Protocol

from freehold.core.errors import DeviceError, UnsupportedArtefact, VerificationError
from freehold.core.models import BLOCK_BYTES, ManifestFile, VerifiedModel
from freehold.engine.gguf import GgufHeader, read_header
from freehold.engine.memory import private_buffer
from freehold.engine.tensor_types import Tensor

Progress = Callable[[int, int], None]  # bytes read, bytes in all

_SECTOR_BYTES: Final = 4096


class Weights(Protocol):
    """A model whose header is known, and whose tensors can be had."""

    @property
    def header(self) -> GgufHeader: ...

    def load(self, progress: Progress) -> Mapping[str, Tensor]:
        """All tensors. Raises VerificationError for a block that is not the manifest's, DeviceError where reading fails."""
        ...


class ResidentWeights:
    """The whole file in memory."""

    def __init__(self, model: VerifiedModel) -> None:
        """Reads as far as the header goes. Raises ArtefactError for a file that is not what it must be."""
        self._file = weights_file(model)
        self._model = model
        self._done_bytes = 0
        with _BlockReader(model, self._file) as reader:
            self._buffer = private_buffer(self._file.size_bytes)
            self.header = read_header(_Checked(self, reader), self._file.name)

    def load(self, progress: Progress) -> Mapping[str, Tensor]:
        with _BlockReader(self._model, self._file) as reader:
            progress(self._done_bytes, self._file.size_bytes)
            while self._done_bytes < self._file.size_bytes:
                self.read_block(reader)
                progress(self._done_bytes, self._file.size_bytes)
        return {
            info.name: Tensor(
                name=info.name,
                type=info.type,
                shape=info.shape,
                data=self._buffer[info.offset : info.offset + info.size_bytes],
            )
            for info in self.header.tensors.values()
        }

    def read_block(self, reader: "_BlockReader") -> None:
        """The next block, read into its place and checked there."""
        start = self._done_bytes
        end = min(start + BLOCK_BYTES, self._file.size_bytes)
        view = self._buffer.data
        reader.read(start, end, view)
        self._model.check_block(self._file.name, start // BLOCK_BYTES, view[start:end])
        self._done_bytes = end

    def checked_upto(self, end: int, reader: "_BlockReader") -> memoryview:
        while self._done_bytes < end:
            self.read_block(reader)
        return self._buffer.data[: self._done_bytes]


class _Checked:
    """The file's start for the header's parser: it only ever sees blocks that passed."""

    def __init__(self, weights: ResidentWeights, reader: "_BlockReader") -> None:
        self._weights, self._reader = weights, reader
        self.size_bytes = reader.size_bytes

    def upto(self, end: int) -> memoryview:
        return self._weights.checked_upto(end, self._reader)


class _BlockReader:
    """Reads past the page cache where the file system allows it: weights are read once, and the cache has better uses."""

    def __init__(self, model: VerifiedModel, file: ManifestFile) -> None:
        self._path = model.directory / file.name
        self.size_bytes = file.size_bytes
        self._direct = hasattr(os, "O_DIRECT")
        self._open()
        found_bytes = os.fstat(self._fd).st_size
        if found_bytes != file.size_bytes:
            os.close(self._fd)
            raise VerificationError(
                f"{file.name} has {found_bytes} bytes, its manifest says {file.size_bytes}: pull the model again"
            )

    def __enter__(self) -> "_BlockReader":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self._fd)

    def read(self, start: int, end: int, buffer: memoryview) -> None:
        """Fill `buffer[start:end]` from the file. The buffer reaches past `end` to a whole sector."""
        at = start
        while at < end:
            # O_DIRECT wants whole sectors; what lies past the end of the file is not written.
            upto = -(-end // _SECTOR_BYTES) * _SECTOR_BYTES if self._direct else end
            try:
                count = os.preadv(self._fd, [buffer[at:upto]], at)
            except OSError as exc:
                if not self._direct:
                    raise DeviceError(f"reading {self._path.name} failed at byte {at}: {exc.strerror}") from exc
                count = 0
            if count == 0 and not self._direct:
                raise DeviceError(f"{self._path.name} ended at byte {at} of {self.size_bytes} while it was read")
            at += count
            if self._direct and at < end and (count == 0 or at % _SECTOR_BYTES):
                self._reopen_buffered()

    def _open(self) -> None:
        try:
            self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | (os.O_DIRECT if self._direct else 0))
        except OSError as exc:
            if not self._direct:
                raise DeviceError(f"cannot open {self._path.name}: {exc.strerror}") from exc
            self._direct = False  # tmpfs and some network file systems know no O_DIRECT
            self._open()

    def _reopen_buffered(self) -> None:
        os.close(self._fd)
        self._direct = False
        self._open()


def weights_file(model: VerifiedModel) -> ManifestFile:
    """The one GGUF of a model. Raises UnsupportedArtefact."""
    found = [file for file in model.manifest.files if file.name.endswith(".gguf")]
    if len(found) != 1:
        raise UnsupportedArtefact(
            f"model {model.manifest.name} has {len(found)} .gguf files; the engine runs models of exactly one"
        )
    return found[0]
