"""The engine's process as the node has it: where its socket lies, how it is started, and how it ended."""

import asyncio
import contextlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from freehold.core.errors import ConfigError, UpstreamBroken, os_errors


def private_directory(path: Path) -> None:
    """Whoever can reach the socket can ask the engine: nobody but us may."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.stat()
    if found.st_uid != os.getuid():
        raise ConfigError(f"{path} belongs to another user: the engine's socket needs a directory of our own")
    if stat.S_IMODE(found.st_mode) != 0o700:
        path.chmod(0o700)


async def spawn(command: Sequence[str], socket_path: Path) -> asyncio.subprocess.Process:
    """Raises UpstreamBroken where it can't be started."""
    # A BLAS that spins on every core takes them from the compute threads, and we use none of it.
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    with os_errors(f"{command[0]} cannot be started", UpstreamBroken):
        return await asyncio.create_subprocess_exec(
            *command, "--socket", str(socket_path), stdin=asyncio.subprocess.DEVNULL, env=environment
        )


def how(process: asyncio.subprocess.Process) -> str:
    status = process.returncode
    if status is None:
        return "it closed its socket"
    return f"it was ended by signal {-status}" if status < 0 else f"it ended with status {status}"


async def end(process: asyncio.subprocess.Process) -> None:
    """Whatever happened: when this returns, the process is gone."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    await process.wait()
