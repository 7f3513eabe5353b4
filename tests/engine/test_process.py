import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from freehold.engine.frames import PROTOCOL, Cancel, Count, Fit, Hello, Loading, Ready, Refused, Stats, Stop, encode, read_frame
from freehold.engine.process import EXIT_CANNOT_LOAD, _Engine
from tests.fakes.tiny_gguf import tiny_gguf

NODE = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-m", "tests.fakes.engine_process", "real", sys.argv[1], "--socket", sys.argv[2]])
print(child.pid, flush=True)
time.sleep(600)
"""


def command(file: Path, socket: Path) -> list[str]:
    return [sys.executable, "-m", "tests.fakes.engine_process", "real", str(file), "--socket", str(socket)]


def written(directory: Path, data: bytes) -> Path:
    file = directory / "tiny.gguf"
    file.write_bytes(data)
    return file


@asynccontextmanager
async def engine(
    directory: Path, data: bytes | None = None
) -> AsyncIterator[tuple[asyncio.subprocess.Process, asyncio.StreamReader, asyncio.StreamWriter]]:
    """The process and its end of the socket, up to its Hello."""
    found: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.get_running_loop().create_future()
    server = await asyncio.start_unix_server(lambda *streams: found.set_result(streams), directory / "s")
    async with server:
        process = await asyncio.create_subprocess_exec(*command(written(directory, data or tiny_gguf()), directory / "s"))
        reader, writer = await asyncio.wait_for(found, 60)
        writer.write(encode(Hello(protocol=PROTOCOL, version="1")))
        yield process, reader, writer
        writer.close()
        await process.wait()


async def test_it_says_hello_loads_is_ready_and_stops_when_told(tmp_path: Path) -> None:
    async with engine(tmp_path) as (process, reader, writer):
        hello = await read_frame(reader)
        assert isinstance(hello, Hello)
        assert hello.protocol == PROTOCOL
        told = [type(await read_frame(reader))]
        while told[-1] is not Ready:
            told.append(type(await read_frame(reader)))
        assert told[-3:] == [Loading, Loading, Ready]
        assert told[:-3] in ([], [Fit])  # of a machine that was measured earlier
        writer.write(encode(Stop()))
        assert await asyncio.wait_for(process.wait(), 60) == 0


async def test_a_signal_to_the_whole_group_leaves_the_end_to_the_node(tmp_path: Path) -> None:
    async with engine(tmp_path) as (process, reader, writer):
        while not isinstance(await read_frame(reader), Ready):
            pass
        for number in (signal.SIGTERM, signal.SIGINT):
            process.send_signal(number)
        assert isinstance(await asyncio.wait_for(read_frame(reader), 60), Stats)
        writer.write(encode(Stop()))
        assert await asyncio.wait_for(process.wait(), 60) == 0


async def test_it_ends_when_the_node_closes_the_socket(tmp_path: Path) -> None:
    async with engine(tmp_path) as (process, reader, writer):
        while not isinstance(await read_frame(reader), Ready):
            pass
        writer.close()
        assert await asyncio.wait_for(process.wait(), 60) == 0


async def test_a_model_it_cannot_load_is_named_before_it_ends(tmp_path: Path) -> None:
    async with engine(tmp_path, tiny_gguf()[:-64]) as (process, reader, _):
        await read_frame(reader)
        frame = await read_frame(reader)
        assert isinstance(frame, Refused)
        assert (frame.request, frame.kind) == (None, "MalformedArtefact")
        assert "cut short" in frame.message
        assert await asyncio.wait_for(process.wait(), 60) == EXIT_CANNOT_LOAD


def test_it_does_not_outlive_a_node_that_is_killed(tmp_path: Path) -> None:
    """The node here never even listens: only the kernel can tell the engine of its death."""
    file = written(tmp_path, tiny_gguf())
    listener = tmp_path / "s"
    with subprocess.Popen([sys.executable, "-c", NODE, str(file), str(listener)], stdout=subprocess.PIPE, text=True) as node:
        assert node.stdout
        engine = int(node.stdout.readline())
        node.kill()
    deadline_s = time.monotonic() + 60
    while _alive(engine) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    assert not _alive(engine)


async def test_it_tells_how_busy_it_is(tmp_path: Path) -> None:
    async with engine(tmp_path) as (_, reader, _writer):
        while not isinstance(frame := await asyncio.wait_for(read_frame(reader), 60), Stats):
            assert frame is not None
        assert (frame.running, frame.free_pages) == (0, frame.pages)


def _alive(process_id: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{process_id}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False


async def test_a_prompt_whose_client_leaves_before_it_is_begun_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = list[Count]()

    async def count(_: object, frame: Count) -> None:
        begun.append(frame)

    monkeypatch.setattr(_Engine, "_count", count)
    engine = _Engine(lambda: pytest.fail("nothing is loaded"))
    engine._take(Count(request=1, messages=(), tools=()))
    (task,) = engine._preparing.values()
    engine._take(Cancel(request=1))  # both came in one piece
    await asyncio.wait([task])
    await asyncio.sleep(0)
    assert (begun, engine._preparing) == ([], {})
