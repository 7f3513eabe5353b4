import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.batches import Batch, BatchStatus
from freehold.core.deferral import Turn
from freehold.core.errors import DeviceError, InvalidRequest, NotFound
from freehold.core.exchange import KeyId
from freehold.store.batches import Batches, Kind, new_batch_id
from freehold.store.reader import RecordReader
from freehold.store.sealed import PIECE_BYTES, Sealed
from tests.store.logs import broken, check, honest, log_writer, tamper

OURS, THEIRS = KeyId("key_ours"), KeyId("key_theirs")
SECRET = b"s" * 32


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Batches]:
    batches = opened(tmp_path)
    yield batches
    batches.close()


def opened(home: Path) -> Batches:
    return Batches(home / "record.db", home / "batches", SECRET)


def uploaded(store: Batches, content: bytes, key_id: KeyId = OURS, expires_at_s: int = 1000) -> str:
    upload = store.begin_upload()
    for at in range(0, len(content), 1000):
        upload.write(content[at : at + 1000])
    file = upload.finish(key_id=key_id, purpose="batch", filename="x.jsonl", created_at_s=1, expires_at_s=expires_at_s)
    return file.id


def begun(store: Batches, lines: int = 3) -> Batch:
    batch = Batch(
        id=new_batch_id(),
        key_id=OURS,
        endpoint="/v1/chat/completions",
        input_file_id=uploaded(store, b"0123456789" * lines),
        completion_window="24h",
        created_at_s=1,
        expires_at_s=86_401,
        deadline_s=86_401.0,
        is_deferrable=True,
        metadata={"a": "b"},
    )
    store.create(batch)
    return store.add_lines(
        batch.id, [(10 * n, 10) for n in range(lines)], lambda batch: replace(batch, status=BatchStatus.IN_PROGRESS, total=lines)
    )


def one_more(batch: Batch) -> Batch:
    return replace(batch, completed=batch.completed + 1)


