"""Zips, by what is in them: PyTorch's and NumPy's archives, Keras' models, and any other.

A PyTorch zip has its object in `NAME/data.pkl` and raw tensors in `NAME/data/0`, `1`, ...: those are no files of a kind, and
only looked at for being one. TorchScript adds programs in `NAME/code/`.
"""

import re

from freehold.provenance.scan.archives import Member, look_into, read_zip
from freehold.provenance.scan.context import Context
from freehold.provenance.scan.source import Source

_RAW = re.compile(
    r"(?:[^/]+/)?(?:\.?data/[\w.-]+|constants/\d+|version|byteorder|\.format_version|\.storage_alignment|code/.+\.debug_pkl)"
)


def scan_zip(source: Source, context: Context) -> str:
    """Gives what kind of zip it is."""
    members = read_zip(source, context)
    kind = _kind({member.name for member in members})
    if len({member.name for member in members}) != len(members):
        context.find("zip-mismatch", "a name is there twice: readers take one or the other")
    for member in members:
        _look(source, member, context, kind)
    return kind


def _kind(names: set[str]) -> str:
    if any(re.fullmatch(r"(?:[^/]+/)?data\.pkl", name) for name in names):
        return "TorchScript" if any("/code/" in name for name in names) else "PyTorch"
    if {"config.json", "metadata.json"} <= names:
        return "Keras"
    if names and all(name.endswith(".npy") for name in names):
        return "NumPy archive"
    return "zip"


def _look(source: Source, member: Member, context: Context, kind: str) -> None:
    is_raw = kind in ("PyTorch", "TorchScript") and _RAW.fullmatch(member.name) is not None
    if kind == "TorchScript" and "/code/" in member.name and member.name.endswith(".py"):
        context.find("code-hook", "TorchScript: a program that PyTorch runs", member.header_at)
    look_into(source, member, context, quiet=is_raw)
