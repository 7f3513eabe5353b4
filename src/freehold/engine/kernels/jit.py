"""From emitted IR to machine code in memory, kept on disk between starts.

The key of a kept object is the digest of the IR itself with the CPU's name and features and LLVM's version: it cannot be
stale. The folder is `$FREEHOLD_HOME/cache/kernels`, else `$XDG_CACHE_HOME/freehold/kernels`, else
`~/.cache/freehold/kernels`. A folder that can't be read or written costs compile time, nothing else. Its files are code: it
is created 0700, and one that others may write is not used.
"""

import hashlib
import os
import stat
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
from llvmlite import binding as llvm
from llvmlite import ir

_lock = threading.Lock()
_engines: list[Any] = []  # code lives as long as the process


def cache_folder() -> Path:
    if home := os.environ.get("FREEHOLD_HOME"):
        return Path(home) / "cache" / "kernels"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "freehold" / "kernels"


def compile_function(name: str, emit: Callable[[Any], None]) -> int:
    """Address of the function `name` of the module that `emit` writes."""
    module = ir.Module(name=name)
    module.triple, module.data_layout = _host_layout()
    emit(module)
    text = str(module)
    with _lock:
        engine = _load(text)
    return int(engine.get_function_address(name))


@cache
def _initialised() -> bool:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return True


def _machine() -> Any:
    _initialised()
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=2, reloc="pic", jit=True
    )


@cache
def _host_layout() -> tuple[str, str]:
    return llvm.get_process_triple(), str(_machine().target_data)


def _load(text: str) -> Any:
    machine = _machine()
    path = cache_folder() / f"{_digest(text)}.o"
    if (kept := _read(path)) is not None:
        engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
        engine.add_object_file(llvm.ObjectFileRef.from_data(kept))
    else:
        module = llvm.parse_assembly(text)
        module.verify()
        _optimise(module, machine)
        _write(path, machine.emit_object(module))
        engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    _engines.append(engine)
    return engine


def _optimise(module: Any, machine: Any) -> None:
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = options.slp_vectorization = False  # our vectors are explicit
    options.loop_unrolling = False
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)


def _digest(text: str) -> str:
    features = llvm.get_host_cpu_features().flatten()
    parts = [text, llvm.get_host_cpu_name(), features, llvmlite.__version__, str(llvm.llvm_version_info)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _read(path: Path) -> bytes | None:
    try:
        facts = path.parent.stat()
        if facts.st_uid != os.getuid() or facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return None
        content = path.read_bytes()
    except OSError:
        return None
    sealed, code = content[:32], content[32:]
    return code if hashlib.sha256(code).digest() == sealed else None  # cut short by a full disk, for one


def _write(path: Path, code: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = path.with_suffix(f".{os.getpid()}.part")
        part.write_bytes(hashlib.sha256(code).digest() + code)
        part.replace(path)
    except OSError:
        return
