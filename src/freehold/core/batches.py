"""Batches of requests, and the files that their lines and answers are in. No content: a `BatchStore` reads that."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal

from freehold.core.deferral import NOTHING_SAVED, Saving
from freehold.core.exchange import KeyId

Purpose = Literal["batch", "batch_output"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """It belongs to the key that uploaded it, or whose batch wrote it. Times are Unix seconds."""

    id: str  # "file-" and 32 characters
    key_id: KeyId
    purpose: Purpose
    filename: str = field(repr=False)  # the client's words
    size_bytes: int  # of the content, as it was sent
    created_at_s: int
    expires_at_s: int


class BatchStatus(StrEnum):
    """OpenAI's words. Each is also the name of a moment: `in_progress_at`."""

    VALIDATING = "validating"
    FAILED = "failed"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    EXPIRED = "expired"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


ENDED: Final = frozenset({BatchStatus.FAILED, BatchStatus.COMPLETED, BatchStatus.EXPIRED, BatchStatus.CANCELLED})
_NEXT: Final[Mapping[BatchStatus, frozenset[BatchStatus]]] = {
    BatchStatus.VALIDATING: frozenset({BatchStatus.FAILED, BatchStatus.IN_PROGRESS, BatchStatus.CANCELLING}),
    BatchStatus.IN_PROGRESS: frozenset({BatchStatus.FINALIZING, BatchStatus.EXPIRED, BatchStatus.CANCELLING}),
    BatchStatus.CANCELLING: frozenset({BatchStatus.CANCELLED}),
    BatchStatus.FINALIZING: frozenset({BatchStatus.COMPLETED}),
}


def may_become(now: BatchStatus, then: BatchStatus) -> bool:
    return then in _NEXT.get(now, frozenset())


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchError:
    """Why a batch was not begun. `line` counts from 1."""

    code: str
    message: str
    param: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """`expires_at_s` ends it, whatever is done; `deadline_s`, no later, is what the plan of deferred work keeps to."""

    id: str  # "batch_" and 32 characters
    key_id: KeyId
    endpoint: str
    input_file_id: str
    completion_window: str
    created_at_s: int
    expires_at_s: int
    deadline_s: float
    is_deferrable: bool
    labels: str = ""  # the header of labels that came with it, for each of its lines
    metadata: Mapping[str, str] | None = field(default=None, repr=False)
    output_ttl_s: int | None = None  # None: the node's own
    status: BatchStatus = BatchStatus.VALIDATING
    moments: Mapping[str, int] = field(default_factory=dict)  # by the status that began then
    errors: tuple[BatchError, ...] = ()
    output_file_id: str | None = None  # once it is over and there are answers; so the errors'
    error_file_id: str | None = None
    model: str | None = None  # where all lines ask the same
    total: int = 0
    completed: int = 0
    failed: int = 0
    units: float = 0.0  # tokens that its answers may have, and of its prompts a part: what its time goes with
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0  # of the input, and reasoning of the output: as far as answers tell
    reasoning_tokens: int = 0
    run_s: float = 0.0  # how long lines of it were running
    saving: Saving = NOTHING_SAVED  # once it is over

    @property
    def is_over(self) -> bool:
        return self.status in ENDED

    @property
    def left(self) -> int:
        return self.total - self.completed - self.failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One request of a batch: where it lies in the input file, and how often it was begun."""

    batch_id: str
    n: int  # from 0
    at: int  # bytes
    size_bytes: int
    attempts: int = 0
