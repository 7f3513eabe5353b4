"""Reads an uploaded file out of a multipart form and onto the disk as it arrives: no more than a few pieces are in memory.

RFC 7578; the parser is python-multipart's. A form has one part `file`, and small fields beside it.
"""

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from freehold.core.errors import InvalidRequest, RequestTimeout, RequestTooLarge
from freehold.core.ports import Upload
from freehold.gateway.body import ClientLeft, Receive

_FIELD_LIMIT_BYTES: Final = 4096
_FIELDS: Final = 16
_FORM_BYTES: Final = 128 << 10  # of all that is not the file
_NAME_LIMIT_CHARS: Final = 255

logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # its warnings quote what it reads


@dataclass(slots=True)
class Form:
    filename: str = "file"
    fields: dict[str, str] = field(default_factory=dict)
    has_file: bool = False


async def read_form(receive: Receive, content_type: bytes, upload: Upload, *, limit_bytes: int, patience_s: float) -> Form:
    """The fields; the file's content went into `upload`. Raises InvalidRequest, RequestTooLarge, RequestTimeout or ClientLeft."""
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary or len(boundary) > 70:  # RFC 2046 §5.1.1
        raise InvalidRequest("send the file as multipart/form-data, with the fields file and purpose")
    parts = _Parts()
    parser = MultipartParser(boundary, parts.callbacks())
    left_bytes = limit_bytes + _FORM_BYTES
    try:
        while True:
            message = await _next(receive, patience_s)
            body = message.get("body", b"")
            left_bytes -= len(body)
            parser.write(body)
            data = parts.taken()
            if left_bytes < 0 or upload.size_bytes + len(data) > limit_bytes:
                raise RequestTooLarge(f"a file has at most {limit_bytes} bytes here; split it, or raise batches.file_limit_bytes")
            if data:
                await asyncio.to_thread(upload.write, data)
            if not message.get("more_body", False):
                break
        parser.finalize()
    except FormParserError as exc:
        raise InvalidRequest("the form is no valid multipart/form-data") from exc
    if not parts.ended or not parts.form.has_file:
        raise InvalidRequest("the form has no whole field 'file'", param="file")
    return parts.form


async def _next(receive: Receive, patience_s: float) -> Any:
    try:
        async with asyncio.timeout(patience_s):
            message = await receive()
    except TimeoutError as exc:
        raise RequestTimeout(f"nothing of the file came for {patience_s:g} s; send it again") from exc
    if message["type"] == "http.disconnect":
        raise ClientLeft
    return message


class _Parts:
    """What the parser tells, part by part."""

    def __init__(self) -> None:
        self.form = Form()
        self.ended = False
        self._content = bytearray()
        self._value = bytearray()
        self._name = ""
        self._is_file = False
        self._header: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self._disposition = b""

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._end_all,
        }

    def taken(self) -> bytes:
        """What came of the file's content since it was last asked."""
        data = bytes(self._content)
        self._content.clear()
        return data

    def _begin(self) -> None:
        self._disposition = b""
        self._value.clear()

    def _end_header(self) -> None:
        name, value = self._header
        if bytes(name).lower() == b"content-disposition":
            self._disposition = bytes(value)
        self._header = (bytearray(), bytearray())

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name")
        if name is None:
            raise InvalidRequest("a part of the form has no name")
        self._name = name.decode("utf-8", "replace")
        self._is_file = self._name == "file"
        if self._is_file and self.form.has_file:
            raise InvalidRequest("the form has more than one field 'file'", param="file")
        if self._is_file:
            self.form.has_file = True
            given = options.get(b"filename", b"").decode("utf-8", "replace").replace("\\", "/").rpartition("/")[2]
            printable = "".join(letter for letter in given if letter.isprintable())
            self.form.filename = printable[:_NAME_LIMIT_CHARS] or "file"

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._content += data[start:end]
            return
        self._value += data[start:end]
        if len(self._value) > _FIELD_LIMIT_BYTES:
            raise InvalidRequest(f"a field of the form has more than {_FIELD_LIMIT_BYTES} bytes")

    def _end(self) -> None:
        if not self._is_file:
            if len(self.form.fields) == _FIELDS:
                raise InvalidRequest(f"the form has more than {_FIELDS} fields")
            self.form.fields[self._name] = self._value.decode("utf-8", "replace")

    def _end_all(self) -> None:
        self.ended = True
