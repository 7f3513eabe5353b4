"""Every error Freehold raises on purpose, split by who is at fault.

    FreeholdError
    ├── ClientError            the caller can mend it: 4xx
    │   ├── InvalidRequest         malformed or unsupported body (400)
    │   ├── RequestTooLarge        over a size or depth limit (413)
    │   ├── RequestTimeout         the request did not arrive in time (408)
    │   ├── InvalidKey             missing, unknown or revoked key (401)
    │   ├── NotAllowed             the key may not do this (403)
    │   ├── LimitReached           a rate or a budget is used up (429)
    │   ├── NotFound               no such model, receipt or route (404)
    │   ├── UnknownFigure          a computation needs a figure that nobody published (422)
    │   ├── BlockedByPolicy        the guard stopped it (400)
    │   └── NowhereAllowed         no upstream may have data of its labels (451)
    ├── UpstreamError          the provider failed: 502, 503, 504
    │   ├── UpstreamUnavailable    cannot be reached, or is starting again (503)
    │   │   └── ModelRefused           our engine will not run its model (503)
    │   ├── UpstreamTimeout        silent for too long (504)
    │   ├── UpstreamRejected       answered with an error of its own (its status)
    │   └── UpstreamBroken         died or sent nonsense mid-answer (502)
    ├── ArtefactError          a file is not what it must be
    │   ├── MalformedArtefact      cannot be parsed
    │   ├── UnsupportedArtefact    parsed, but of a kind we do not run
    │   ├── DangerousArtefact      built to do what weights never do
    │   └── VerificationError      digest or signature does not hold
    ├── DeviceError            the machine: disk, memory, device
    │   └── RecordNotWritten       the ledger or receipt could not be made durable (503)
    └── InternalError          ourselves
        └── ConfigError            the configuration does not hold together

A message says what, where and what to do next; it never quotes content. `status` is what HTTP answers with; `code` is the
stable word a program may test for.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class FreeholdError(Exception):
    """Base of the tree. Raised only through its leaves."""

    status = 500
    code = "internal_error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code


class ClientError(FreeholdError):
    status = 400
    code = "invalid_request"


class InvalidRequest(ClientError):
    """`param` names the field at fault, in the body's own words."""

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.param = param


class RequestTooLarge(ClientError):
    status = 413
    code = "request_too_large"


class RequestTimeout(ClientError):
    status = 408
    code = "request_timeout"


class InvalidKey(ClientError):
    status = 401
    code = "invalid_api_key"


class NotAllowed(ClientError):
    status = 403
    code = "not_allowed"


class NotFound(ClientError):
    status = 404
    code = "not_found"


class UnknownFigure(ClientError):
    """What is not known is not guessed: the message names the fields, and of what."""

    status = 422
    code = "unknown_figure"


class BlockedByPolicy(ClientError):
    """400 is what providers refuse content with. At 403 clients send the same again, or ask for another key."""

    status = 400
    code = "blocked_by_policy"


class NowhereAllowed(ClientError):
    """RFC 7725's status: what stands against it are rules on where data may be."""

    status = 451
    code = "nowhere_allowed"


class LimitReached(ClientError):
    """`retry_after_s` is when the limit lets the next request through, where waiting helps."""

    status = 429
    code = "rate_limit_exceeded"

    def __init__(self, message: str, *, retry_after_s: float | None = None, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s


class UpstreamError(FreeholdError):
    status = 502
    code = "upstream_error"


class UpstreamUnavailable(UpstreamError):
    """`retry_after_s` is when trying again makes sense, and `why` what an operator looks for, where they are known."""

    status = 503
    code = "upstream_unavailable"

    def __init__(self, message: str, *, retry_after_s: float | None = None, code: str | None = None, why: str = "") -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s
        self.why = why


class ModelRefused(UpstreamUnavailable):
    """Asking again changes nothing before somebody mends the model, the settings or the machine: the message says which."""

    code = "model_refused"


class UpstreamTimeout(UpstreamError):
    status = 504
    code = "upstream_timeout"


class UpstreamRejected(UpstreamError):
    """The provider answered with an error of its own: `status` is the provider's, as is `retry_after_s`."""

    code = "upstream_rejected"

    def __init__(self, message: str, *, status: int, retry_after_s: float | None = None, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.status = status
        self.retry_after_s = retry_after_s


class UpstreamBroken(UpstreamError):
    code = "upstream_broken"


class ArtefactError(FreeholdError):
    code = "artefact_error"


class MalformedArtefact(ArtefactError):
    code = "malformed_artefact"


class UnsupportedArtefact(ArtefactError):
    code = "unsupported_artefact"


class DangerousArtefact(ArtefactError):
    code = "dangerous_artefact"


class VerificationError(ArtefactError):
    code = "verification_failed"


class DeviceError(FreeholdError):
    status = 503
    code = "device_error"


class RecordNotWritten(DeviceError):
    code = "record_not_written"


class InternalError(FreeholdError):
    pass


class ConfigError(InternalError):
    code = "config_error"


def reason_of(exc: Exception) -> str:
    """Why somebody could not be asked, in words that quote nothing: the system's, else the kind of error."""
    if any(kind.__name__ == "SSLError" for kind in type(exc).__mro__):  # its number is another library's
        return f"TLS failed ({type(exc).__name__})"
    number = exc.errno if isinstance(exc, OSError) else None
    return os.strerror(number).lower() if number is not None and number > 0 else type(exc).__name__


@contextmanager
def os_errors(complaint: str, kind: Callable[[str], Exception] = DeviceError) -> Iterator[None]:
    """What the system refuses in here is raised as `kind`, with its reason: "cannot read PATH: Permission denied"."""
    try:
        yield
    except OSError as exc:
        raise kind(f"{complaint}: {exc.strerror}") from exc
