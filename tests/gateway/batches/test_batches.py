"""The official SDK against the batch API of a gateway with fakes behind it."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types import Batch, FileObject

from freehold.core.batches import Batch as OurBatch
from freehold.core.batches import BatchStatus
from freehold.core.errors import LimitReached, UpstreamTimeout, UpstreamUnavailable
from freehold.core.events import Worked
from freehold.core.exchange import KeyId
from freehold.core.ports import SignalPoint, UpstreamStatus
from freehold.gateway.batches.config import BatchesConfig
from freehold.gateway.batches.documents import batch_document
from tests.fakes.guard import FORBIDDEN, SECRET
from tests.fakes.keys import ADMIN_KEY, CLIENT_KEY, OTHER_KEY
from tests.fakes.upstream import MODEL, ScriptedUpstream, answer
from tests.gateway.batches.site import CHAT, Site, line, lines_of, made, over, running, until
from tests.gateway.batches.test_schedule import DAY_POINTS
from tests.gateway.node import TestNode


async def test_a_batch_from_upload_to_answers(tmp_path: Path) -> None:
    async with running(Site(home=tmp_path)) as site:
        client = site.sdk()
        batch = await made(client, *(line(f"q{n}") for n in range(20)), metadata={"of": "a test"})
        assert (batch.object, batch.status, batch.endpoint, batch.completion_window) == ("batch", "validating", CHAT, "24h")
        assert batch.expires_at == batch.created_at + 86_400
        batch = await over(client, batch)
        assert batch.status == "completed"
        assert (batch.request_counts.total, batch.request_counts.completed, batch.request_counts.failed) == (20, 20, 0)
        assert batch.in_progress_at <= batch.finalizing_at <= batch.completed_at
        assert batch.error_file_id is None
        assert batch.metadata == {"of": "a test"}
        assert batch.model == MODEL
        assert (batch.usage.input_tokens, batch.usage.output_tokens, batch.usage.total_tokens) == (140, 60, 200)
        answers = await lines_of(client, batch.output_file_id)
        assert set(answers) == {f"q{n}" for n in range(20)}
        one = answers["q3"]
        assert one["id"].startswith("batch_req_")
        assert one["error"] is None
        assert one["response"]["status_code"] == 200
        assert one["response"]["body"]["choices"][0]["message"]["content"] == "Hello there."
        recorded = {entry.exchange_id: entry for _, entry in site.reader.after(0, 100)}
        assert {answer["response"]["request_id"] for answer in answers.values()} == set(recorded)
        assert {entry.turn.batch for entry in recorded.values() if entry.turn} == {batch.id}
        assert {entry.key_id for entry in recorded.values()} == {"k1"}
        assert all(asked.can_wait for asked in site.node.upstream.exchanges)


async def test_the_documents_are_of_the_sdks_own_types(tmp_path: Path) -> None:
    async with running(Site(home=tmp_path)) as site:
        client = site.sdk()
        batch = await over(client, await made(client, line("a")))
        Batch.model_validate(json.loads(batch.to_json()), strict=True)
        file = await client.files.retrieve(batch.output_file_id)
        FileObject.model_validate(json.loads(file.to_json()), strict=True)
        assert (file.purpose, file.filename, file.status) == ("batch_output", f"{batch.id}_output.jsonl", "processed")
        assert file.bytes == len((await client.files.content(file.id)).content)
        document = batch_document(
            OurBatch(
                id="batch_1", key_id=KeyId("k1"), endpoint=CHAT, input_file_id="f", completion_window="1h",
                created_at_s=1, expires_at_s=2, deadline_s=2.0, is_deferrable=False,
            )
        )  # fmt: skip
        Batch.model_validate(document, strict=True)


async def test_files_are_listed_read_and_deleted_by_their_key_alone(tmp_path: Path) -> None:
    async with running(Site(home=tmp_path)) as site:
        client = site.sdk()
        content = (line("a") + "\n").encode() * 5000
        files = [await client.files.create(file=(f"../{n}.jsonl", content), purpose="batch") for n in range(3)]
        assert files[0].filename == "0.jsonl"
        assert files[0].bytes == len(content)
        listed = [file.id async for file in client.files.list(limit=2)]
        assert listed == [file.id for file in reversed(files)]
        assert (await client.files.content(files[1].id)).content == content
        for key in (OTHER_KEY, ADMIN_KEY):
            theirs = site.sdk(key).files
            for asked in (theirs.retrieve(files[0].id), theirs.content(files[0].id), theirs.delete(files[0].id)):
                with pytest.raises(openai.NotFoundError):
                    await asked
        deleted = await client.files.delete(files[0].id)
        assert (deleted.id, deleted.deleted, deleted.object) == (files[0].id, True, "file")
        with pytest.raises(openai.NotFoundError):
            await client.files.content(files[0].id)
        with pytest.raises(openai.NotFoundError):
            await site.sdk(OTHER_KEY).batches.create(input_file_id=files[1].id, endpoint=CHAT, completion_window="24h")


WRONG_FILES: list[tuple[bytes, str, int | None]] = [
    (b"", "empty_file", None),
    (b"\n \n", "empty_file", None),
    (line("a").encode() + b"\nnot json\n", "invalid_json_line", 2),
    (b"[1]", "invalid_type", 1),
    (b'{"custom_id": "a"}', "missing_required_parameter", 1),
    (b'{"custom_id": 3, "method": "POST", "url": "/v1/chat/completions", "body": {}}', "invalid_type", 1),
    (f"{line('a')}\n\n{line('b')}\n{line('a')}".encode(), "duplicate_custom_id", 4),
    (line("a", url="/v1/embeddings").encode(), "invalid_url", 1),
    (line("a").replace("POST", "GET").encode(), "invalid_method", 1),
    (line("a", model="another").encode(), "model_not_found", 1),
    (line("a", stream=True).encode(), "unsupported_value", 1),
    (line("a", x=eval("[" * 90 + "]" * 90)).encode(), "json_too_deep", 1),
    (line("\ud800").encode(), "invalid_json_line", 1),
    (b"".join(line(str(n)).encode() + b"\n" for n in range(7)), "too_many_lines", None),
    (line("a", "x" * 10_000).encode(), "line_too_long", 1),
]


async def test_a_file_that_makes_no_batch_fails_with_the_line_at_fault(tmp_path: Path) -> None:
    site = Site(home=tmp_path, config=BatchesConfig(lines_limit=6))
    site.node.config = type(site.node.config)(port=0, body_limit_bytes=5000)
    async with running(site):
        client = site.sdk()
        for content, code, number in WRONG_FILES:
            file = await client.files.create(file=("x.jsonl", content), purpose="batch")
            batch = await client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
            batch = await over(client, batch)
            assert batch.status == "failed"
            assert batch.failed_at is not None
            assert batch.errors is not None
            assert batch.errors.data is not None
            assert [(error.code, error.line) for error in batch.errors.data][-1] == (code, number)
        assert site.reader.recent(1) == []


WRONG_ORDERS: list[tuple[dict[str, Any], str]] = [
    ({"endpoint": "/v1/completions"}, "endpoint is one of"),
    ({"completion_window": "24"}, "completion_window"),
    ({"completion_window": "0h"}, "completion_window"),
    ({"completion_window": "8d"}, "completion_window"),
    ({"metadata": {"a": "x" * 513}}, "metadata"),
    ({"output_expires_after": {"anchor": "created_at", "seconds": 5}}, "output_expires_after"),
    ({"extra_body": {"priority": "high"}}, "priority"),
    ({"headers": {"x-freehold-priority": "low"}}, "deferrable"),
    ({"headers": {"x-freehold-deadline": "2020-01-01T00:00:00Z"}}, "past"),
    ({"headers": {"x-freehold-deadline": "soon"}}, "no time"),
    ({"headers": {"x-freehold-deadline": "2020-01-01T00:00:00"}}, "no time"),
]


async def test_an_order_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    async with running(Site(home=tmp_path)) as site:
        for order, words in WRONG_ORDERS:
            with pytest.raises(openai.BadRequestError, match=words):
                await made(site.sdk(), line("a"), **order)


async def test_a_key_has_so_many_batches_under_way(tmp_path: Path) -> None:
    site = Site(home=tmp_path, config=BatchesConfig(unfinished_limit=2))
    site.node.upstream.readiness = UpstreamStatus(ready=False, detail="loading")
    async with running(site):
        for _ in range(2):
            await made(site.sdk(), line("a"))
        with pytest.raises(openai.RateLimitError, match="not over"):
            await made(site.sdk(), line("a"))
        await made(site.sdk(OTHER_KEY), line("a"))


async def test_uploads_that_are_no_files_are_refused(tmp_path: Path) -> None:
    async with running(Site(home=tmp_path, config=BatchesConfig(file_limit_bytes=2000, storage_limit_bytes=3000))) as site:
        client = site.sdk()
        with pytest.raises(openai.BadRequestError, match="purpose"):
            await client.files.create(file=b"x", purpose="assistants")
        with pytest.raises(openai.APIStatusError) as large:
            await client.files.create(file=b"x" * 2001, purpose="batch")
        assert large.value.status_code == 413
        with pytest.raises(openai.BadRequestError, match="multipart"):
            await client.post("/files", body={"purpose": "batch"}, cast_to=FileObject)
        with pytest.raises(openai.BadRequestError, match="expires_after"):
            await client.files.create(file=b"x", purpose="batch", expires_after={"anchor": "created_at", "seconds": 1})
        await client.files.create(file=b"x" * 2000, purpose="batch")
        with pytest.raises(openai.APIStatusError) as full:
            await client.files.create(file=b"x" * 1500, purpose="batch")
        assert full.value.status_code == 413
        await asyncio.sleep(0.05)
        assert len(list((tmp_path / "batches").glob("file-*"))) == 1


async def test_every_line_passes_the_guard_and_its_faults_are_its_own(tmp_path: Path) -> None:
    async with running(Site(home=tmp_path)) as site:
        client = site.sdk()
        batch = await over(
            client, await made(client, line("good", f"say {SECRET}"), line("bad", FORBIDDEN), line("odd", temperature="hot"))
        )
        assert (batch.status, batch.request_counts.completed, batch.request_counts.failed) == ("completed", 1, 2)
        assert set(await lines_of(client, batch.output_file_id)) == {"good"}
        errors = await lines_of(client, batch.error_file_id)
        assert {name: one["response"]["body"]["error"]["code"] for name, one in errors.items()} == {
            "bad": "blocked_by_policy",
            "odd": "invalid_value",
        }
        (asked,) = site.node.upstream.exchanges
        assert SECRET not in json.dumps(asked.document)


async def test_a_guard_that_fails_lets_no_line_through(tmp_path: Path) -> None:
    async with running(Site(home=tmp_path)) as site:
        site.node.guard.broken = True
        client = site.sdk()
        batch = await over(client, await made(client, line("a")))
        assert batch.request_counts.failed == 1
        assert site.node.upstream.exchanges == []


async def test_cancelling_stops_what_runs_and_tells_what_did_not(tmp_path: Path) -> None:
    site = Site(home=tmp_path, config=BatchesConfig(concurrency=2))
    first = answer("Hello")
    site.node.upstream = ScriptedUpstream(*first[:2], asyncio.Event(), *first[2:])
    async with running(site):
        client = site.sdk()
        batch = await made(client, *(line(f"q{n}") for n in range(5)))
        await until(lambda: len(site.node.upstream.exchanges) == 2)
        cancelled = await client.batches.cancel(batch.id)
        assert cancelled.status == "cancelling"
        batch = await over(client, cancelled)
        assert batch.status == "cancelled"
        assert batch.cancelling_at is not None
        assert batch.output_file_id is None
        errors = await lines_of(client, batch.error_file_id)
        assert {name: one["error"]["code"] for name, one in errors.items()} == {f"q{n}": "batch_cancelled" for n in range(5)}
        assert site.node.upstream.closed_early == 2
        with pytest.raises(openai.BadRequestError, match="nothing left to cancel"):
            await client.batches.cancel(batch.id)
        with pytest.raises(openai.NotFoundError):
            await site.sdk(OTHER_KEY).batches.cancel(batch.id)


async def test_a_window_that_ends_leaves_answers_and_tells_the_rest(tmp_path: Path) -> None:
    site = Site(home=tmp_path, config=BatchesConfig(concurrency=1))
    gate = asyncio.Event()
    site.node.upstream = ScriptedUpstream(gate, *answer("Hello"))
    async with running(site):
        client = site.sdk()
        gate.set()
        batch = await made(client, *(line(f"q{n}") for n in range(40)), completion_window="1h")
        await until(lambda: site.store.batch(batch.id).completed >= 3)
        gate.clear()
        site.clock.ahead_s = 3601
        site.turns.wake()
        batch = await over(client, batch)
        assert batch.status == "expired"
        answers, errors = await lines_of(client, batch.output_file_id), await lines_of(client, batch.error_file_id)
        assert len(answers) >= 3
        assert len(answers) + len(errors) == 40
        assert {one["error"]["code"] for one in errors.values()} == {"batch_expired"}
        assert batch.request_counts.failed == len(errors)


async def test_a_rate_that_is_used_up_delays_a_line_and_a_failure_is_tried_again(tmp_path: Path) -> None:
    site = Site(home=tmp_path)
    async with running(site):
        said: list[Exception] = [
            LimitReached("too many", retry_after_s=0.1),
            UpstreamUnavailable("starting", retry_after_s=0.1),
            UpstreamTimeout("silent"),
        ]
        steps = site.node.upstream.steps

        class Failing(list):  # type: ignore[type-arg]
            def __iter__(self) -> Any:
                return iter([said.pop(0)] if said else steps)

        site.node.upstream.steps = Failing()
        client = site.sdk()
        batch = await over(client, await made(client, line("a")))
        assert batch.request_counts.completed == 1
        assert [entry.error_code for _, entry in site.reader.after(0, 9)] == [
            "rate_limit_exceeded", "upstream_unavailable", "upstream_timeout", None,
        ]  # fmt: skip


async def test_a_line_whose_upstream_always_fails_is_told_so(tmp_path: Path) -> None:
    site = Site(home=tmp_path, config=BatchesConfig(attempts=2))
    site.node.upstream = ScriptedUpstream(UpstreamTimeout("silent"))
    async with running(site):
        client = site.sdk()
        batch = await over(client, await made(client, line("a")))
        (error,) = (await lines_of(client, batch.error_file_id)).values()
        assert error["response"]["status_code"] == 504
        assert len(site.node.upstream.exchanges) == 2


async def test_a_line_waits_for_an_engine_that_starts(tmp_path: Path) -> None:
    site = Site(home=tmp_path)
    site.node.upstream.readiness = UpstreamStatus(ready=False, detail="loading")
    async with running(site):
        client = site.sdk()
        batch = await made(client, line("a"))
        await asyncio.sleep(0.3)
        assert (await client.batches.retrieve(batch.id)).status == "in_progress"
        assert site.reader.recent(1) == []
        site.node.upstream.readiness = UpstreamStatus(ready=True, detail="ready")
        site.turns.wake()
        assert (await over(client, batch)).status == "completed"


async def test_a_key_that_was_revoked_gets_no_answers(tmp_path: Path) -> None:
    async with running(Site(home=tmp_path)) as site:
        client = site.sdk()
        site.here = True
        site.node.upstream.readiness = UpstreamStatus(ready=False, detail="loading")
        batch = await made(client, line("a"))
        await asyncio.sleep(0.1)
        principal = site.node.keys.principals.pop(CLIENT_KEY)  # type: ignore[attr-defined]
        site.node.upstream.readiness = UpstreamStatus(ready=True, detail="ready")
        site.turns.wake()
        await until(lambda: site.store.batch(batch.id).is_over)
        site.node.keys.principals[CLIENT_KEY] = principal  # type: ignore[attr-defined]
        errors = await lines_of(client, (await client.batches.retrieve(batch.id)).error_file_id)
        assert errors["a"]["error"]["code"] == "invalid_api_key"
        assert site.node.upstream.exchanges == []


async def test_what_an_ended_node_left_behind_goes_on(tmp_path: Path) -> None:
    """Stopped in the middle, opened again: every line has one answer."""
    site = Site(home=tmp_path, config=BatchesConfig(concurrency=3))
    hold = asyncio.Event()
    site.node.upstream = ScriptedUpstream(hold, *answer("Hello"))
    async with running(site):
        client = site.sdk()
        batch = await made(client, *(line(f"q{n}") for n in range(30)))
        await until(lambda: len(site.node.upstream.exchanges) == 3)
    assert site.store is not None
    again = Site(home=tmp_path, node=TestNode(upstream=ScriptedUpstream(*answer("Hello"))))
    async with running(again):
        client = again.sdk()
        batch = await over(client, batch)
        assert batch.status == "completed"
        assert len(await lines_of(client, batch.output_file_id)) == 30


async def test_a_file_that_is_gone_or_changed_ends_its_batch_and_no_other(tmp_path: Path) -> None:
    site = Site(home=tmp_path)
    site.node.upstream.readiness = UpstreamStatus(ready=False, detail="loading")
    async with running(site):
        client = site.sdk()
        gone = await made(client, line("a"), line("b"))
        changed = await made(client, line("a"), completion_window="1h")
        await until(lambda: site.store.batch(changed.id).status is BatchStatus.IN_PROGRESS)
        (tmp_path / "batches" / gone.input_file_id).unlink()
        with (tmp_path / "batches" / changed.input_file_id).open("r+b") as file:
            file.seek(30)
            file.write(b"\x00\x01\x02")
        site.node.upstream.readiness = UpstreamStatus(ready=True, detail="ready")
        site.turns.wake()
        gone = await over(client, gone)
        assert (gone.status, gone.request_counts.failed) == ("completed", 2)
        fine = await over(client, await made(client, line("a")))
        assert fine.request_counts.completed == 1
        site.clock.ahead_s = 3700
        site.turns.wake()
        changed = await over(client, changed)
        assert (changed.status, changed.request_counts.failed) == ("expired", 1)
        assert len(site.node.upstream.exchanges) == 1


async def test_a_line_that_ends_the_node_every_time_is_told_so(tmp_path: Path) -> None:
    async with running(Site(home=tmp_path)) as site:
        store, client = site.store, site.sdk()
        site.node.upstream.readiness = UpstreamStatus(ready=False, detail="loading")
        batch = await made(client, line("a"))
        await until(lambda: store.batch(batch.id).status is BatchStatus.IN_PROGRESS)
        for _ in range(3):
            assert len(store.take(batch.id, 1)) == 1
            store.recover()  # as at a start after a kill
        site.node.upstream.readiness = UpstreamStatus(ready=True, detail="ready")
        site.turns.wake()
        batch = await over(client, batch)
        errors = await lines_of(client, batch.error_file_id)
        assert errors["a"]["error"]["code"] == "interrupted"


def night_then_noon(clock_s: float) -> list[SignalPoint]:
    return [
        SignalPoint(start_s=clock_s - 60, end_s=clock_s + 1800, g_per_kwh=400.0, price_per_kwh=0.40),
        SignalPoint(start_s=clock_s + 1800, end_s=clock_s + 7200, g_per_kwh=100.0, price_per_kwh=0.15),
    ]


async def test_a_batch_waits_for_clean_power_and_tells_what_it_spared(tmp_path: Path) -> None:
    site = Site(home=tmp_path)
    site.sky.points = night_then_noon(site.clock())
    first, *rest = answer("Hello")
    site.node.upstream = ScriptedUpstream(first, Worked(compute_s=4321.5, prefill_s=1, decode_s=1), *rest)
    async with running(site):
        client = site.sdk()
        batch = await made(client, *(line(f"q{n}") for n in range(6)))
        urgent = await over(client, await made(client, line("now"), extra_body={"priority": "now"}))
        assert urgent.status == "completed"
        waiting: Any = await client.batches.retrieve(batch.id)
        assert waiting.request_counts.completed == 0
        assert waiting.freehold["plan"]["state"] == "waits"
        assert abs(waiting.freehold["plan"]["next_run_at"] - (site.clock() + 1800)) < 60
        site.clock.ahead_s = 1900
        site.turns.wake()
        batch = await over(client, batch)
        entries = [entry for _, entry in site.reader.after(0, 99) if entry.turn and entry.turn.batch == batch.id]
        energy_kwh = 6 * 43_215 / 3.6e6
        saving = batch.freehold["saving"]
        assert saving["exchanges"] == saving["energy_known"] == len(entries) == 6
        assert saving["carbon_at_once_g"] == pytest.approx(energy_kwh * 400, rel=1e-12)
        assert saving["carbon_spared_g"] == pytest.approx(energy_kwh * 300, rel=1e-12)
        assert saving["price_spared"] == pytest.approx(energy_kwh * 0.25, rel=1e-12)
        kwh = [(entry.energy.energy_j or 0.0) / 3.6e6 for entry in entries]
        turns = [entry.turn for entry in entries if entry.turn]
        grams = sum(e * (turn.g_at_once - turn.g_at_run) for e, turn in zip(kwh, turns, strict=True))  # type: ignore[operator,misc]
        assert grams == pytest.approx(saving["carbon_spared_g"], rel=1e-12)
        assert {(turn.g_at_once, turn.g_at_run) for entry in entries if (turn := entry.turn)} == {(400.0, 100.0)}


async def test_a_batch_of_the_evening_runs_at_noon_of_a_real_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day played through hour by hour, from the dearest one on."""
    site = Site(home=tmp_path)
    evening, began_s = 19, site.clock()
    shift_s = began_s - DAY_POINTS[evening].start_s - 60
    site.sky.points = [replace(point, start_s=point.start_s + shift_s, end_s=point.end_s + shift_s) for point in DAY_POINTS]
    first, *rest = answer("Hello")
    site.node.upstream = ScriptedUpstream(first, Worked(compute_s=3600.0, prefill_s=1, decode_s=1), *rest)
    async with running(site):
        client = site.sdk()
        batch = await made(client, *(line(f"q{n}", max_tokens=10) for n in range(4)))
        await until(lambda: site.store.batch(batch.id).status is BatchStatus.IN_PROGRESS)
        begun, ticket = list[None](), site.turns.ticket

        def counted() -> asyncio.Event:
            begun.append(None)
            return ticket()

        monkeypatch.setattr(site.turns, "ticket", counted)
        for hour in range(24):
            site.clock.ahead_s = hour * 3600.0
            for _ in range(2):  # one round of the runner, and that one over
                before = len(begun)
                site.turns.wake()
                await until(lambda before=before: len(begun) > before)  # type: ignore[misc]
            await until(lambda: site.turns._deferred == 0)
        batch = await over(client, batch)
        entries = [entry for _, entry in site.reader.after(0, 9) if entry.turn is not None]
        cleanest = min(point.g_per_kwh or 0.0 for point in DAY_POINTS[evening : evening + 24])
        assert {(turn.g_at_once, turn.g_at_run) for entry in entries if (turn := entry.turn)} == {(420.0, cleanest)}
        assert all(turn.ran_s < turn.deadline_s for entry in entries if (turn := entry.turn))
        spared = sum((entry.energy.energy_j or 0.0) / 3.6e6 * (420.0 - cleanest) for entry in entries)
        assert batch.freehold["saving"]["carbon_spared_g"] == pytest.approx(spared, rel=1e-12)


