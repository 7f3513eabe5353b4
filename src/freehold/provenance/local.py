"""Models that a person brings: files already on this machine, trusted on first use.

Nobody signed such files for us. Adding them hashes every byte into a manifest that the node signs: from then on it runs exactly
these bytes or nothing. `<home>/models/<name>/` holds the manifest, and `location` says where the files lie where that is
elsewhere: weights are not copied. A wrong location gives other bytes, which do not pass.
"""

import errno
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from freehold.core.errors import DeviceError, InvalidRequest, NotFound, VerificationError, os_errors
from freehold.core.models import Manifest, Trust, VerifiedModel
from freehold.provenance import catalogue
from freehold.provenance.download import disk_error
from freehold.provenance.envelope import ENVELOPE_LIMIT_BYTES, open_envelope
from freehold.provenance.files import write_durably
from freehold.provenance.keys import TrustedKeys, key_directory, node_key, trusted
from freehold.provenance.manifest import MANIFEST_NAME, MANIFEST_TYPE, decode, make_manifest, regular_size
from freehold.provenance.model_folder import LOCATION_NAME, model_directory
from freehold.provenance.progress import Progress, counted
from freehold.provenance.publisher import PUBLISHER_NAME, doubt, publisher
from freehold.provenance.scan.gate import refuse_unsafe, refuse_unsafe_model
from freehold.provenance.signer import sign_manifest
from freehold.provenance.signing import vouched_by
from freehold.provenance.trust import TrustStore, read_trust
from freehold.provenance.verifier import verify_model

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_PART = re.compile(r"-\d{5}-of-\d{5}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bringing:
    """What is to be added: the files `names` in `directory`."""

    directory: Path
    names: Sequence[str]
    name: str
    origin: str
    licence: str | None = None
    signature: bytes | None = None  # of a publisher, that lies beside them


def name_for(path: Path) -> str:
    """What a model is called where nobody says: its file's or folder's name in small letters."""
    stem = _PART.sub("", path.name.removesuffix(".gguf"))
    return re.sub(r"[^a-z0-9._-]+", "-", stem.lower()).strip("-._")[:100] or "model"


def check_model_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidRequest(f"{name[:100]!r} is no name for a model: small letters, digits and . _ - are", param="name")
    if catalogue.lookup(name) is not None:
        raise InvalidRequest(f"{name} is the name of a model that can be pulled; give another one with --name", param="name")


def add(bringing: Bringing, home: Path, progress: Progress, *, overwrite: bool = False) -> VerifiedModel:
    """Scan, hash, sign and keep. A name that has other bytes already is only taken over with `overwrite`.

    Raises MalformedArtefact for files that cannot be in a model or be read to their end, DangerousArtefact for what a scan finds
    malicious, VerificationError for a name that is taken, DeviceError.
    """
    check_model_name(bringing.name)
    key = node_key(key_directory(home))
    place = model_directory(home, bringing.name)
    try:
        place.mkdir(parents=True, exist_ok=True)
        directory = _without_links(bringing, place)
        total_bytes = sum(regular_size(directory, name) for name in bringing.names)
        refuse_unsafe(directory, bringing.names, progress)
        progress.step(f"hashing {bringing.name}", total_bytes)
        manifest = make_manifest(
            directory,
            bringing.names,
            name=bringing.name,
            origin=bringing.origin,
            licence=bringing.licence,
            advanced=counted(progress),
        )
        if (place / MANIFEST_NAME).exists() and not overwrite:
            before = _manifest(place, trusted(key.public))
            if before.model_id != manifest.model_id:
                raise VerificationError(
                    f"{bringing.name} was added before with other bytes (model id {before.model_id[:16]}, these are "
                    f"{manifest.model_id[:16]}): say --replace if that is meant, or another --name"
                )
        envelope = sign_manifest(manifest, key)
        # Once more, over the very bytes that were hashed: files may have changed since the first look.
        refuse_unsafe_model(verify_model(directory, envelope, trusted(key.public)))
        _keep_signature(bringing, manifest, place, read_trust(key_directory(home), key.public), progress)
        if directory == place:
            (place / LOCATION_NAME).unlink(missing_ok=True)
        else:
            write_durably(place / LOCATION_NAME, os.fsencode(directory))
        write_durably(place / MANIFEST_NAME, envelope)
    except OSError as exc:
        raise disk_error(place, exc) from exc
    finally:
        if place.is_dir() and not any(place.iterdir()):
            place.rmdir()
    return open_added(home, bringing.name)


def _keep_signature(bringing: Bringing, manifest: Manifest, place: Path, store: TrustStore, progress: Progress) -> None:
    """A publisher's signature by somebody trusted is held against the files now, one by others is told; both are kept."""
    if bringing.signature is None:
        (place / PUBLISHER_NAME).unlink(missing_ok=True)
        return
    if (why := doubt(manifest, bringing.signature, store)) is not None:
        progress.note(f"the signature beside {bringing.name} vouches for nothing here: {why} (freehold trust)")
    elif vouched_by(manifest, bringing.signature, store) is None:
        progress.note(f"the signature beside {bringing.name} has digests of another kind than are compared here: freehold verify")
    write_durably(place / PUBLISHER_NAME, bringing.signature)


def _without_links(bringing: Bringing, place: Path) -> Path:
    """Where the files lie as regular files. Download caches keep links to files of other names: those get second names here."""
    directory = bringing.directory.resolve()
    if not any((directory / name).is_symlink() for name in bringing.names):
        return directory
    for name in bringing.names:
        (place / name).unlink(missing_ok=True)
        try:
            os.link((directory / name).resolve(), place / name)
        except OSError as exc:
            if exc.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK):
                raise
            raise DeviceError(
                f"{directory / name} is a link to a file that cannot be named in {place} as well ({exc.strerror}); copy the "
                f"model without links (cp -rL '{directory}' ...) and add the copy"
            ) from exc
    return place


