"""Runs batches, from the check of their lines to their last answer, and again after the node ended at whatever moment.

Everything that must survive is in the store; here is only what runs now. Each round looks at the batches that are not over,
moves each one step, and begins as many lines as there is room for. A line that was running when the node ended runs again; one
that ends the node again and again is told so instead. Belongs to the event loop; the store works in threads.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Final

from freehold.core.batches import Batch, BatchError, BatchStatus, Line, may_become
from freehold.core.deferral import Turn
from freehold.core.errors import DeviceError, FreeholdError, InvalidKey, InvalidRequest, NotFound
from freehold.core.ports import BatchStore, KeyBook
from freehold.gateway import log
from freehold.gateway.batches.asking import Answered, Tokens, ask, tokens_of
from freehold.gateway.batches.config import BatchesConfig
from freehold.gateway.batches.documents import answer_line, error_line
from freehold.gateway.batches.lines import Checked, LineReader
from freehold.gateway.batches.schedule import Job
from freehold.gateway.batches.turns import Place, Turns
from freehold.gateway.services import Services

LOOK_S: Final = 5.0  # another process may have cancelled a batch
PURGE_EVERY_S: Final = 3600.0
FIRST_PAUSE_S: Final = 1.0  # of a batch whose line was refused for now; doubled up to
LONGEST_PAUSE_S: Final = 60.0
_MEASURED_LINES: Final = 5  # answered before a batch's own speed counts
_TOLD_LINES: Final = 500  # told together when a batch ends before them
_DAY_S: Final = 86_400

CANCELLED, EXPIRED, INTERRUPTED = "batch_cancelled", "batch_expired", "interrupted"
_WORDS: Final = {
    CANCELLED: "the batch was cancelled before this request ran",
    EXPIRED: "the batch's completion window ended before this request ran",
    INTERRUPTED: "the node ended each time that this request ran, or its upstream failed; it was not tried again",
}


@dataclass(slots=True)
class _Running:
    """What runs of one batch now."""

    tasks: dict[int, "asyncio.Task[None]"] = field(default_factory=dict)  # by line
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    run_s: float = 0.0
    marked_s: float | None = None  # since when something runs
    not_before_s: float = 0.0
    pause_s: float = FIRST_PAUSE_S
    checking: "asyncio.Task[None] | None" = None

    def mark(self, now_s: float) -> float:
        """How long lines of it were running, up to now."""
        if self.marked_s is not None:
            self.run_s += now_s - self.marked_s
        self.marked_s = now_s if self.tasks else None
        return self.run_s


class BatchRunner:
    def __init__(
        self,
        store: BatchStore,
        book: KeyBook,
        config: BatchesConfig,
        turns: Turns,
        services: Services,
        *,
        output_tokens: int = 1024,
        unix_s: Callable[[], float],
    ) -> None:
        self._store = store
        self._book = book
        self._config = config
        self._turns = turns
        self._services = services
        self._unix_s = unix_s
        gateway = services.config
        self._reader = LineReader(
            config, depth=gateway.json_depth, body_limit_bytes=gateway.body_limit_bytes, output_tokens=output_tokens
        )
        self._running: dict[str, _Running] = {}
        self._purged_at_s = float("-inf")

    async def run(self) -> None:
        """A task of the node, until it is cancelled: then lines on their way are stopped and wait for the next start."""
        try:
            await self._claim()
            is_recovered = False
            while True:
                ticket = self._turns.ticket()
                try:
                    if not is_recovered:
                        await self._recover()
                        is_recovered = True
                    await self._round()
                except DeviceError as error:
                    log.error("batches_failed", reason=error.message)
                except Exception as exc:  # one batch must not end all others
                    log.error("unexpected_error", error=type(exc).__name__, where=log.place(exc))
                await self._turns.pause(ticket, self._next_look_s())
        finally:
            await self._stop(self._running.values())

    def _next_look_s(self) -> float:
        now_s = self._services.monotonic_s()
        return min((one.not_before_s - now_s for one in self._running.values() if one.not_before_s > now_s), default=LOOK_S)

    async def _claim(self) -> None:
        """Until this node may run batches: another one with this home may do so."""
        told = False
        while True:
            try:
                if await asyncio.to_thread(self._store.claim):
                    return
                if not told:
                    log.info("batches_run_elsewhere")
                    told = True
            except DeviceError as error:
                log.error("batches_failed", reason=error.message)
            await asyncio.sleep(LOOK_S)

    async def _recover(self) -> None:
        """What ran when a node ended waits again."""
        if again := await asyncio.to_thread(self._store.recover):
            log.info("batch_lines_run_again", lines=again)
        await asyncio.to_thread(self._store.remove_orphans, self._unix_s())

    async def _stop(self, running: Iterable[_Running]) -> None:
        for one in running:
            one.stop.set()
            if one.checking is not None:
                one.checking.cancel()
        tasks = [task for one in running for task in one.tasks.values()]
        await asyncio.gather(*tasks, return_exceptions=True)

    # ---- a round --------------------------------------------------------------------------------------------

    async def _round(self) -> None:
        await self._purge()
        batches = await asyncio.to_thread(self._store.unfinished)
        known = {batch.id for batch in batches}
        for gone in [batch_id for batch_id, one in self._running.items() if batch_id not in known and not one.tasks]:
            del self._running[gone]
            self._turns.withdraw(gone)
        ready = [batch for batch in batches if await self._move(batch)]
        self._services.metrics.show_batches(batches)
        here = [batch for batch in ready if self._is_here(batch)]
        for batch in ready:
            if batch not in here:
                await self._begin(batch, self._config.concurrency - len(self._of(batch).tasks))
        await self._begin_here(here)

    async def _purge(self) -> None:
        now_s = self._unix_s()
        if now_s < self._purged_at_s + PURGE_EVERY_S:
            return
        self._purged_at_s = now_s
        files = await asyncio.to_thread(self._store.purge_files, now_s)
        batches = await asyncio.to_thread(self._store.purge_batches, now_s - self._config.keep_days * _DAY_S)
        if files or batches:
            log.info("batches_purged", files=files, batches=batches)

    async def _move(self, batch: Batch) -> bool:
        """Take a batch one step on. True where it has lines to run."""
        running = self._of(batch)
        if batch.status is BatchStatus.VALIDATING:
            if not any(one.checking for one in self._running.values()):  # one file at a time
                running.checking = asyncio.get_running_loop().create_task(self._check(batch))
            return False
        if batch.status is BatchStatus.FINALIZING:
            await self._finish(batch, BatchStatus.COMPLETED)
            return False
        if batch.status is BatchStatus.CANCELLING:
            await self._end(batch, BatchStatus.CANCELLED, CANCELLED)
            return False
        if self._unix_s() >= batch.expires_at_s:
            await self._end(batch, BatchStatus.EXPIRED, EXPIRED)
            return False
        if batch.left == 0 and not running.tasks:
            await asyncio.to_thread(self._store.change, batch.id, self._become(BatchStatus.FINALIZING))
            await self._finish(batch, BatchStatus.COMPLETED)
            return False
        return batch.left > len(running.tasks) and self._can_begin(batch, running)

    def _can_begin(self, batch: Batch, running: _Running) -> bool:
        """Whether it waits for nothing but its turn. An engine that is starting would refuse every line."""
        if self._services.monotonic_s() < running.not_before_s or not self._services.recorder.status().ready:
            return False
        if batch.model is None:
            return True
        status = self._services.router.status()
        upstreams = self._services.router.upstreams_for(batch.model)
        return not upstreams or any(status[name].ready for name in upstreams)

    def _of(self, batch: Batch) -> _Running:
        if batch.id not in self._running:
            self._running[batch.id] = _Running(run_s=batch.run_s)
        return self._running[batch.id]

    def _is_here(self, batch: Batch) -> bool:
        return batch.model is not None and self._turns.is_here(batch.model)

    async def _begin_here(self, batches: list[Batch]) -> None:
        """Lines that run on this site's power: when the plan says so, after live requests."""
        by_id = {batch.id: batch for batch in batches}
        for batch in batches:
            if batch.is_deferrable:
                self._turns.offer(Job(name=batch.id, work_s=self._planned_s(batch), deadline_s=batch.deadline_s))
        at_once, plan = [batch.id for batch in batches if not batch.is_deferrable], self._turns.current()
        for batch_id in (*plan.now, *at_once) if plan.is_tight else (*at_once, *plan.now):
            if batch_id in by_id and (room := self._turns.room()) > 0:
                await self._begin(by_id[batch_id], room)

    def _planned_s(self, batch: Batch) -> float:
        """What its lines that are left may take, on the safe side."""
        done = batch.total - batch.left
        if done >= _MEASURED_LINES and batch.run_s > 0:
            return self._turns.planned_from(batch.left * batch.run_s / done)
        return self._turns.planned_s(batch.units * batch.left / max(batch.total, 1))

    async def _begin(self, batch: Batch, limit: int) -> None:
        running = self._of(batch)
        if limit <= 0 or running.stop.is_set():
            return
        here = self._is_here(batch)
        for line in await asyncio.to_thread(self._store.take, batch.id, limit):
            place = self._turns.place()
            if here:
                place.take()
            running.mark(self._services.monotonic_s())
            running.tasks[line.n] = asyncio.get_running_loop().create_task(self._run_line(batch, line, running, place))
            running.mark(self._services.monotonic_s())

    # ---- one line -------------------------------------------------------------------------------------------

    async def _run_line(self, batch: Batch, line: Line, running: _Running, place: Place) -> None:
        try:
            await self._answer(batch, line, running)
        except DeviceError as error:
            log.error("batches_failed", reason=error.message)
            self._pause(running, None)
            await self._give_back(line)
        except Exception as exc:
            log.error("unexpected_error", error=type(exc).__name__, where=log.place(exc))
            self._pause(running, None)
            await self._give_back(line, counts=True)
        finally:
            running.mark(self._services.monotonic_s())
            running.tasks.pop(line.n, None)
            running.mark(self._services.monotonic_s())
            place.leave()
            self._turns.wake()

    async def _answer(self, batch: Batch, line: Line, running: _Running) -> None:
        try:
            raw = await asyncio.to_thread(self._store.read, batch.input_file_id, line.at, line.size_bytes)
            request = self._reader.read(raw, batch.endpoint)
        except (InvalidRequest, NotFound) as error:  # its file is gone, or a limit was lowered
            await self._write(line, running, error_line(_line_id(), None, error.code, error.message), None)
            return
        if line.attempts > self._config.attempts:
            await self._tell([(line, request.custom_id)], INTERRUPTED)
            return
        try:
            principal = self._book.by_id(batch.key_id)
        except InvalidKey as error:
            await self._write(line, running, error_line(_line_id(), request.custom_id, error.code, error.message), None)
            return
        answered = await ask(batch, request, principal, self._turn(batch, running), running.stop, self._services)
        if answered.status is None:  # it was stopped
            await self._give_back(line)
        elif answered.waits or (answered.may_pass and line.attempts < self._config.attempts):
            self._pause(running, answered.retry_after_s)
            await self._give_back(line, counts=not answered.waits)
        else:
            running.pause_s = FIRST_PAUSE_S
            text = answer_line(
                _line_id(), request.custom_id, status=answered.status, request_id=answered.request_id, body=answered.body
            )
            await self._write(line, running, text, answered)

    def _turn(self, batch: Batch, running: _Running) -> Turn:
        run_s = running.mark(self._services.monotonic_s())
        return self._turns.turn(
            arrived_s=float(batch.created_at_s),
            at_once_s=batch.created_at_s + run_s,
            deadline_s=batch.deadline_s,
            batch=batch.id,
            is_late=batch.id in self._turns.current().late,
        )

    async def _write(self, line: Line, running: _Running, text: bytes, answered: Answered | None) -> None:
        """The line is answered: with success, or in the file of errors."""
        run_s = running.mark(self._services.monotonic_s())
        is_success = answered is not None and answered.is_success
        tokens = tokens_of(answered.body) if answered is not None else Tokens()

        def counted(before: Batch) -> Batch:
            return replace(
                before,
                completed=before.completed + is_success,
                failed=before.failed + (not is_success),
                run_s=max(before.run_s, run_s),
                input_tokens=before.input_tokens + tokens.input,
                cached_tokens=before.cached_tokens + tokens.cached,
                output_tokens=before.output_tokens + tokens.output,
                reasoning_tokens=before.reasoning_tokens + tokens.reasoning,
            )

        if await asyncio.to_thread(self._store.answer, [line], "output" if is_success else "error", text, counted):
            self._services.metrics.count_batch_lines("completed" if is_success else "failed")

    async def _give_back(self, line: Line, *, counts: bool = False) -> None:
        try:
            await asyncio.to_thread(self._store.give_back, line, counts=counts)
        except DeviceError as error:  # the next start gives it back
            log.error("batches_failed", reason=error.message)

    def _pause(self, running: _Running, wanted_s: float | None) -> None:
        pause_s = min(running.pause_s if wanted_s is None else wanted_s, LONGEST_PAUSE_S)
        running.not_before_s = max(running.not_before_s, self._services.monotonic_s() + pause_s)
        running.pause_s = min(2 * running.pause_s, LONGEST_PAUSE_S)

    # ---- how it begins and ends -----------------------------------------------------------------------------

    async def _check(self, batch: Batch) -> None:
        """Read all lines once, and let the batch begin or fail."""
        models = self._services.router.models()
        try:
            file = await asyncio.to_thread(self._store.file, batch.input_file_id, batch.key_id)
            checked = await asyncio.to_thread(
                lambda: self._reader.check(self._store.pieces(file), batch.endpoint, models.__contains__)
            )
            if not checked.errors:
                await asyncio.to_thread(self._store.add_lines, batch.id, checked.places, self._begun(checked))
            else:
                await asyncio.to_thread(self._store.change, batch.id, self._failed(checked.errors))
        except NotFound as error:
            gone = BatchError(code=error.code, message="the input file is gone", param="input_file_id")
            await asyncio.to_thread(self._store.change, batch.id, self._failed((gone,)))
        except InvalidRequest:
            log.info("batch_not_begun", batch=batch.id)  # it was cancelled meanwhile
        except FreeholdError as error:
            log.error("batches_failed", reason=error.message)
            await asyncio.sleep(LOOK_S)
        finally:
            self._of(batch).checking = None
            self._turns.wake()

    def _begun(self, checked: Checked) -> Callable[[Batch], Batch]:
        become = self._become(BatchStatus.IN_PROGRESS)
        model = next(iter(checked.models)) if len(checked.models) == 1 else None
        return lambda batch: replace(become(batch), total=len(checked.places), model=model, units=checked.units)

    def _failed(self, errors: tuple[BatchError, ...]) -> Callable[[Batch], Batch]:
        become = self._become(BatchStatus.FAILED)
        return lambda batch: replace(become(batch), errors=errors)

    def _become(self, status: BatchStatus) -> Callable[[Batch], Batch]:
        now_s = int(self._unix_s())

        def become(batch: Batch) -> Batch:
            if not may_become(batch.status, status):
                raise InvalidRequest(f"a batch that is {batch.status.value} does not become {status.value}")
            return replace(batch, status=status, moments={**batch.moments, status.value: now_s})

        return become

    async def _end(self, batch: Batch, status: BatchStatus, code: str) -> None:
        """Stop what runs, tell each line that has no answer, and close."""
        running = self._of(batch)
        if running.checking is not None:
            running.checking.cancel()
            await asyncio.gather(running.checking, return_exceptions=True)
        await self._stop([running])
        left = self._store.left(batch.id)
        while group := await asyncio.to_thread(self._named, batch, left):
            await self._tell(group, code)
        await self._finish(batch, status)

    def _named(self, batch: Batch, left: Iterator[Line]) -> list[tuple[Line, str | None]]:
        """The next lines and their custom ids; None of one that cannot be read any more."""
        return [(line, self._custom_id(batch, line)) for line in islice(left, _TOLD_LINES)]

    def _custom_id(self, batch: Batch, line: Line) -> str | None:
        try:
            return self._reader.read(self._store.read(batch.input_file_id, line.at, line.size_bytes), batch.endpoint).custom_id
        except FreeholdError:
            return None

    async def _tell(self, group: list[tuple[Line, str | None]], code: str) -> None:
        text = b"".join(error_line(_line_id(), custom_id, code, _WORDS[code]) for _, custom_id in group)
        lines = [line for line, _ in group]

        def counted(before: Batch) -> Batch:
            return replace(before, failed=before.failed + len(lines))

        if await asyncio.to_thread(self._store.answer, lines, "error", text, counted):
            self._services.metrics.count_batch_lines("failed", len(lines))

    async def _finish(self, batch: Batch, status: BatchStatus) -> None:
        ttl_s = min(batch.output_ttl_s or self._config.keep_days * _DAY_S, self._config.keep_days * _DAY_S)
        over = await asyncio.to_thread(self._store.finish, batch.id, status, int(self._unix_s()), ttl_s=ttl_s)
        self._turns.withdraw(batch.id)
        self._turns.measured(over.units * over.completed / max(over.total, 1), over.run_s)
        self._running.pop(batch.id, None)
        log.info(
            "batch_over", batch=over.id, status=over.status.value, total=over.total, completed=over.completed, failed=over.failed
        )


def _line_id() -> str:
    return f"batch_req_{secrets.token_hex(12)}"
