"""Downloads one file whose digest is known, picking up where an earlier try stopped.

What is fetched lies in `NAME.part` until its SHA-256 holds; then it is `NAME`. A `.part` that turns out wrong is thrown away and
fetched once more from the beginning. The digest decides, so neither server, proxy nor an earlier crash needs to be trusted.
"""

import errno
import hashlib
import http.client
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from freehold.core.errors import DeviceError, FreeholdError, UpstreamUnavailable, VerificationError
from freehold.provenance.files import sync_directory
from freehold.provenance.progress import Progress

TIMEOUT_S = 30.0
CHUNK_BYTES = 256 << 10
TRIES_WITHOUT_PROGRESS = 4
# Where pip and the tools around it look for a certificate authority of one's own; OpenSSL reads SSL_CERT_FILE by itself.
AUTHORITY_VARIABLES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")

Sleep = Callable[[float], None]


class _Interrupted(Exception):
    """The connection broke; what came so far is in the .part."""


def fetch(
    address: Callable[[], str], target: Path, *, sha256: str, limit_bytes: int, progress: Progress, sleep: Sleep = time.sleep
) -> None:
    """Put the file at `target`. One that is already there and right is left alone: `address` is asked only when there is need.

    Raises UpstreamUnavailable, DeviceError (disk), or VerificationError (the server has another file).
    """
    part = target.with_name(target.name + ".part")
    try:
        if target.exists():
            if _holds(target, sha256, progress):
                return
            progress.note(f"{target} is not the file it should be: thrown away")
            target.unlink()
        url = address()
        resumed = part.exists()
        _complete(url, part, limit_bytes, progress, sleep)
        while not _holds(part, sha256, progress):
            part.unlink()
            if not resumed:
                raise VerificationError(f"{_host(url)} has another {target.name} than the pinned one (sha256 {sha256}): not used")
            resumed = False
            progress.note(f"{part.name} from an earlier try was damaged: thrown away, fetching again")
            _complete(url, part, limit_bytes, progress, sleep)
        part.replace(target)
        sync_directory(target.parent)
    except OSError as exc:
        raise disk_error(target, exc) from exc


def disk_error(path: Path, exc: OSError) -> FreeholdError:
    if exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return DeviceError(f"no space left for {path}; free some and run the same command again: what is there is kept")
    return DeviceError(f"cannot write {path}: {exc.strerror or exc}; check the directory's owner and mode")


def _complete(url: str, part: Path, limit_bytes: int, progress: Progress, sleep: Sleep) -> None:
    """Fetch until the server says that is all, resuming after broken connections while they bring something."""
    tries = 0
    while True:
        before_bytes = _size(part)
        try:
            _fetch_rest(url, part, before_bytes, limit_bytes, progress)
            return
        except (_Interrupted, urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException) as exc:
            if isinstance(exc, urllib.error.HTTPError) and exc.code < 500 and exc.code not in (408, 425, 429):
                raise _refused(url, exc) from exc
            if isinstance(exc, urllib.error.URLError) and isinstance(exc.reason, ssl.SSLCertVerificationError):
                raise UpstreamUnavailable(
                    f"the certificate of {_host(url)} does not verify; if it is your proxy's, point PIP_CERT at its authority"
                ) from exc
            tries = 0 if _size(part) > before_bytes else tries + 1
            if tries >= TRIES_WITHOUT_PROGRESS:
                raise UpstreamUnavailable(
                    f"cannot fetch from {_host(url)}: {_reason(exc)}; {_size(part)} bytes are kept: run the same command again "
                    "when the network is back"
                ) from exc
            progress.note(f"connection to {_host(url)} broke ({_reason(exc)}); going on from byte {_size(part)}")
            sleep(0.5 * 2**tries)


def _refused(url: str, exc: urllib.error.HTTPError) -> UpstreamUnavailable:
    return UpstreamUnavailable(f"{_host(url)} refused the download: HTTP {exc.code} {exc.reason}")


def _reason(exc: Exception) -> str:
    return str(getattr(exc, "reason", None) or exc or type(exc).__name__)[:200]


def _fetch_rest(url: str, part: Path, offset: int, limit_bytes: int, progress: Progress) -> None:
    headers = {"Accept-Encoding": "identity", "User-Agent": "freehold"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    try:
        answer = _opener(url).open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S)  # noqa: S310 - see _opener
    except urllib.error.HTTPError as exc:
        exc.close()
        if exc.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # nothing after our last byte: the digest tells whether that is the whole file
        raise
    with answer:
        if not _resumes(answer, offset):
            offset = 0
        length = answer.headers.get("Content-Length", "")
        total_bytes = offset + int(length) if length.isascii() and length.isdigit() else None
        progress.step(f"downloading {part.name.removesuffix('.part')}", total_bytes)
        _append(answer, part, offset, total_bytes, limit_bytes, progress)


def _resumes(answer: Any, offset: int) -> bool:
    """Whether the server goes on from `offset`. It may answer a range with the whole file (RFC 9110 §14.2)."""
    partial = getattr(answer, "status", None) == http.HTTPStatus.PARTIAL_CONTENT
    return offset > 0 and partial and str(answer.headers.get("Content-Range", "")).startswith(f"bytes {offset}-")


def _append(answer: IO[bytes], part: Path, offset: int, total_bytes: int | None, limit_bytes: int, progress: Progress) -> None:
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    with os.fdopen(handle, "wb") as out:
        out.truncate(offset)
        out.seek(offset)
        done_bytes = offset
        while chunk := _read(answer):
            done_bytes += len(chunk)
            if done_bytes > limit_bytes:
                out.truncate(0)
                raise VerificationError(f"{part.name.removesuffix('.part')} is larger than the {limit_bytes} bytes it must have")
            out.write(chunk)
            progress.advance(done_bytes)
        out.flush()
        os.fsync(out.fileno())
    if total_bytes is not None and done_bytes < total_bytes:
        raise _Interrupted(f"it closed after {done_bytes} of {total_bytes} bytes")


def _read(answer: IO[bytes]) -> bytes:
    try:
        return answer.read(CHUNK_BYTES)
    except (OSError, http.client.HTTPException) as exc:
        raise _Interrupted(str(exc) or type(exc).__name__) from exc


def _opener(url: str) -> urllib.request.OpenerDirector:
    """Proxies from the environment, the user's certificate authority, and no scheme but these three."""
    scheme = url.partition(":")[0].lower()
    if scheme not in ("https", "http", "file"):
        raise UpstreamUnavailable(f"cannot download from a {scheme!r} address; https, http and file are known")
    context = ssl.create_default_context()
    for variable in AUTHORITY_VARIABLES:
        if authority := os.environ.get(variable):
            try:
                context.load_verify_locations(cafile=authority)
            except OSError as exc:
                raise UpstreamUnavailable(f"{variable} names {authority}, which cannot be read as certificates") from exc
            break
    return urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))


def _host(url: str) -> str:
    """For messages: where, without a password that an address may carry."""
    scheme, _, rest = url.partition("://")
    return rest if scheme == "file" else rest.split("/", 1)[0].rsplit("@", 1)[-1]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _holds(path: Path, sha256: str, progress: Progress) -> bool:
    progress.step(f"checking {path.name.removesuffix('.part')}", None)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256
