"""Opens the guard with its rules as they were compiled the last time: compiling them anew takes seconds.

What was compiled is kept in the user's cache folder, for all homes and commands of the user. A file that another user could have
written is not read: it goes into a library that trusts what it is given. Compiling is done in a process of its own, as it leaves
6 MiB behind.
"""

import contextlib
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import msgspec

from freehold import heap
from freehold.config import cache
from freehold.core.errors import ConfigError
from freehold.core.sealer import Sealer
from freehold.guard import StreamGuard
from freehold.guard.config import GuardConfig
from freehold.guard.matcher import Groups, compiled
from freehold.guard.policy_file import PolicySource
from freehold.place import Place
from freehold.policy_read import read_policy
from freehold.provenance.files import write_durably

_NAME = "guard.db"
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_COMPILE = """
import sys, msgspec
from freehold.guard.matcher import Groups, compiled
groups = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Groups)
sys.stdout.buffer.write(msgspec.msgpack.encode(compiled(groups)))
"""


@contextlib.contextmanager
def compiling(place: Place) -> Iterator[None]:
    """Compile the rules of a first start beside what is done meanwhile. What is wrong with them, opening the guard tells."""
    if _kept().exists():  # nothing is done twice where they were compiled before
        yield
        return
    thread = threading.Thread(target=_compile, args=(place,), name="rules", daemon=True)  # Ctrl-C does not wait for it
    thread.start()
    yield
    thread.join()


def _compile(place: Place) -> None:
    with contextlib.suppress(ConfigError):
        open_guard(place.config.guard, _policy(place))


def open_policy_guard(place: Place, key: Sealer) -> StreamGuard:
    """The guard under the configured policy. Raises ConfigError for one that can't be used."""
    secret = sha256(key.sign(b"freehold guard secret")).digest()  # Ed25519 is deterministic: the same at every start
    return open_guard(place.config.guard, _policy(place), secret)


def _policy(place: Place) -> PolicySource | None:
    return read_policy(place.policy) if place.policy is not None else None


def open_guard(config: GuardConfig, policy: PolicySource | None = None, key: bytes | None = None) -> StreamGuard:
    """Raises ConfigError for a policy that can't be used."""
    kept = _kept()
    guard = StreamGuard(config, _read(kept), policy=policy, key=key, compiler=_compiled_apart)
    if database := guard.database():
        with contextlib.suppress(OSError):  # no folder that can be written: the guard is the same without
            kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_durably(kept, database, mode=0o600)
        heap.give_back()
    return guard


def _compiled_apart(groups: Groups) -> Sequence[bytes]:
    """As `compiled`, which also says what is wrong where the other process gave nothing."""
    with contextlib.suppress(OSError, subprocess.SubprocessError, msgspec.MsgspecError):
        child = subprocess.run(  # noqa: S603 - our own interpreter and code; -P: nothing is imported from the working directory
            [sys.executable, "-P", "-c", _COMPILE], input=msgspec.msgpack.encode(groups), capture_output=True, check=True
        )
        return msgspec.msgpack.decode(child.stdout, type=tuple[bytes, ...])
    return compiled(groups)


def _kept() -> Path:
    return cache() / _NAME


def _read(kept: Path) -> bytes | None:
    with contextlib.suppress(OSError), kept.open("rb") as file:
        facts = os.fstat(file.fileno())
        if facts.st_uid == os.getuid() and not facts.st_mode & _WRITABLE_BY_OTHERS:
            return file.read()
    return None
