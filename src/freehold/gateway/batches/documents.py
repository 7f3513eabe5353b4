"""Files and batches as OpenAI's API writes them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from freehold.core.batches import Batch, BatchStatus, StoredFile
from freehold.core.deferral import Saving

_MOMENTS: Final = tuple(status for status in BatchStatus if status is not BatchStatus.VALIDATING)


def file_document(file: StoredFile) -> dict[str, Any]:
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.size_bytes,
        "created_at": file.created_at_s,
        "expires_at": file.expires_at_s,
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "processed",
        "status_details": None,
    }


def batch_document(batch: Batch, plan: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """`freehold` holds what OpenAI has no words for: when it is to run, and what waiting spared."""
    errors = [{"code": error.code, "message": error.message, "param": error.param, "line": error.line} for error in batch.errors]
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.endpoint,
        "model": batch.model,
        "errors": {"object": "list", "data": errors} if errors else None,
        "input_file_id": batch.input_file_id,
        "completion_window": batch.completion_window,
        "status": batch.status.value,
        "output_file_id": batch.output_file_id,
        "error_file_id": batch.error_file_id,
        "created_at": batch.created_at_s,
        "expires_at": batch.expires_at_s,
        **{f"{status.value}_at": batch.moments.get(status.value) for status in _MOMENTS},
        "request_counts": {"total": batch.total, "completed": batch.completed, "failed": batch.failed},
        "usage": {
            "input_tokens": batch.input_tokens,
            "input_tokens_details": {"cached_tokens": batch.cached_tokens},
            "output_tokens": batch.output_tokens,
            "output_tokens_details": {"reasoning_tokens": batch.reasoning_tokens},
            "total_tokens": batch.input_tokens + batch.output_tokens,
        },
        "metadata": batch.metadata,
        "freehold": {**_waiting(batch), "plan": plan, "saving": saving_document(batch.saving)},
    }


def _waiting(batch: Batch) -> dict[str, Any]:
    return {"deferrable": batch.is_deferrable, "deadline": int(batch.deadline_s), "run_seconds": round(batch.run_s, 3)}


def saving_document(saving: Saving) -> dict[str, Any]:
    """Against running at once. What is known of no exchange is null, not 0."""
    energy, carbon, price = saving.energy_known > 0, saving.carbon_known > 0, saving.price_known > 0
    return {
        "exchanges": saving.exchanges,
        "late": saving.late,
        "energy_known": saving.energy_known,
        "energy_j": saving.energy_j if energy else None,
        "carbon_known": saving.carbon_known,
        "carbon_at_once_g": saving.carbon_at_once_g if carbon else None,
        "carbon_spared_g": saving.carbon_spared_g if carbon else None,
        "price_known": saving.price_known,
        "price_at_once": saving.price_at_once if price else None,
        "price_spared": saving.price_spared if price else None,
    }


def list_document(documents: Sequence[Mapping[str, Any]], *, has_more: bool) -> dict[str, Any]:
    return {
        "object": "list",
        "data": documents,
        "first_id": documents[0]["id"] if documents else None,
        "last_id": documents[-1]["id"] if documents else None,
        "has_more": has_more,
    }


def answer_line(line_id: str, custom_id: str, *, status: int, request_id: str | None, body: bytes) -> bytes:
    """One line of an output file. `body` goes in as it is, but for line ends, which JSON has only between values."""
    whole = orjson.Fragment(body.replace(b"\r", b"").replace(b"\n", b""))
    response = {"status_code": status, "request_id": request_id, "body": whole}
    return orjson.dumps({"id": line_id, "custom_id": custom_id, "response": response, "error": None}) + b"\n"


def error_line(line_id: str, custom_id: str | None, code: str, message: str) -> bytes:
    """Of a line that came to no answer over HTTP."""
    error = {"code": code, "message": message}
    return orjson.dumps({"id": line_id, "custom_id": custom_id, "response": None, "error": error}) + b"\n"
