"""Handles every step of verification, of models and of receipts. Nothing here touches the network.

`verify_model` is the only maker of `VerifiedModel`. It proves that a trusted key signed the manifest and that the files are there
with their sizes; the contents are proven block by block by `check_block`, on the very bytes that are computed from, because a
check of the whole file beforehand says nothing about what is read later. A broken promise raises; nothing here returns a bool.
"""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from freehold.core.errors import InvalidRequest, VerificationError
from freehold.core.exchange import KeyId
from freehold.core.models import BLOCK_BYTES, BlockCheck, Manifest, VerifiedModel
from freehold.core.receipts import Claims
from freehold.provenance import catalogue
from freehold.provenance import manifest as manifests
from freehold.provenance import receipt as receipts
from freehold.provenance.envelope import open_envelope
from freehold.provenance.keys import TrustedKeys


def verify_model(directory: Path, manifest_envelope: bytes, trusted_keys: TrustedKeys) -> VerifiedModel:
    """Raises VerificationError or MalformedArtefact, saying which file and why."""
    opened = open_envelope(manifest_envelope, manifests.MANIFEST_TYPE, trusted_keys)
    manifest = manifests.decode(opened.payload)
    for file in manifest.files:
        path = directory / file.name
        if path.is_symlink() or not path.is_file():
            raise VerificationError(f"{path} is in the manifest but not there as a regular file: {_mending(manifest, path)}")
        size_bytes = path.stat().st_size
        if size_bytes != file.size_bytes:
            raise VerificationError(
                f"{path} has {size_bytes} bytes, {file.size_bytes} were signed for {manifest.name}: {_mending(manifest, path)}"
            )
    return VerifiedModel(manifest=manifest, directory=directory, signed_by=opened.signed_by, check_block=_block_check(manifest))


def verify_contents(model: VerifiedModel) -> None:
    """Read every file once and compare it with the manifest. For a report: loading checks the blocks it reads itself."""
    for file in model.manifest.files:
        for index, (_, leaf) in enumerate(manifests.hashed_blocks(model.directory / file.name, file.size_bytes)):
            if not hmac.compare_digest(leaf, file.leaves[index]):
                raise _wrong_block(model.manifest, file.name, index)


def _block_check(manifest: Manifest) -> BlockCheck:
    files = {file.name: file for file in manifest.files}

    def check_block(name: str, index: int, block: memoryview) -> None:
        file = files.get(name)
        if file is None or not 0 <= index < len(file.leaves):
            raise VerificationError(f"block {index} of {name[:200]!r} is not in the manifest of {manifest.name!r}")
        expected_bytes = min(BLOCK_BYTES, file.size_bytes - index * BLOCK_BYTES)
        if block.nbytes != expected_bytes:
            raise VerificationError(f"block {index} of {name} has {block.nbytes} bytes, not {expected_bytes}")
        if not hmac.compare_digest(manifests.leaf_digest(block), file.leaves[index]):
            raise _wrong_block(manifest, name, index)

    return check_block


def _wrong_block(manifest: Manifest, name: str, index: int) -> VerificationError:
    return VerificationError(
        f"block {index} of {name} (from byte {index * BLOCK_BYTES}) is not what was signed for {manifest.name}: the file was "
        f"changed or the disk is failing; {_mending(manifest, Path(name))}"
    )


def _mending(manifest: Manifest, path: Path) -> str:
    if catalogue.lookup(manifest.name) is not None:
        return f"remove it and run: freehold models pull {manifest.name}"
    return f"put {path.name} back as it was or, if the change is meant: freehold models add PATH --name {manifest.name} --replace"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptReport:
    """A receipt whose signature held. The two flags say what was compared besides; a comparison that fails raises."""

    claims: Claims
    signed_by: KeyId
    digest: str
    previous: str | None
    request_checked: bool
    response_checked: bool


def verify_receipt(
    envelope: bytes,
    public_keys: TrustedKeys,
    *,
    request: bytes | None = None,
    response: bytes | Iterable[bytes] | None = None,
    salt: bytes | None = None,
) -> ReceiptReport:
    """Prove a receipt, and what is given of the exchange it is about.

    `request` is the body as it was sent; `response` a plain body, or the data of each server-sent event in order, without the
    closing `[DONE]`. Both need the `salt`, which the node gives to the exchange's own client.
    """
    opened = open_envelope(envelope, receipts.STATEMENT_MEDIA_TYPE, public_keys)
    claims, previous = receipts.decode(opened.payload, salt or b"")
    if salt is None and (request is not None or response is not None):
        raise InvalidRequest(
            "comparing a request or response needs the salt; /v1/receipts/ gives it to the client that asked", param="salt"
        )
    if salt is not None and request is not None:
        _compare("request", receipts.request_digest(salt, request), claims.request_digest)
    if salt is not None and response is not None:
        links = [response] if isinstance(response, bytes) else response
        digest, count = receipts.response_digest(salt, links)
        if count != claims.response_links:
            raise VerificationError(f"the response has {count} parts, the receipt was signed over {claims.response_links}")
        _compare("response", digest, claims.response_digest)
    return ReceiptReport(
        claims=claims,
        signed_by=opened.signed_by,
        digest=sha256(opened.payload).hexdigest(),
        previous=previous,
        request_checked=request is not None,
        response_checked=response is not None,
    )


def _compare(what: str, actual: str, claimed: str) -> None:
    if not hmac.compare_digest(actual, claimed):
        raise VerificationError(f"this is not the {what} that was signed (or the salt is another's): {actual} is not {claimed}")


def event_data(stream: bytes) -> list[bytes]:
    """The data of each server-sent event in a saved stream, as the chain has them: in order, up to `[DONE]`."""
    links: list[bytes] = []
    for event in stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n\n"):
        lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
        data = b"\n".join(lines)
        if data == b"[DONE]":
            break
        if lines:
            links.append(data)
    return links
