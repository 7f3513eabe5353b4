"""joblib's arrays in a pickle: their values lie between the opcodes, where joblib's `NumpyArrayWrapper` reads them."""

import math
import re
from dataclasses import dataclass

from freehold.provenance.scan.pickle_values import NONE, Broken, Call, Global, Items

ARRAY_WRAPPER = Global("joblib.numpy_pickle", "NumpyArrayWrapper")
_DTYPE = re.compile(r"[<>|=]?([biufcmMOSUV])([1-9][0-9]{0,4})")


@dataclass(frozen=True, slots=True)
class Values:
    """What follows a wrapper's state: one more pickle, or `size_bytes` of values, before them a byte that says how many more are
    left out to align them."""

    is_pickle: bool
    is_aligned: bool
    size_bytes: int


def values_behind(state: object) -> Values:
    """By the state that the wrapper gets. Raises Broken where the stream leaves a doubt of it."""
    pairs = state.pairs if isinstance(state, Items) else {}
    kind, width = _dtype(pairs.get("dtype"))
    shape = pairs.get("shape")
    if not kind or not isinstance(shape, tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise Broken("an array whose type or shape is not plain to see")
    is_aligned = pairs.get("numpy_array_alignment_bytes", NONE) is not NONE
    return Values(is_pickle=kind == "O", is_aligned=is_aligned, size_bytes=math.prod(shape) * width)


def _dtype(value: object) -> tuple[str, int]:
    """(kind, bytes a value) of a pickled numpy.dtype; an empty kind where the stream leaves a doubt of its size.

    Its state is (version, byte order, subarray, names, fields, size, alignment, flags). Flags say whether values are objects, for
    any type: numpy takes them as they come.
    """
    nothing = ("", 0)
    if not isinstance(value, Call) or value.function != Global("numpy", "dtype") or not isinstance(value.arguments, tuple):
        return nothing
    code = value.arguments[0] if value.arguments else None
    found = _DTYPE.fullmatch(code) if isinstance(code, str) else None
    state = value.state
    if found is None or not isinstance(state, tuple) or len(state) < 8 or not isinstance(state[7], int):
        return nothing
    kind, width = found[1], int(found[2]) * (4 if found[1] == "U" else 1)
    if state[2] is not NONE or state[5] not in (-1, width) or (kind == "V" and state[5] == -1):
        return nothing  # a subarray, or another size than the type's
    if state[7] & 1:
        return ("O", 0)
    return (kind, width) if kind != "O" else nothing
