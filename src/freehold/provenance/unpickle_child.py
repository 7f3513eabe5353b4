"""`python -m freehold.provenance.unpickle_child IN OUT [KEY]`: the process that looks into a pickle of weights.

It is given two open descriptors, gives up everything else (see `confinement`), reads the one and writes safetensors to the other.
On standard output is one JSON object a line: which layers hold, how far it is, and at the end what came of it or why nothing did.
"""

import json
import mmap
import os
import sys
from typing import BinaryIO, cast

from freehold.core.errors import DeviceError, FreeholdError, InternalError, MalformedArtefact
from freehold.provenance.confinement import confine
from freehold.provenance.scan.source import Source
from freehold.provenance.unpickle_torch import GROWTH_LIMIT, read_torch, write_safetensors

DATA_BYTES = 2 << 30  # of memory beside the file, which is mapped
HEADER_BYTES = 128 << 20
CPU_S, BYTES_PER_CPU_S = 120, 20_000_000  # values of a strided tensor are copied one by one


def main() -> int:
    source_number, out_number = int(sys.argv[1]), int(sys.argv[2])
    key = sys.argv[3] if len(sys.argv) > 3 else None
    size_bytes = os.fstat(source_number).st_size
    if not size_bytes:
        return _refuse(MalformedArtefact("it is empty"))
    mapped = mmap.mmap(source_number, size_bytes, access=mmap.ACCESS_READ)
    "".encode("cp437"), "".encode("raw_unicode_escape")  # codecs are files, opened when they are first used
    layers = confine(
        data_bytes=DATA_BYTES, cpu_s=CPU_S + size_bytes // BYTES_PER_CPU_S, output_bytes=GROWTH_LIMIT * size_bytes + HEADER_BYTES
    )
    try:
        _tell(layers=layers)
        _convert(mapped, out_number, key)
    except FreeholdError as exc:
        return _refuse(exc)
    except OSError as exc:
        return _refuse(DeviceError(f"writing it failed: {exc.strerror}"))
    except (MemoryError, RecursionError):
        return _refuse(MalformedArtefact("it takes more memory than weights need"))
    except Exception as exc:
        return _refuse(InternalError(f"reading it broke off with {type(exc).__name__}: please tell the makers of freehold"))
    return 0


def _convert(mapped: mmap.mmap, out_number: int, key: str | None) -> None:
    file = read_torch(Source(cast("BinaryIO", mapped), 0, len(mapped)), key)
    with memoryview(mapped) as data, os.fdopen(out_number, "wb") as out:
        write_safetensors(file, data, out.write, lambda done, total: _tell(done=done, total=total))
    _tell(tensors=list(file.weights.tensors), left_out=file.weights.left_out, shared=file.shared)


def _tell(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


def _refuse(error: FreeholdError) -> int:
    _tell(refused=type(error).__name__, message=error.message)
    return 1


if __name__ == "__main__":
    sys.exit(main())
