"""What rooms ask of each other. `app.py` hands the makers to the users; no room imports another."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from freehold.core.approvals import Question
from freehold.core.batches import Batch, BatchStatus, Line, Purpose, StoredFile
from freehold.core.deferral import Saving
from freehold.core.events import Event, Held, Usage, Worked
from freehold.core.exchange import Exchange, ExchangeId, KeyId, Principal
from freehold.core.findings import Alert, Context, Direction, Finding
from freehold.core.ledger import Draft, LedgerEntry
from freehold.core.measurement import EnergyTotals, Footprint, Measurement, Metered
from freehold.core.receipts import Claims, Receipt
from freehold.core.stage import Judge, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamStatus:
    """`detail` says in words what is going on and what to do: it ends in error bodies, and without folders in `/readyz`. `code`
    is that of the error that whoever asks gets, where no waiting mends it."""

    ready: bool
    detail: str
    code: str | None = None


class Upstream(Protocol):
    """Answers exchanges: our engine, or a remote provider."""

    @property
    def name(self) -> str: ...

    @property
    def models(self) -> Sequence[str]:
        """The model names it answers to."""

    def status(self) -> UpstreamStatus: ...

    def send(self, exchange: Exchange) -> AsyncIterator[list[Event]]:
        """Yield MessageStart, deltas, Usage, and one MessageEnd a choice, in that order: each time all that came at once.

        Closing the iterator cancels the work. Raises UpstreamError before or between events, InvalidRequest for what it can't do.
        """

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class PassShare:
    """One request's part of a pass. `work` is in any one unit: what of the pass's joules is its, by what it made the pass do."""

    request: int
    work: float
    tokens: int  # computed: of its prompt, its answer, and drafts


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineLoad:
    """How busy our engine is. Rates are of the last second; all is zero while it does not run."""

    running: int  # requests being computed
    waiting: int
    pages: int  # of the KV cache
    free_pages: int
    input_tokens_per_s: float
    output_tokens_per_s: float
    cached_tokens: int = 0  # since the engine's start: prompt tokens that were there already
    drafted_tokens: int = 0
    accepted_tokens: int = 0  # of them, those that were right
    draft_model_s: float = 0.0  # what a draft model has computed
    token_s: float | None = None  # of one token of one answer, as measured of late
    predicted_token_s: float | None = None  # as it was told before the model was loaded
    energy: EnergyTotals | None = None  # since the engine's start
    model_id: str | None = None  # of what it serves; None while it does not run
    build: str | None = None


EngineLoadProbe = Callable[[], EngineLoad]


class ReceiptSigner(Protocol):
    def sign(self, claims: Claims, previous: str | None) -> Receipt:
        """Sign `claims` with the digest of the receipt before it; None for the first."""


class Cipher(Protocol):
    def encrypt(self, content: bytes, exchange_id: ExchangeId) -> bytes:
        """So that nobody without the node's key reads it, or passes it off as another exchange's."""


class Recorder(Protocol):
    """Makes the record durable. One writer decides the order of receipts."""

    async def record(self, draft: Draft) -> Receipt:
        """Sign and store both, or raise RecordNotWritten and store neither."""

    def status(self) -> UpstreamStatus:
        """Whether a record could be written now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredReceipt:
    receipt: Receipt
    salt: bytes
    key_id: KeyId


class LedgerReader(Protocol):
    """Reads the record. Thread-safe; blocks on the disk, so call it off the event loop."""

    def after(self, seq: int, limit: int) -> list[tuple[int, LedgerEntry]]:
        """Entries numbered above `seq`, oldest first."""

    def recent(self, limit: int) -> list[tuple[int, LedgerEntry]]:
        """The last entries, newest first."""

    def receipt(self, exchange_id: ExchangeId) -> StoredReceipt | None: ...


class KeyRing(Protocol):
    def authenticate(self, secret: str) -> Principal:
        """Raises InvalidKey. What an operator changes or revokes takes effect at once."""


class KeyBook(Protocol):
    def by_id(self, key_id: KeyId) -> Principal:
        """Whose key this is, for work that goes on after the request that asked for it. Raises InvalidKey as a `KeyRing`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One exchange as the meter sees it. `worked` is None for work we did not see, a remote provider's."""

    worked: Worked | None
    is_remote: bool  # whether a provider answered
    model: str
    usage: Usage | None
    start_s: float  # Unix
    end_s: float


class Meter(Protocol):
    def account(self, use: Use) -> tuple[Measurement, Footprint]:
        """Energy of one exchange, and what it came to. Reads nothing from disk or network; what is unknown is None."""


