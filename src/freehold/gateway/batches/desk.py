"""OpenAI's files and batches over HTTP. What runs them is `runner`.

POST   /v1/files                    multipart: file, purpose=batch, expires_after[anchor], expires_after[seconds]
GET    /v1/files, /v1/files/{id}, /v1/files/{id}/content
DELETE /v1/files/{id}
POST   /v1/batches                  input_file_id, endpoint, completion_window, metadata?, output_expires_after?
GET    /v1/batches, /v1/batches/{id}
POST   /v1/batches/{id}/cancel

Each belongs to its key: to others, admins too, it does not exist.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, Final, Literal

import msgspec
import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from freehold.core.batches import Batch, BatchStatus, StoredFile, may_become
from freehold.core.errors import InvalidRequest, LimitReached, RequestTooLarge
from freehold.core.exchange import KeyId, Principal
from freehold.core.ports import BatchStore, KeyRing
from freehold.gateway.access import authenticate, read_headers
from freehold.gateway.batches.config import BatchesConfig
from freehold.gateway.batches.documents import batch_document, file_document, list_document
from freehold.gateway.batches.turns import Turns
from freehold.gateway.batches.upload import Form, read_form
from freehold.gateway.batches.words import DEFERRABLE, Words, read_deadline, said_in_headers, taken_out, together
from freehold.gateway.body import parse, read_body
from freehold.gateway.placement import LABELS_HEADER

ENDPOINTS: Final = ("/v1/chat/completions", "/v1/responses", "/v1/embeddings")
_DAY_S: Final = 86_400
_BODY_LIMIT_BYTES: Final = 64 << 10
_BODY_TIMEOUT_S: Final = 30.0
_FILES_LISTED: Final = 10_000
_BATCHES_LISTED: Final = 100

_Ttl = Annotated[int, msgspec.Meta(ge=3600, le=30 * _DAY_S)]
_Label = Annotated[str, msgspec.Meta(max_length=64)]
_Value = Annotated[str, msgspec.Meta(max_length=512)]


class _ExpiresAfter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    anchor: Literal["created_at"]
    seconds: _Ttl


class _Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What creates a batch."""

    input_file_id: Annotated[str, msgspec.Meta(max_length=100)]
    endpoint: str
    completion_window: str
    metadata: Annotated[dict[_Label, _Value], msgspec.Meta(max_length=16)] | None = None
    output_expires_after: _ExpiresAfter | None = None


