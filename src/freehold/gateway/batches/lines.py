"""The lines of a batch's input: told apart, checked before the batch begins, and read again when each runs.

A line is `{"custom_id": ..., "method": "POST", "url": ..., "body": {...}}`. Its body is kept as the bytes it is: the record's
digests are over those. What is checked here is the envelope; what the body means is the codec's to say when it runs.
"""

import codecs
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

import msgspec

from freehold.core.batches import BatchError
from freehold.core.errors import InvalidRequest
from freehold.gateway.batches.config import BatchesConfig
from freehold.gateway.body import too_deep

ERRORS_SHOWN: Final = 100
_ID_LIMIT_CHARS: Final = 512
_ENVELOPE_BYTES: Final = 4096  # of a line, beside its body
_BYTES_PER_TOKEN: Final = 4  # of English text and JSON
_READING: Final = 4.0  # prompt tokens that are read in the time that one is written, at the least


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRequest:
    custom_id: str = field(repr=False)
    body: bytes = field(repr=False)
    model: str
    units: float  # tokens it may take to write, and of its prompt a part: what its time goes with


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What came of a file. With errors it is not run."""

    places: list[tuple[int, int]]  # of each line: where, and how many bytes
    errors: tuple[BatchError, ...]
    models: frozenset[str]
    units: float


class _Envelope(msgspec.Struct, frozen=True):
    custom_id: str
    method: str
    url: str
    body: msgspec.Raw


class _Body(msgspec.Struct, frozen=True):
    """What has to be known of a body before it runs; whatever its types."""

    model: Any = None
    stream: Any = None
    n: Any = None
    max_tokens: Any = None
    max_completion_tokens: Any = None
    max_output_tokens: Any = None


_envelopes: Final = msgspec.json.Decoder(_Envelope)
_bodies: Final = msgspec.json.Decoder(_Body)


class LineReader:
    """`depth` is how deep a body may nest, `body_limit_bytes` how long it may be, as of any request."""

    def __init__(self, config: BatchesConfig, *, depth: int, body_limit_bytes: int, output_tokens: int) -> None:
        self._config = config
        self._depth = depth
        self._line_limit_bytes = body_limit_bytes + _ENVELOPE_BYTES
        self._output_tokens = output_tokens  # of an answer that is not limited

    def read(self, line: bytes, endpoint: str) -> LineRequest:
        """Raises InvalidRequest, whatever the bytes are. No message quotes them."""
        line = line.removeprefix(codecs.BOM_UTF8)  # of a file's first line, as editors on Windows write it
        if too_deep(line, self._depth + 1):
            raise InvalidRequest(f"the body nests deeper than {self._depth} levels", code="json_too_deep")
        try:
            envelope = _envelopes.decode(line)
            body = _bodies.decode(envelope.body)
        except msgspec.ValidationError as exc:
            code = "missing_required_parameter" if "missing" in str(exc) else "invalid_type"
            raise InvalidRequest("a line has custom_id, method, url (texts) and body (an object)", code=code) from exc
        except (msgspec.DecodeError, RecursionError) as exc:
            raise InvalidRequest("this line is not valid JSON in UTF-8", code="invalid_json_line") from exc
        if not 0 < len(envelope.custom_id) <= _ID_LIMIT_CHARS:
            raise InvalidRequest(f"custom_id has 1 to {_ID_LIMIT_CHARS} characters", param="custom_id", code="invalid_custom_id")
        if envelope.method != "POST":
            raise InvalidRequest("method must be POST", param="method", code="invalid_method")
        if envelope.url != endpoint:
            raise InvalidRequest(f"url must be the batch's endpoint, {endpoint}", param="url", code="invalid_url")
        if not isinstance(body.model, str) or not body.model:
            raise InvalidRequest("body.model is missing", param="body.model", code="missing_required_parameter")
        if body.stream:
            raise InvalidRequest("body.stream: a batch has no streams", param="body.stream", code="unsupported_value")
        raw = bytes(envelope.body)
        units = self._units(body, len(raw), endpoint)
        return LineRequest(custom_id=envelope.custom_id, body=raw, model=body.model, units=units)

    def _units(self, body: _Body, size_bytes: int, endpoint: str) -> float:
        reading = size_bytes / _BYTES_PER_TOKEN / _READING
        if endpoint == "/v1/embeddings":
            return reading
        asked = (body.max_tokens, body.max_completion_tokens, body.max_output_tokens)
        limit = next((count for count in asked if type(count) is int and 0 < count < 1 << 31), self._output_tokens)
        choices = body.n if type(body.n) is int and 0 < body.n < 1000 else 1
        return reading + limit * choices

    def check(self, pieces: Iterable[bytes], endpoint: str, is_served: Callable[[str], bool]) -> Checked:
        """The whole file, of which no more than a line is in memory at a time."""
        places: list[tuple[int, int]] = []
        errors: list[BatchError] = []
        seen: set[bytes] = set()
        models: set[str] = set()
        units = 0.0
        for number, at, line in self._told_apart(pieces):
            if line is None:
                words = f"a line has at most {self._line_limit_bytes} bytes"
                errors.append(BatchError(code="line_too_long", message=words, line=number))
                break
            if len(places) == self._config.lines_limit:
                errors.append(BatchError(code="too_many_lines", message=f"a batch has at most {self._config.lines_limit} lines"))
                break
            try:
                request = self.read(line, endpoint)
                digest = blake2b(request.custom_id.encode(errors="surrogatepass"), digest_size=16).digest()
                if digest in seen:
                    raise InvalidRequest("an earlier line has this custom_id", param="custom_id", code="duplicate_custom_id")
                if not is_served(request.model):
                    raise InvalidRequest("no upstream serves body.model", param="body.model", code="model_not_found")
            except InvalidRequest as error:
                errors.append(BatchError(code=error.code, message=error.message, param=error.param, line=number))
                if len(errors) == ERRORS_SHOWN:
                    break
                continue
            seen.add(digest)
            models.add(request.model)
            units += request.units
            places.append((at, len(line)))
        if not places and not errors:
            errors.append(BatchError(code="empty_file", message="the file has no lines"))
        return Checked(places=places, errors=tuple(errors), models=frozenset(models), units=units)

    def _told_apart(self, pieces: Iterable[bytes]) -> Iterator[tuple[int, int, bytes | None]]:
        """Each line that is not blank: its number from 1, where it begins, and its bytes; None of one that is too long."""
        pending, at, number = bytearray(), 0, 0
        for piece in pieces:
            start = 0
            while (end := piece.find(b"\n", start)) >= 0:
                pending += piece[start:end]
                number += 1
                if pending.strip():
                    yield number, at, bytes(pending) if len(pending) <= self._line_limit_bytes else None
                at += len(pending) + 1
                pending.clear()
                start = end + 1
            pending += piece[start:]
            if len(pending) > self._line_limit_bytes:
                yield number + 1, at, None
                return
        if pending.strip():
            yield number + 1, at, bytes(pending)
