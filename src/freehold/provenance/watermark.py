"""The secrets of watermarks, in the home: `watermarks/NAME.json`, 0600, with the parameters that text was marked with.

Whoever looks for a watermark needs the secret and the parameters that it was made with, so one is never changed or replaced: a
team that wants others has another name.
"""

import re
import secrets
import stat
from pathlib import Path
from typing import Final

import msgspec

from freehold.core.errors import ConfigError, DeviceError, InvalidRequest, NotFound, os_errors
from freehold.core.watermark import PARTS, SCHEME, SECRET_BYTES, Watermark, watermark
from freehold.provenance.files import write_durably

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


class _File(msgspec.Struct, forbid_unknown_fields=True):
    scheme: str
    secret: bytes  # base64, as msgspec writes bytes
    gamma_parts: int
    delta: float
    context_tokens: int


def make_watermark(home: Path, name: str, *, gamma: float, delta: float, context_tokens: int) -> Watermark:
    """With a new secret. Raises InvalidRequest where there is one of the name."""
    made = watermark(secrets.token_bytes(SECRET_BYTES), gamma=gamma, delta=delta, context_tokens=context_tokens)
    path = _path(home, name)
    content = msgspec.json.encode(
        _File(
            scheme=SCHEME, secret=made.secret, gamma_parts=made.gamma_parts, delta=made.delta, context_tokens=made.context_tokens
        )
    )
    with os_errors(f"cannot write the watermark's secret {path}"):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_new = write_durably(path, content, mode=0o600, replace=False)
    if not is_new:
        raise InvalidRequest(f"there is a watermark {name} already: what it marked could not be told with another secret")
    return made


def read_watermark(home: Path, name: str) -> Watermark:
    """Raises NotFound, and ConfigError for a file that others could read or that is none of ours."""
    path = _path(home, name)
    try:
        mode, raw = stat.S_IMODE(path.stat().st_mode), path.read_bytes()
    except FileNotFoundError as exc:
        raise NotFound(f"there is no watermark {name} in this home; run: freehold watermark create {name}") from exc
    except OSError as exc:
        raise DeviceError(f"cannot read the watermark's secret {path}: {exc.strerror}") from exc
    if mode & 0o077:
        raise ConfigError(f"{path} has mode {mode:04o}: others could read the secret. Run: chmod 0600 '{path}'")
    try:
        found = msgspec.json.decode(raw, type=_File)
        if found.scheme != SCHEME or len(found.secret) != SECRET_BYTES:
            raise ConfigError(f"{path} is of another scheme than {SCHEME}, or its secret is cut short")
        return watermark(found.secret, gamma=found.gamma_parts / PARTS, delta=found.delta, context_tokens=found.context_tokens)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidRequest) as exc:
        raise ConfigError(f"{path} holds no watermark's secret ({type(exc).__name__}); put it back from a backup") from exc


def watermark_names(home: Path) -> list[str]:
    """Of all that are there."""
    return sorted(path.stem for path in (home / "watermarks").glob("*.json") if _NAME.fullmatch(path.stem))


def watermark_of_digest(home: Path, digest: str) -> Watermark | None:
    """The one that a receipt names; None where it is not in this home."""
    return next((found for name in watermark_names(home) if (found := read_watermark(home, name)).digest == digest), None)


def _path(home: Path, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise InvalidRequest(f"{name[:100]!r} is no name for a watermark: small letters, digits and . _ - are", param="name")
    return home / "watermarks" / f"{name}.json"