class BatchDesk:
    def __init__(
        self,
        store: BatchStore,
        keys: KeyRing,
        config: BatchesConfig,
        turns: Turns,
        *,
        new_id: Callable[[], str],
        unix_s: Callable[[], float],
        idle_timeout_s: float,
    ) -> None:
        self._store = store
        self._keys = keys
        self._config = config
        self._turns = turns
        self._new_id = new_id
        self._unix_s = unix_s
        self._idle_timeout_s = idle_timeout_s
        self._coming_bytes = 0  # set aside for uploads under way

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/v1/files", self.upload, methods=["POST"]),
            Route("/v1/files", self.files, methods=["GET"]),
            Route("/v1/files/{id}", self.file, methods=["GET"]),
            Route("/v1/files/{id}", self.delete, methods=["DELETE"]),
            Route("/v1/files/{id}/content", self.content, methods=["GET"]),
            Route("/v1/batches", self.create, methods=["POST"]),
            Route("/v1/batches", self.batches, methods=["GET"]),
            Route("/v1/batches/{id}", self.batch, methods=["GET"]),
            Route("/v1/batches/{id}/cancel", self.cancel, methods=["POST"]),
        ]

    # ---- files ----------------------------------------------------------------------------------------------

    async def upload(self, request: Request) -> Response:
        who = self._who(request)
        stored_bytes = await asyncio.to_thread(self._store.stored_bytes)
        left_bytes = self._config.storage_limit_bytes - stored_bytes - self._coming_bytes
        if left_bytes <= 0:
            raise RequestTooLarge(
                f"this node's files take up all of {self._config.storage_limit_bytes} bytes; delete some, or raise "
                "batches.storage_limit_bytes",
                code="storage_full",
            )
        limit_bytes = min(self._config.file_limit_bytes, left_bytes)
        self._coming_bytes += limit_bytes
        try:
            return _json(file_document(await self._kept(request, who, limit_bytes)))
        finally:
            self._coming_bytes -= limit_bytes

    async def _kept(self, request: Request, who: Principal, limit_bytes: int) -> StoredFile:
        upload = await asyncio.to_thread(self._store.begin_upload)
        try:
            form = await read_form(
                request.receive,
                request.headers.get("content-type", "").encode("latin-1"),
                upload,
                limit_bytes=limit_bytes,
                patience_s=self._idle_timeout_s,
            )
            now_s, ttl_s = int(self._unix_s()), self._ttl_s(form)
            return await asyncio.to_thread(
                upload.finish,
                key_id=who.key_id,
                purpose="batch",
                filename=form.filename,
                created_at_s=now_s,
                expires_at_s=now_s + ttl_s,
            )
        except BaseException:
            upload.abort()
            raise

    def _ttl_s(self, form: Form) -> int:
        """How long an uploaded file is kept, once its fields make sense."""
        purpose = form.fields.get("purpose", "")
        if purpose != "batch":
            raise InvalidRequest("purpose must be 'batch': this node keeps files for batches alone", param="purpose")
        seconds, anchor = form.fields.get("expires_after[seconds]"), form.fields.get("expires_after[anchor]", "created_at")
        if seconds is None:
            return self._config.keep_days * _DAY_S
        try:
            wanted = msgspec.convert({"anchor": anchor, "seconds": int(seconds)}, _ExpiresAfter)
        except (msgspec.ValidationError, ValueError) as exc:
            raise InvalidRequest("expires_after is created_at and 3600 to 2592000 seconds", param="expires_after") from exc
        return min(wanted.seconds, self._config.keep_days * _DAY_S)

    async def files(self, request: Request) -> Response:
        who = self._who(request)
        order = request.query_params.get("order", "desc")
        if order not in ("asc", "desc"):
            raise InvalidRequest("order is 'asc' or 'desc'", param="order")
        found, has_more = await asyncio.to_thread(
            self._store.files,
            who.key_id,
            purpose=request.query_params.get("purpose"),
            after=request.query_params.get("after"),
            limit=_limit(request, _FILES_LISTED, _FILES_LISTED),
            newest_first=order == "desc",
        )
        return _json(list_document([file_document(file) for file in found], has_more=has_more))

    async def file(self, request: Request) -> Response:
        return _json(file_document(await self._file(request)))

    async def content(self, request: Request) -> Response:
        file = await self._file(request)
        pieces = self._store.pieces(file)
        first = await asyncio.to_thread(next, pieces, b"")  # what cannot be read is an error, not a body that breaks off
        headers = {"cache-control": "no-store", "content-length": str(file.size_bytes)}
        return StreamingResponse(_streamed(first, pieces), headers=headers, media_type="application/octet-stream")

    async def delete(self, request: Request) -> Response:
        who, file_id = self._who(request), request.path_params["id"]
        await asyncio.to_thread(self._store.delete_file, file_id, who.key_id)
        return _json({"id": file_id, "object": "file", "deleted": True})

    async def _file(self, request: Request) -> StoredFile:
        return await asyncio.to_thread(self._store.file, request.path_params["id"], self._who(request).key_id)

    # ---- batches --------------------------------------------------------------------------------------------

    async def create(self, request: Request) -> Response:
        who = self._who(request)
        headers = read_headers(request.scope["headers"])
        announced = headers.get(b"content-length", b"")
        body = await read_body(
            request.receive,
            announced_bytes=int(announced) if announced.isdigit() else None,
            limit_bytes=_BODY_LIMIT_BYTES,
            timeout_s=_BODY_TIMEOUT_S,
        )
        said, document = taken_out(parse(body, depth=8, values=256))
        order = _order(document)
        labels = headers.get(LABELS_HEADER, b"").decode("latin-1")
        batch = self._batch(who.key_id, order, together(said_in_headers(headers), said), labels)
        file = await asyncio.to_thread(self._store.file, order.input_file_id, who.key_id)
        if file.purpose != "batch":
            raise InvalidRequest("input_file_id is an output; upload the lines with purpose=batch", param="input_file_id")
        if len(await asyncio.to_thread(self._store.unfinished, who.key_id)) >= self._config.unfinished_limit:
            words = f"this key has {self._config.unfinished_limit} batches that are not over; wait for one, or cancel it"
            raise LimitReached(words, code="too_many_batches")
        await asyncio.to_thread(self._store.create, batch)
        self._turns.wake()
        return _json(await self._document(batch))

    def _batch(self, key_id: KeyId, order: _Order, words: Words, labels: str) -> Batch:
        """Raises InvalidRequest."""
        now_s = self._unix_s()
        if order.endpoint not in ENDPOINTS:
            raise InvalidRequest(f"endpoint is one of {', '.join(ENDPOINTS)}", param="endpoint")
        expires_at_s = int(now_s) + self._window_s(order.completion_window)
        deadline_s = read_deadline(words.deadline, now_s) if words.deadline else float(expires_at_s)
        return Batch(
            id=self._new_id(),
            key_id=key_id,
            endpoint=order.endpoint,
            input_file_id=order.input_file_id,
            completion_window=order.completion_window,
            created_at_s=int(now_s),
            expires_at_s=expires_at_s,
            deadline_s=min(deadline_s, float(expires_at_s)),
            is_deferrable=words.priority in (DEFERRABLE, ""),
            labels=labels,
            metadata=order.metadata,
            output_ttl_s=order.output_expires_after.seconds if order.output_expires_after else None,
        )

    def _window_s(self, window: str) -> int:
        """`24h` is OpenAI's only one; others are ours."""
        number, hours = window[:-1], {"h": 1, "d": 24}.get(window[-1:])
        longest_h = self._config.longest_window_days * 24
        if hours is None or not (number.isascii() and number.isdigit()) or not 0 < int(number[:6]) * hours <= longest_h:
            raise InvalidRequest(f"completion_window is '24h', or from '1h' to '{longest_h}h'", param="completion_window")
        return int(number) * hours * 3600

    async def batches(self, request: Request) -> Response:
        who = self._who(request)
        found, has_more = await asyncio.to_thread(
            self._store.batches, who.key_id, after=request.query_params.get("after"), limit=_limit(request, 20, _BATCHES_LISTED)
        )
        return _json(list_document([await self._document(batch) for batch in found], has_more=has_more))

    async def batch(self, request: Request) -> Response:
        return _json(await self._document(await self._own(request)))

    async def cancel(self, request: Request) -> Response:
        batch = await self._own(request)
        now_s = int(self._unix_s())
        batch = await asyncio.to_thread(self._store.change, batch.id, lambda batch: cancelling(batch, now_s))
        self._turns.wake()
        return _json(await self._document(batch))

    async def _own(self, request: Request) -> Batch:
        return await asyncio.to_thread(self._store.batch, request.path_params["id"], self._who(request).key_id)

    async def _document(self, batch: Batch) -> dict[str, Any]:
        saving = batch.saving if batch.is_over else await asyncio.to_thread(self._store.saving, batch.id)
        return batch_document(replace(batch, saving=saving), self._planned(batch))

    def _planned(self, batch: Batch) -> dict[str, Any] | None:
        """What the plan says of it at this moment; None of one that it does not hold."""
        plan = self._turns.current()
        starts_s = plan.starts.get(batch.id)
        if starts_s is None:
            return None
        state = "late" if batch.id in plan.late else "runs" if batch.id in plan.now else "waits"
        return {"state": state, "next_run_at": int(starts_s)}

    def _who(self, request: Request) -> Principal:
        return authenticate(read_headers(request.scope["headers"]), self._keys)


