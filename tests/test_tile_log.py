import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from freehold.core.errors import DeviceError, VerificationError
from freehold.gateway.log_routes import LogServices
from freehold.gateway.serve import bind, serving
from freehold.gateway.server import create_app
from freehold.log_keeper import LogKeeper
from freehold.provenance import tiles
from freehold.provenance.keys import trusted
from freehold.provenance.log_config import LogConfig
from freehold.store.config import StoreConfig
from freehold.tile_log import TileLog
from tests.fakes.keys import ADMIN_KEY, CLIENT_KEY
from tests.fakes.oversight import AlarmBell
from tests.gateway.node import TestNode
from tests.store.logs import KEY, write_log
from tests.store.test_tree import add


@pytest.fixture
def log(tmp_path: Path) -> TileLog:
    """Of a record of twelve rows."""
    asyncio.run(write_log(tmp_path / "record.db"))
    return TileLog(tmp_path / "record.db", StoreConfig(), KEY, "a.example/log")


def read_below(folder: Path) -> Callable[[str], bytes]:
    return lambda path: (folder / path).read_bytes()


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_follows_the_log_and_proves_itself(log: TileLog, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    assert log.write_folder(folder) == 0  # nothing is signed yet
    log.publish()
    assert log.write_folder(folder) == 2
    assert files(folder) == {"checkpoint", "tile/0/000.p/12", "tile/entries/000.p/12"}
    add(tmp_path / "record.db", 300)
    log.publish()
    assert log.write_folder(folder) == 5
    assert "tile/0/000.p/12" not in files(folder)
    assert {"tile/0/000", "tile/0/001.p/56", "tile/1/000.p/1"} <= files(folder)
    entries: dict[int, bytes] = {}
    head = tiles.verify_tiles(read_below(folder), trusted(KEY.public), lambda n, entry: entries.update({n: entry}))
    assert (head.size, head.origin, len(entries)) == (312, "a.example/log", 312)
    assert log.write_folder(folder) == 0
    for path in files(folder):
        assert log.file(path) == (folder / path).read_bytes()


def test_a_folder_of_another_log_is_refused(log: TileLog, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    log.publish()
    log.write_folder(folder)
    asyncio.run(write_log(tmp_path / "other.db", exchanges=7))
    other = TileLog(tmp_path / "other.db", StoreConfig(), KEY, "a.example/log")
    other.publish()
    with pytest.raises(VerificationError, match="does not continue"):
        other.write_folder(folder)
    (folder / "checkpoint").write_text("junk")
    with pytest.raises(VerificationError, match="checkpoint is no checkpoint"):
        log.write_folder(folder)
    (tmp_path / "file").touch()
    with pytest.raises(DeviceError, match="cannot"):
        log.write_folder(tmp_path / "file")


@pytest.mark.parametrize(
    "path", ["", "x", "tile/0/000", "tile/0/001.p/1", "tile/0/000.p/13", "tile/9/000", "../record.db", "tile/63/000"]
)
def test_what_the_tree_has_not_is_not_there(log: TileLog, path: str) -> None:
    log.publish()
    assert log.file(path) is None


def test_another_name_is_another_log(log: TileLog, tmp_path: Path) -> None:
    first = log.publish()
    renamed = TileLog(tmp_path / "record.db", StoreConfig(), KEY, "b.example/log")
    second = renamed.publish()
    assert first is not None
    assert second is not None
    assert second.note.startswith("b.example/log\n12\n")


@contextlib.asynccontextmanager
async def served(log: TileLog, *, is_public: bool) -> AsyncIterator[Callable[..., Awaitable[tuple[int, bytes, str]]]]:
    """A gateway that gives out the log; what comes back of a path: status, body, content encoding."""
    node = TestNode()
    keeper = LogKeeper(log, LogConfig(), (), AlarmBell())
    await keeper.publish_once()
    services = replace(node.services(), log=LogServices(state=keeper, files=log, is_public=is_public))

    async def get(path: str, key: str | None = None, encoding: str = "identity") -> tuple[int, bytes, str]:
        sent = {"accept-encoding": encoding} | ({} if key is None else {"authorization": f"Bearer {key}"})
        async with http.get(f"{url}{path}", headers=sent) as answer:
            return answer.status, await answer.read(), answer.headers.get("content-encoding", "")

    app, listener = create_app(services), bind(node.config, has_keys=True)
    async with serving(app, node.config, listener) as url, aiohttp.ClientSession(auto_decompress=False) as http:
        yield get


async def test_admins_read_the_files_and_others_do_not(tmp_path: Path) -> None:
    await write_log(tmp_path / "record.db")
    log = TileLog(tmp_path / "record.db", StoreConfig(), KEY)
    last = log.publish()
    assert last is not None
    async with served(log, is_public=False) as get:
        assert await get("/log/checkpoint", ADMIN_KEY) == (200, last.note.encode(), "")
        assert (await get("/log/checkpoint", CLIENT_KEY))[0] == 403
        assert (await get("/log/checkpoint"))[0] == 401
        assert (await get("/log/tile/0/001", ADMIN_KEY))[0] == 404
        assert (await get("/log/..%2frecord.db", ADMIN_KEY))[0] == 404
        plain = await get("/log/tile/entries/000.p/12", ADMIN_KEY)
        packed = await get("/log/tile/entries/000.p/12", ADMIN_KEY, "gzip")
        assert (plain[0], packed[2]) == (200, "gzip")
        assert gzip.decompress(packed[1]) == plain[1] == log.file("tile/entries/000.p/12")
    async with served(log, is_public=True) as get:
        assert (await get("/log/checkpoint"))[0] == 200
        assert b'"log":{"log":{"ready":true,"detail":"a tree head over 12 rows is signed"}}' in (await get("/readyz"))[1]
        page = (await get("/metrics"))[1]
        assert b"freehold_log_signed_rows 12.0" in page
        assert b'freehold_log_ready{of="log"} 1.0' in page


async def test_what_cannot_be_signed_is_an_alert_and_stands_in_the_status(tmp_path: Path) -> None:
    await write_log(tmp_path / "record.db")
    alarm = AlarmBell()
    keeper = LogKeeper(TileLog(tmp_path / "record.db", StoreConfig(), KEY), LogConfig(), (), alarm)
    await keeper.publish_once()
    assert (keeper.size(), keeper.status()["log"].ready) == (12, True)
    (tmp_path / "record.db").rename(tmp_path / "gone.db")
    (tmp_path / "record.db").mkdir()
    for _ in range(2):
        await keeper.publish_once()
    assert keeper.status()["log"].ready is False
    assert [alert.kind for alert in alarm.alerts] == ["log_not_published"]
