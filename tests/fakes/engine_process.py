"""The engine's child for tests: `python -m tests.fakes.engine_process KIND FILE --socket PATH`.

KIND `real` runs the true engine on the GGUF file; the others misbehave in one way each, over the true frames.
"""

import asyncio
import os
import sys
import time
from pathlib import Path

from freehold import __version__
from freehold.core.events import FinishReason, Worked
from freehold.engine.config import EngineConfig
from freehold.engine.frames import PROTOCOL, Accepted, Ended, Fit, Hello, Ready, Stats, Stop, Submit, Text, encode, read_frame
from freehold.engine.process import Opened, serve_engine
from freehold.engine.stops import Piece
from tests.engine.models_on_disk import model_of

READY = Ready(model_id="22" * 32, template_digest="33" * 32, build="fake", context_tokens=64, supports_tools=False)
WORKED = Worked(compute_s=0.1, prefill_s=0.1, decode_s=0.1)


async def _misbehave(kind: str, socket: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(socket)
    writer.write(encode(Hello(protocol=PROTOCOL + (kind == "other-protocol"), version=__version__)))
    if kind == "nonsense":
        writer.write(b"\x00\x00\x00\x02ab")
    if kind == "foretells":
        writer.write(encode(Fit(lines=("predicted: 2 s a token",), token_s=2.0)))
    writer.write(encode(READY))
    if kind == "foretells":
        writer.write(encode(Stats(token_s=2.5)))
    await read_frame(reader)
    while (frame := await read_frame(reader)) is not None and not isinstance(frame, Stop):
        if isinstance(frame, Submit):
            writer.write(encode(Accepted(request=frame.request, input_tokens=1)))
            await _answer(kind, frame.request, writer)


async def _answer(kind: str, request: int, writer: asyncio.StreamWriter) -> None:
    if kind == "dies":
        writer.write(encode(Text(request=request, piece=Piece(text="half an "), worked=WORKED)))
        await writer.drain()
        os._exit(7)
    for i in range(5000 if kind == "floods" else 2):
        writer.write(encode(Text(request=request, piece=Piece(text=f"{i} "), worked=WORKED)))
    writer.write(encode(Ended(request=request, reason=FinishReason.STOP, input_tokens=1, output_tokens=2, worked=WORKED)))


def main() -> None:
    kind, file, _, socket = sys.argv[1:]
    if kind.startswith("real"):
        path = Path(file)
        model = model_of(path.parent, lambda name, block, content: None, size_bytes=path.stat().st_size, names=(path.name,))
        config = EngineConfig(threads=1, max_sequences=4) if kind == "real" else EngineConfig()
        serve_engine(lambda: Opened(model=model, config=config), Path(socket))
    elif kind == "never-connects":
        time.sleep(600)
    elif kind == "exits":
        sys.exit(5)
    else:
        asyncio.run(_misbehave(kind, Path(socket)))


if __name__ == "__main__":
    main()
