"""Gives up, for good, what a process that only reads bytes and writes bytes does not need.

What is decided here: no file can be opened and no name reached (Landlock, and no descriptor left to open one with), no network
(a namespace without one), no other program and no child (seccomp), bounded memory, time and output. Each layer is taken where
the kernel has it; `confine` says which hold. Files that are needed are opened before.

Landlock: Documentation/userspace-api/landlock.rst. Seccomp: Documentation/userspace-api/seccomp_filter.rst, numbers of calls from
the tables of the two architectures. Limits: setrlimit(2).
"""

import ctypes
import os
import platform
import resource
import signal
import struct
import sys
from typing import Any, Final

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
_CLONE_NEWUSER, _CLONE_NEWNET, _CLONE_NEWIPC = 0x10000000, 0x40000000, 0x08000000
_LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 444, 446  # the same numbers on all architectures
_LANDLOCK_VERSION: Final = 1
# Bits of file system rights by version of the interface.
_LANDLOCK_RIGHTS: Final = {1: 13, 2: 14, 3: 15, 4: 15}
_LANDLOCK_RIGHTS_LATEST: Final = 16
_EPERM: Final = 1
# AUDIT_ARCH_*, and the numbers of: execve execveat fork vfork clone clone3 socket socketpair connect ptrace kill tkill pidfd_open
# open openat openat2 creat unlinkat renameat renameat2 linkat symlinkat mount io_uring_setup bpf process_vm_readv/writev
# memfd_create shmget
# fmt: off
_FORBIDDEN: Final[dict[str, tuple[int, tuple[int, ...]]]] = {
    "x86_64": (0xC000003E, (59, 322, 57, 58, 56, 435, 41, 53, 42, 101, 62, 200, 434, 2, 257, 437, 85, 263, 264, 316, 265, 266,
                            165, 425, 321, 310, 311, 319, 29, 87, 82, 86, 88)),
    "aarch64": (0xC00000B7, (221, 281, 220, 435, 198, 199, 203, 117, 129, 130, 434, 56, 437, 35, 38, 276, 37, 36, 40, 425, 280,
                             270, 271, 279, 194)),
}
# fmt: on
_X32_BIT: Final = 0x40000000


def confine(*, data_bytes: int, cpu_s: int, output_bytes: int) -> tuple[str, ...]:
    """Cannot be undone. Gives the names of the layers that hold; the limits always do."""
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    layers: list[str] = []
    if libc is not None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWIPC) == 0:
            layers.append("no network")
    _limit(data_bytes=data_bytes, cpu_s=cpu_s, output_bytes=output_bytes)
    layers.append("limits")
    if libc is not None and libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
        layers += [name for name, take in (("landlock", _landlock), ("seccomp", _seccomp)) if take(libc)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))  # no descriptor can be opened any more; those that are open stay
    return tuple(layers)


def _limit(*, data_bytes: int, cpu_s: int, output_bytes: int) -> None:
    wanted: dict[int, int] = {
        resource.RLIMIT_DATA: data_bytes,
        resource.RLIMIT_CPU: cpu_s,
        resource.RLIMIT_FSIZE: output_bytes,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NPROC: 0,
    }
    for kind, value in wanted.items():
        _, hard = resource.getrlimit(kind)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


def _landlock(libc: Any) -> bool:
    version = libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), _LANDLOCK_VERSION)
    if version < 1:
        return False
    rights = (1 << _LANDLOCK_RIGHTS.get(version, _LANDLOCK_RIGHTS_LATEST)) - 1
    attributes = ctypes.create_string_buffer(struct.pack("<Q", rights), 8)  # the first field alone: the kernel allows for it
    ruleset = libc.syscall(_LANDLOCK_CREATE, attributes, ctypes.c_size_t(8), 0)
    if ruleset < 0:
        return False
    try:
        return bool(libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0) == 0)  # no rule was added: nothing is allowed
    finally:
        os.close(ruleset)


def _seccomp(libc: Any) -> bool:
    machine = platform.machine()
    if machine not in _FORBIDDEN:
        return False
    architecture, numbers = _FORBIDDEN[machine]
    program = _filter(architecture, numbers)
    instructions = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    wanted = Program(len(program) // 8, ctypes.addressof(instructions))
    return bool(libc.prctl(_PR_SET_SECCOMP, 2, ctypes.byref(wanted), 0, 0) == 0)


def _filter(architecture: int, numbers: tuple[int, ...]) -> bytes:
    """Classic BPF over struct seccomp_data: the call's number at 0, the architecture at 4."""
    load, equal, at_least, give = 0x20, 0x15, 0x35, 0x06
    kill, refuse, allow = 0x80000000, 0x00050000 | _EPERM, 0x7FFF0000

    def step(code: int, if_so: int, if_not: int, value: int) -> bytes:
        return struct.pack("<HBBI", code, if_so, if_not, value)

    count = len(numbers)
    program = [step(load, 0, 0, 4), step(equal, 1, 0, architecture), step(give, 0, 0, kill), step(load, 0, 0, 0)]
    program.append(step(at_least, count + 1, 0, _X32_BIT))
    program += [step(equal, count - i, 0, number) for i, number in enumerate(numbers)]
    return b"".join([*program, step(give, 0, 0, allow), step(give, 0, 0, refuse)])