def cancelling(batch: Batch, now_s: int) -> Batch:
    """The batch on its way to being cancelled. Raises InvalidRequest where it is over."""
    if batch.status is BatchStatus.CANCELLING:
        return batch
    if not may_become(batch.status, BatchStatus.CANCELLING):
        raise InvalidRequest(f"this batch is {batch.status.value}: there is nothing left to cancel", code="batch_not_cancellable")
    moments = {**batch.moments, BatchStatus.CANCELLING.value: now_s}
    return replace(batch, status=BatchStatus.CANCELLING, moments=moments)


def _order(document: Mapping[str, Any]) -> _Order:
    try:
        return msgspec.convert(document, _Order)
    except msgspec.ValidationError as exc:
        raise InvalidRequest(f"this makes no batch: {exc}") from exc


def _limit(request: Request, default: int, most: int) -> int:
    written = request.query_params.get("limit", str(default))
    if not (written.isascii() and written.isdigit() and len(written) < 8 and 1 <= int(written) <= most):
        raise InvalidRequest(f"limit is 1 to {most}", param="limit")
    return int(written)


async def _streamed(first: bytes, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    piece = first
    while piece:
        yield piece
        piece = await asyncio.to_thread(next, pieces, b"")


def _json(document: object) -> Response:
    return Response(orjson.dumps(document), headers={"content-type": "application/json", "cache-control": "no-store"})
