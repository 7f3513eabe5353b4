"""What an operator may set about the log as others see it: its name, who may read it, and its witnesses.

What reads keys is imported where there are some to read: it takes a third of a process's start, which whoever reads one setting
of another room would wait for.
"""

import importlib
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from freehold.core.errors import MalformedArtefact

if TYPE_CHECKING:
    from freehold.provenance.note import NoteKey

Seconds = Annotated[float, msgspec.Meta(ge=1, le=86_400)]


class WitnessConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One witness that cosigns this node's log."""

    url: str  # of its submissions, up to and without "/add-checkpoint"
    key: str  # its vkey

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("[[witnesses]]: url must start with http:// or https://, name a host, and have no query")
        _vkey(
            self.key, _notes().COSIGNATURE, "[[witnesses]]: key", "'freehold log keys' on the witness shows it as its witness key"
        )

    def note_key(self) -> "NoteKey":
        return _parsed(self.key)


class LogConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`serve` says who may read the log's tiles below /log/. With `witness_for`, this node is a witness for others' logs."""

    origin: str | None = None  # none: "freehold/" and the id of the node's key
    serve: Literal["off", "admin", "public"] = "admin"
    checkpoint_s: Seconds = 60.0  # how often the tree grows and its head is signed, where rows came
    folder: str | None = None  # where the static files are written, too, relative to the configuration's folder
    witness_s: Seconds = 600.0  # how often the witnesses are asked, where rows came
    witness_for: tuple[str, ...] = ()  # vkeys of logs

    def __post_init__(self) -> None:
        if self.origin is not None:
            _notes().check_name(self.origin, "[log] origin")
        for key in self.witness_for:
            _vkey(key, _notes().ED25519, "[log] witness_for", "'freehold log keys' on the other node shows it as its log key")

    def logs(self) -> "dict[str, NoteKey]":
        """The logs that this node is a witness for, by their origins."""
        return {key.name: key for key in map(_parsed, self.witness_for)}


def _notes() -> Any:
    return importlib.import_module("freehold.provenance.note")


def _parsed(vkey: str) -> "NoteKey":
    key: NoteKey = _notes().parse_vkey(vkey)
    return key


def _vkey(text: str, kind: int, where: str, hint: str) -> None:
    try:
        key = _parsed(text)
    except MalformedArtefact as exc:
        raise ValueError(f"{where}: {exc.message}; {hint}") from exc
    if key.kind != kind:
        raise ValueError(f"{where}: {text[:60]!r} is a key of type {key.kind}, this takes type {kind}; {hint}")
