"""Compiles every kernel for a card that need not be there: what the interpreter lets pass, the compiler may not.

`python -m tests.engine.gpu.compiled`, without TRITON_INTERPRET. Needs no driver: Triton brings the assembler.
"""

from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from freehold.engine.gpu import attention, elementwise, multiply
from freehold.engine.gpu.unpack import PLANES, QUANTISED

OLDEST = 80  # compute capability 8.0
F32, F16, BF16, I32, U8, I8 = "*fp32", "*fp16", "*bf16", "*i32", "*u8", "*i8"
COLUMNS = {"x": F32, "half": BF16, "q": I8, "xs": F32, "hs": F32, "bs": F32}
WHERE = {"positions": I32, "sequences": I32, "pages": I32, "store": F16}


def compile_kernel(kernel: Any, warps: int, types: dict[str, str], **constants: Any) -> None:
    """Arguments that `types` does not name are whole numbers; pointers are at 16-byte boundaries."""
    signature = {name: "constexpr" if name in constants else types.get(name, "i32") for name in kernel.arg_names}
    places = {name: (i,) for i, name in enumerate(kernel.arg_names)}
    aligned = {places[name]: [["tt.divisibility", 16]] for name, kind in signature.items() if kind.startswith("*")}
    values = {places[name]: value for name, value in constants.items()}
    source = ASTSource(fn=kernel, signature=signature, constexprs=values, attrs=aligned)
    triton.compile(source, target=GPUTarget("cuda", OLDEST, 32), options={"num_warps": warps, "enable_fp_fusion": True})


def main() -> None:
    blocks = {"out": F32, "data": U8, **COLUMNS}
    for type_ in sorted(QUANTISED):
        for is_aligned in {type_ not in PLANES, True}:
            shape = {"TYPE": int(type_), "ALIGNED": is_aligned}
            compile_kernel(multiply._multiply, 1, blocks, **shape, C=4, R=4, G=32, NATIVE=True, STAGES=1, LEVELS=5)
            compile_kernel(multiply._expand, 4, blocks | {"out": BF16}, **shape, R=4, G=32)
    compile_kernel(multiply._multiply_floats, 4, {"out": F32, "data": F16, "x": F32}, C=4, R=4, K=512, LEVELS=9)
    for tiles in (multiply._NARROW, multiply._WIDE):
        sizes = {name: value for name, value in tiles.items() if name != "num_warps"}
        types = {"out": F32, "x": BF16, "weights": BF16}
        compile_kernel(multiply._product, tiles["num_warps"], types, **sizes, BK=64, NATIVE=True)
    rows = {"stream": F32, "delta": F32, "post": F32, "weight": F32, "epsilon": "fp32", **COLUMNS}
    compile_kernel(elementwise._normalise, 8, rows, B=128, ADDS=True, POST=True)
    compile_kernel(elementwise._gate, 2, {"gate_up": F32, **COLUMNS}, B=16, GELU=True)
    heads = {"qkv": F32, "bias": F32, "q_norm": F32, "k_norm": F32, "epsilon": "fp32", "query_scale": "fp32", "table": F32}
    constants = {"D": 96, "P": 128, "ROTATED": 64, "BIAS": True, "NORM": True}
    for halves in (False, True):
        compile_kernel(elementwise._place, 1, heads | WHERE, **constants, HALVES=halves)
    partials = {"partial": F32, "peaks": F32, "sums": F32}
    walks = {"queries": F32, "firsts": I32, "counts": I32, "cap": "fp32", **WHERE, **partials}
    compile_kernel(attention._attend, 4, walks, D=128, P=128, GROUP=8, GP=8, M=64, CAPPED=True)
    compile_kernel(attention._combine, 1, {"positions": I32, **partials, **COLUMNS}, D=128, B=4)


if __name__ == "__main__":
    main()