class StepMeter(Protocol):
    """Shares out the energy that our engine draws among the requests of its passes. One thread computes; any may `tick`."""

    def begin_pass(self) -> None: ...

    def end_pass(self, shares: Sequence[PassShare], spent_s: float, threads: int) -> None:
        """A pass took `spent_s` of wall time on so many threads."""

    def so_far(self, request: int) -> Metered | None:
        """What a request took up to here: should it leave, this is what its record says."""

    def settle(self, request: int) -> Metered | None:
        """All that a request gets, for good: nothing is given to it after this."""

    def forget(self, request: int) -> None:
        """A request that ended without a last word: what it took beyond the last `so_far` is nobody's."""

    def loaded(self, on_card: bool) -> None:
        """All until now was loading the model, which will be computed there."""

    def tick(self) -> None:
        """Once a second, whether anything is computed or not."""

    def totals(self) -> EnergyTotals | None: ...

    def close(self) -> None: ...


class GuardSession(Protocol):
    """The guard for one exchange, under the policy that was in force when it was opened."""

    @property
    def policy_digest(self) -> str: ...

    def stage(self, direction: Direction) -> Stage: ...

    def judge(self, *, history_is_known: bool = True) -> Judge:
        """Holds each tool call of the answer until it is whole, and judges what it would do: the last stage, after the restorer.

        Gives `Held` for a call that a person is asked about and `Refused` for one that is stopped. `history_is_known` says
        whether the request carried the whole conversation: in one that a provider keeps, anybody may have said anything.
        """

    def restorer(self, *, in_json: bool = False) -> Stage | None:
        """Turns the tokens this exchange's request got back into their values, after the response's stage; None without any.

        `in_json`: the answer's text was asked for as JSON, so that values need escapes in it.
        """


class Guard(Protocol):
    def open(self, context: Context) -> GuardSession: ...

    def status(self) -> UpstreamStatus:
        """Whether the policy file in place is the one in force; if not, `detail` says what is wrong with it."""


class Approvals(Protocol):
    """Asks people about tool calls that policy holds."""

    async def ask(self, held: Held, principal: Principal, exchange_id: ExchangeId) -> bool:
        """Whether a person lets the call go on. Nobody's answer in `held.timeout_s` is no; cancelling withdraws the question.

        Question and answer are in the audit log before this returns: raises RecordNotWritten.
        """


class HeldQuestions(Protocol):
    """The calls that wait for a person. Used from the event loop's thread alone."""

    def waiting(self) -> Sequence[Question]:
        """Oldest first."""

    def decide(self, question_id: str, *, approved: bool, by: Principal, note: str = "") -> Question:
        """Raises NotFound, a ClientError for whoever comes second, and NotAllowed for the key whose call it is."""


class Permit(Protocol):
    """One exchange's place among its key's and team's limits."""

    @property
    def reserved_microusd(self) -> int | None:
        """What is held of a money budget while it waits or runs; None where no budget of money applies."""

    def wait_s(self) -> float:
        """Seconds until limits would let an exchange begin that waited; 0 is now, and of one that has begun."""

    def begin(self) -> None:
        """The turn of an exchange that waited has come. Raises LimitReached. Changes nothing of one that has begun."""

    def settle(self, entry: LedgerEntry | None) -> None:
        """Give the place back and count what was used; None where nothing came of the exchange. Called once."""


class Admission(Protocol):
    def admit(self, principal: Principal, exchange: Exchange, *, waits: bool = False) -> Permit:
        """Raises NotAllowed for a model the key may not use, and LimitReached for a rate or budget that is used up.

        One that `waits` for its turn is under way from `Permit.begin` on; before that too many others may wait: LimitReached.
        """


class Prices(Protocol):
    def cost_microusd(self, model: str, upstream: str | None, usage: Usage | None) -> int | None:
        """What an exchange cost, in millionths of a US dollar, rounded up. None where a price or a count is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalPoint:
    """What electricity is like at this site from `start_s` up to `end_s`, Unix seconds. None is unknown, never 0."""

    start_s: float
    end_s: float
    g_per_kwh: float | None = None  # grams of CO2 equivalent, as the operator's source counts them
    price_per_kwh: float | None = None  # in the operator's currency; may be below 0
    surplus_w: float | None = None  # what the site makes and does not use


class Signal(Protocol):
    """When electricity is clean, cheap or left over: what was and, where it is foretold, what will be."""

    def between(self, start_s: float, end_s: float) -> Sequence[SignalPoint]:
        """Points in order that do not overlap, cut to [start_s, end_s). Where nothing is known there is no point.

        Thread-safe, and answers from memory.
        """


class Upload(Protocol):
    """A file that is coming in: nobody's until it is finished. Blocks on the disk."""

    @property
    def size_bytes(self) -> int: ...

    def write(self, data: bytes) -> None: ...

    def finish(self, *, key_id: KeyId, purpose: Purpose, filename: str, created_at_s: int, expires_at_s: int) -> StoredFile: ...

    def abort(self) -> None: ...