def test_a_file_is_read_back_whole_and_in_part(store: Batches) -> None:
    content = bytes(range(256)) * (3 * PIECE_BYTES // 256 + 1)
    file = store.file(uploaded(store, content), OURS)
    assert file.size_bytes == len(content)
    assert b"".join(store.pieces(file)) == content
    for at, size in ((0, 1), (PIECE_BYTES - 1, 2), (PIECE_BYTES, PIECE_BYTES), (len(content) - 5, 5), (7, len(content) - 7)):
        assert store.read(file.id, at, size) == content[at : at + size]


def test_nothing_of_a_file_lies_in_the_clear_and_nobody_else_may_read_it(store: Batches, tmp_path: Path) -> None:
    file_id = uploaded(store, b"the quick brown fox" * 10_000)
    path = tmp_path / "batches" / file_id
    assert b"quick brown" not in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    with pytest.raises(NotFound):
        store.file(file_id, THEIRS)
    with pytest.raises(NotFound):
        store.delete_file(file_id, THEIRS)
    assert store.files(THEIRS, purpose=None, after=None, limit=10) == ([], False)


def test_a_file_that_was_changed_cut_or_swapped_is_not_read(store: Batches, tmp_path: Path) -> None:
    first, second = (uploaded(store, word * 20_000) for word in (b"first", b"other"))
    folder = tmp_path / "batches"
    whole, other = (folder / first).read_bytes(), (folder / second).read_bytes()
    file = store.file(first, OURS)
    flipped = bytearray(whole)
    flipped[70_000] ^= 1
    piece = PIECE_BYTES + 32
    for wrong in (bytes(flipped), whole[:piece], whole[:-1], other, whole[piece:] + whole[:piece], b""):
        (folder / first).write_bytes(wrong)
        with pytest.raises(DeviceError, match=first):
            list(store.pieces(file))
    (folder / first).write_bytes(whole)
    assert len(b"".join(store.pieces(file))) == file.size_bytes
    with pytest.raises(DeviceError, match="another node's key"):
        list(Sealed(folder / first, b"t" * 32).pieces())


def test_files_are_listed_by_pages(store: Batches) -> None:
    ids = [uploaded(store, b"x") for _ in range(5)]
    page, more = store.files(OURS, purpose="batch", after=None, limit=2)
    assert ([file.id for file in page], more) == (ids[:2:-1], True)
    page, more = store.files(OURS, purpose=None, after=page[-1].id, limit=10)
    assert ([file.id for file in page], more) == (ids[2::-1], False)
    page, _ = store.files(OURS, purpose=None, after=ids[0], limit=2, newest_first=False)
    assert [file.id for file in page] == ids[1:3]
    assert store.files(OURS, purpose="batch_output", after=None, limit=2) == ([], False)


def test_what_has_expired_goes_but_not_under_a_batch(store: Batches, tmp_path: Path) -> None:
    old, kept = uploaded(store, b"x", expires_at_s=10), uploaded(store, b"x", expires_at_s=20)
    batch = begun(store)
    with pytest.raises(InvalidRequest, match="cancel"):
        store.delete_file(batch.input_file_id, OURS)
    assert store.purge_files(10) == 1
    assert not (tmp_path / "batches" / old).exists()
    assert store.file(kept, OURS).id == kept
    assert store.purge_files(5000) == 1  # the batch still reads its own
    store.finish(batch.id, BatchStatus.CANCELLED, 7, ttl_s=100)
    assert store.purge_files(5000) == 1
    assert store.purge_batches(5000) == 1
    assert list((tmp_path / "batches").iterdir()) == []


def test_what_a_broken_upload_left_is_removed_at_the_next_start(store: Batches, tmp_path: Path) -> None:
    kept = uploaded(store, b"x")
    store.begin_upload().write(b"y" * 100_000)
    store.remove_orphans(time.time())
    assert len(list((tmp_path / "batches").iterdir())) == 2  # it may still come in
    store.remove_orphans(time.time() + 4000)
    assert [path.name for path in (tmp_path / "batches").iterdir()] == [kept]


def test_each_line_is_answered_once(store: Batches) -> None:
    batch = begun(store)
    first, second, third = store.take(batch.id, 5)
    assert store.take(batch.id, 5) == []
    assert store.answer([first], "output", b"one\n", one_more)
    assert not store.answer([first], "output", b"again\n", one_more)
    assert store.answer([third], "error", b"three\n", one_more)
    store.give_back(second, counts=True)
    (second,) = store.take(batch.id, 5)
    assert second.attempts == 2
    assert store.answer([second], "output", b"two\n", one_more)
    over = store.finish(batch.id, BatchStatus.COMPLETED, 50, ttl_s=100)
    assert (over.completed, over.moments["completed"], over.is_over) == (3, 50, True)
    assert over.output_file_id is not None
    assert over.error_file_id is not None
    assert b"".join(store.pieces(store.file(over.output_file_id, OURS))) == b"one\ntwo\n"
    assert b"".join(store.pieces(store.file(over.error_file_id, OURS))) == b"three\n"
    assert not store.answer([first], "output", b"late\n", one_more)


def test_what_was_written_and_not_counted_is_cut_off_and_runs_again(store: Batches, tmp_path: Path) -> None:
    batch = begun(store)
    first, second, _ = store.take(batch.id, 3)
    store.answer([first], "output", b"one\n", one_more)

    def dies(batch: Batch) -> Batch:
        raise KeyboardInterrupt  # after the append, before the commit

    with pytest.raises(KeyboardInterrupt):
        store.answer([second], "output", b"two\n", dies)
    again = opened(tmp_path)
    try:
        assert again.recover() == 2
        lines = again.take(batch.id, 3)
        assert [(line.n, line.attempts) for line in lines] == [(1, 2), (2, 2)]
        for line, answer in zip(lines, (b"2\n", b"3\n"), strict=True):
            assert again.answer([line], "output", answer, one_more)
        over = again.finish(batch.id, BatchStatus.COMPLETED, 50, ttl_s=100)
        assert over.output_file_id is not None
        assert b"".join(again.pieces(again.file(over.output_file_id, OURS))) == b"one\n2\n3\n"
        assert over.completed == 3
    finally:
        again.close()


def test_lines_that_are_left_are_told(store: Batches) -> None:
    batch = begun(store, lines=5)
    lines = store.take(batch.id, 2)
    store.answer([lines[1]], "output", b"one\n", one_more)
    assert [line.n for line in store.left(batch.id)] == [0, 2, 3, 4]


def test_of_two_nodes_with_one_home_one_runs_batches(store: Batches, tmp_path: Path) -> None:
    other = opened(tmp_path)
    assert store.claim()
    assert store.claim()
    assert not other.claim()
    store.close()
    assert other.claim()
    other.close()


def test_batches_are_listed_by_pages_and_belong_to_their_key(store: Batches) -> None:
    ids = [begun(store).id for _ in range(3)]
    page, more = store.batches(OURS, after=None, limit=2)
    assert ([batch.id for batch in page], more) == (ids[:0:-1], True)
    page, more = store.batches(None, after=ids[1], limit=2)
    assert ([batch.id for batch in page], more) == (ids[:1], False)
    assert store.batches(THEIRS, after=None, limit=2) == ([], False)
    with pytest.raises(NotFound):
        store.batch(ids[0], THEIRS)
    assert store.batch(ids[0]).metadata == {"a": "b"}
    assert [batch.id for batch in store.unfinished()] == ids


async def test_the_turn_of_an_exchange_is_in_the_ledger_and_bound_by_the_log(tmp_path: Path) -> None:
    turn = Turn(arrived_s=1.5, at_once_s=2.0, ran_s=900.25, deadline_s=3600.0, batch="batch_1", g_at_once=410.5, g_at_run=90.0)
    path, made = tmp_path / "record.db", honest("xc_1")
    with closing(log_writer(path)) as writer:
        await writer.record(replace(made, entry=replace(made.entry, turn=turn)))
        await writer.record(honest("xc_2"))
    reader = RecordReader(path)
    assert [entry.turn for _, entry in reader.after(0, 5)] == [turn, None]
    reader.close()
    assert check(path).broken is None
    for change in ("turn = NULL", "turn = json_set(turn, '$.g_at_run', 10.0)", "energy_j = 1.0, energy_grade = 'modelled'"):
        copy = Path(shutil.copy(path, tmp_path / "copy.db"))
        tamper(copy, f"UPDATE ledger SET {change} WHERE seq = 1")
        assert broken(copy).what == "changed"


@settings(max_examples=15)
@given(st.lists(st.sampled_from(["answer", "error", "give back", "dies", "torn", "restart"]), max_size=14))
def test_wherever_a_node_ends_each_line_is_answered_once(steps: list[str]) -> None:
    told: dict[Kind, list[bytes]] = {"output": [], "error": []}

    def dies(batch: Batch) -> Batch:
        raise KeyboardInterrupt  # after the append, before the commit

    with TemporaryDirectory() as folder:
        home = Path(folder)
        store = opened(home)
        batch = begun(store, lines=6)
        for number, step in enumerate([*steps, "restart", *["answer"] * 6]):
            words = b"%d %s\n" % (number, step.encode())
            for line in store.take(batch.id, 1):
                if step == "give back":
                    store.give_back(line, counts=False)
                elif step == "dies":
                    with pytest.raises(KeyboardInterrupt):
                        store.answer([line], "output", words, dies)
                elif step in ("answer", "error"):
                    kind: Kind = "error" if step == "error" else "output"
                    assert store.answer([line], kind, words, one_more)
                    told[kind].append(words)
            if step == "torn":  # the disk has a piece that was never counted, or a part of one
                for path in (home / "batches").glob("file*"):
                    if path.name != batch.input_file_id:
                        path.write_bytes(path.read_bytes() + b"torn")
            if step in ("restart", "dies", "torn"):
                store.close()
                store = opened(home)
                store.recover()
        assert list(store.left(batch.id)) == []
        over = store.finish(batch.id, BatchStatus.COMPLETED, 50, ttl_s=100)
        for kind, file_id in (("output", over.output_file_id), ("error", over.error_file_id)):
            said = b"" if file_id is None else b"".join(store.pieces(store.file(file_id, OURS)))
            assert said == b"".join(told[kind])
        assert over.completed == 6
        store.close()