async def test_a_batch_that_cannot_be_in_time_runs_at_once_and_says_so(tmp_path: Path) -> None:
    site = Site(home=tmp_path)
    site.sky.points = night_then_noon(site.clock())
    async with running(site):
        client = site.sdk()
        batch = await over(client, await made(client, line("a"), headers={"x-freehold-deadline": "10s"}))
        assert batch.status == "completed"
        (entry,) = (entry for _, entry in site.reader.after(0, 9))
        assert entry.turn is not None
        assert entry.turn.is_late


async def test_work_that_runs_elsewhere_never_waits(tmp_path: Path) -> None:
    site = Site(home=tmp_path, here=False)
    site.sky.points = night_then_noon(site.clock())
    async with running(site):
        client = site.sdk()
        assert (await over(client, await made(client, line("a")))).status == "completed"


async def test_live_requests_go_before_lines(tmp_path: Path) -> None:
    """With two places, two live requests under way leave none."""
    site = Site(home=tmp_path, config=BatchesConfig(concurrency=2))
    hold = asyncio.Event()
    site.node.upstream = ScriptedUpstream(hold, *answer("Hello"))
    async with running(site):
        client = site.sdk()
        asked = [{"role": "user", "content": "live"}]
        live = [asyncio.ensure_future(client.chat.completions.create(model=MODEL, messages=asked)) for _ in range(2)]  # type: ignore[arg-type]
        await until(lambda: len(site.node.upstream.exchanges) == 2)
        batch = await made(client, line("a"))
        await asyncio.sleep(0.3)
        assert len(site.node.upstream.exchanges) == 2
        hold.set()
        await asyncio.gather(*live)
        assert (await over(client, batch)).status == "completed"