class BatchStore(Protocol):
    """Keeps batches, their lines and their files, durably. Thread-safe; blocks on the disk, so call it off the event loop.

    Raises NotFound for what is not there or is another key's, and DeviceError where the disk fails.
    """

    def begin_upload(self) -> Upload: ...

    def file(self, file_id: str, key_id: KeyId) -> StoredFile: ...

    def files(
        self, key_id: KeyId, *, purpose: str | None, after: str | None, limit: int, newest_first: bool = True
    ) -> tuple[list[StoredFile], bool]:
        """Up to `limit`, and whether there are more."""

    def pieces(self, file: StoredFile) -> Iterator[bytes]:
        """The content in order."""

    def read(self, file_id: str, at: int, size_bytes: int) -> bytes:
        """A part of an uploaded file."""

    def delete_file(self, file_id: str, key_id: KeyId) -> None:
        """Raises InvalidRequest while a batch still reads it."""

    def stored_bytes(self) -> int: ...

    def purge_files(self, now_s: float) -> int:
        """Remove what has expired and no batch reads. Gives how many went."""

    def purge_batches(self, before_s: float) -> int:
        """Forget batches that were over before then."""

    def remove_orphans(self, now_s: float) -> None:
        """Remove what broken uploads left."""

    def claim(self) -> bool:
        """Whether this process may run batches: of several nodes with one home one may, until it ends."""

    def create(self, batch: Batch) -> Batch: ...

    def batch(self, batch_id: str, key_id: KeyId | None = None) -> Batch: ...

    def batches(self, key_id: KeyId | None, *, after: str | None, limit: int) -> tuple[list[Batch], bool]:
        """The newest first, and whether there are more."""

    def unfinished(self, key_id: KeyId | None = None) -> list[Batch]:
        """Those not over, oldest first."""

    def change(self, batch_id: str, change: Callable[[Batch], Batch]) -> Batch:
        """Read, change, write, as one. What `change` raises leaves all as it was."""

    def add_lines(self, batch_id: str, lines: Iterable[tuple[int, int]], change: Callable[[Batch], Batch]) -> Batch:
        """The batch's lines, as (at, bytes) in its input file, together with the change that they bring."""

    def take(self, batch_id: str, limit: int) -> list[Line]:
        """The next lines that wait; from here on they are running."""

    def give_back(self, line: Line, *, counts: bool) -> None:
        """It was not answered and waits again. An attempt that does not count was not ended by the line itself."""

    def answer(
        self, lines: Sequence[Line], kind: Literal["output", "error"], answer: bytes, change: Callable[[Batch], Batch]
    ) -> bool:
        """Write what one batch's lines came to, once. False, and nothing done, where one has an answer or the batch is over."""

    def left(self, batch_id: str) -> Iterator[Line]:
        """Lines without an answer, in order."""

    def finish(self, batch_id: str, status: BatchStatus, at_s: int, *, ttl_s: int) -> Batch:
        """It is over: its outputs become files of its key."""

    def saving(self, batch_id: str) -> Saving:
        """What waiting spared, out of the ledger's rows of the batch's exchanges."""

    def recover(self) -> int:
        """Lines that were running when the node ended wait again. Gives how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """Why an upstream may not have an exchange: codes such as "jurisdiction_not_allowed"."""

    upstream: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where an exchange may be answered. `origins` says of each label where it came from: "key", "caller", "detector", "rule"."""

    labels: frozenset[str]
    origins: tuple[tuple[str, str], ...]
    allowed: tuple[str, ...]  # upstreams
    rejected: tuple[Rejection, ...]
    policy_digest: str
    at_ns: int


class Residency(Protocol):
    def place(
        self, context: Context, claimed: Sequence[str], findings: Sequence[Finding], upstreams: Sequence[str], at_ns: int
    ) -> Placement:
        """`claimed` are the caller's labels: they may raise, never lower. Raises InvalidRequest for unknown ones."""


class AuditLog(Protocol):
    async def append(self, kind: str, facts: Mapping[str, object], exchange_id: ExchangeId | None = None) -> None:
        """Make one decision durable in the tamper-evident log. No content in `facts`. Raises RecordNotWritten."""


class LogFiles(Protocol):
    """The audit log as static files (c2sp.org/tlog-tiles), for who audits it. No content is in them."""

    def file(self, path: str) -> bytes | None:
        """The file of this path as of the last signed tree head; None where there is none. Blocks on the disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessAnswer:
    status: int  # of HTTP
    body: str
    media_type: str


class Witness(Protocol):
    """Cosigns the tree heads of other nodes' logs (c2sp.org/tlog-witness)."""

    def add_checkpoint(self, body: bytes) -> WitnessAnswer:
        """What becomes of a submission: durable before it returns. Blocks on the disk; raises DeviceError."""


class LogState(Protocol):
    """How it stands with the log's tree and its witnesses."""

    def size(self) -> int | None:
        """Rows that the last signed tree head is over; None before the first."""

    def status(self) -> Mapping[str, UpstreamStatus]:
        """Of "log", and of "witness NAME" for each witness."""


class Alarm(Protocol):
    def raise_alert(self, alert: Alert) -> None:
        """Tell the operators. Never blocks, never raises."""


# Seconds since an arbitrary start, and Unix time in nanoseconds. Injected so that tests own time.
MonotonicClock = Callable[[], float]
UnixClock = Callable[[], int]