def trust_words(model: VerifiedModel) -> str:
    """Why this model's bytes are taken to be the right ones, for a person."""
    if model.trust is Trust.RELEASE:
        return "pinned by this release"
    if model.trust is Trust.PUBLISHER:
        return f"signed by {model.publisher}"
    return "trusted on first use: nobody who is trusted here signed it"


def refuse_unsigned(model: VerifiedModel, unsigned: str) -> None:
    """What `[engine] unsigned` says of a model that nobody signed. Raises VerificationError where it is "refuse"."""
    if unsigned != "pin" and model.trust is Trust.FIRST_USE:
        raise VerificationError(
            f"{model.manifest.name} is not run: nobody who is trusted here signed it, and [engine] unsigned is "
            f'"{unsigned}". Trust its publisher (freehold trust add KEY --name {model.manifest.name}), or set unsigned = "pin" '
            "to trust its bytes as they were when it was added"
        )


def added_names(home: Path) -> list[str]:
    """Models that were added, by name."""
    found = (path.parent.name for path in (home / "models").glob(f"*/{MANIFEST_NAME}"))
    return sorted(name for name in found if catalogue.lookup(name) is None)


def open_added(home: Path, name: str) -> VerifiedModel:
    """A model that was added, its signature verified. Raises NotFound where it was not, VerificationError for files gone."""
    place, node = _place(home, name), node_key(key_directory(home)).public
    model = open_at(place, trusted(node))
    if model.manifest.name != name:
        raise VerificationError(f"the manifest in {place} is of {model.manifest.name!r:.100}: add {name} again")
    signer = publisher(model.manifest, place, key_directory(home), node)
    return model if signer is None else replace(model, trust=Trust.PUBLISHER, publisher=signer)


def open_at(place: Path, keys: TrustedKeys) -> VerifiedModel:
    """The model whose manifest is in `place`."""
    location = place / LOCATION_NAME
    with os_errors(f"cannot read {location}"):
        directory = Path(os.fsdecode(location.read_bytes())) if location.exists() else place
    return verify_model(directory, _envelope(place), keys)


def _place(home: Path, name: str) -> Path:
    place = model_directory(home, name)
    if not _NAME.fullmatch(name) or not (place / MANIFEST_NAME).exists():
        raise NotFound(f"no model {name[:100]!r} was added or can be pulled; `freehold models list` tells what is there")
    return place


def _envelope(place: Path) -> bytes:
    path = place / MANIFEST_NAME
    with os_errors(f"cannot read {path}"), path.open("rb") as file:
        return file.read(ENVELOPE_LIMIT_BYTES + 1)


def _manifest(place: Path, keys: TrustedKeys) -> Manifest:
    """What the node signed, whether or not the files are still there."""
    return decode(open_envelope(_envelope(place), MANIFEST_TYPE, keys).payload)


def forget(home: Path, name: str) -> bool:
    """Take an added model off the list. Files that lie elsewhere stay; tells whether some lay here and are gone."""
    if (pin := catalogue.lookup(name)) is not None:
        folder = model_directory(home, pin.name)
        raise InvalidRequest(f"{name} is pulled, not added; to be rid of its files, remove the folder {folder}", param="name")
    check_model_name(name)
    place = _place(home, name)
    lay_here = not (place / LOCATION_NAME).exists()
    try:
        shutil.rmtree(place)
    except OSError as exc:
        raise disk_error(place, exc) from exc
    return lay_here
