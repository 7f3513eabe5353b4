"""The native part of `engine.seals`: NH, a universal hash, over blocks of 4 KiB.

    NH(key, words) = sum over pairs of (word + key) * (next word + next key), sums of words mod 2^32, the total mod 2^64

Two blocks that differ have equal NH under a random key with probability 2^-32 at most; under four keys that are one key moved on
by a pair each time (Toeplitz), 2^-128. Black, Halevi, Krawczyk, Krovetz, Rogaway: UMAC, CRYPTO 1999, theorems 4.2 and 5.3.
"""

from typing import Any, Final

from llvmlite import ir

from freehold.engine.kernels.emit import I64, Emitter, Value, vector

BLOCK_BYTES: Final = 4096
KEYS: Final = 4  # 32 bits of certainty each
SUM_BYTES: Final = 8 * KEYS  # of one block
KEY_BYTES: Final = BLOCK_BYTES + 8 * (KEYS - 1)
_LANES: Final = 16  # words of a step: one register of AVX-512; narrower machines take it in parts
_PAIR: Final = vector(_LANES // 2, I64)


def emit_seal(module: Any, name: str) -> None:
    """(data, blocks, key, sums): KEYS sums of each block."""
    e = Emitter(module, name, 4, _LANES)
    data, blocks, key, sums = e.arguments
    step_bytes = 4 * _LANES

    def block(i: Value) -> None:
        at = e.add(data, e.mul(i, BLOCK_BYTES))

        def step(j: Value, totals: list[Value]) -> list[Value]:
            words = e.load(e.ints, at, e.mul(j, step_bytes))
            place = e.add(key, e.mul(j, step_bytes))
            return [
                e.builder.add(total, _products(e, e.builder.add(words, e.load(e.ints, place, 8 * shift))))
                for shift, total in enumerate(totals)
            ]

        totals = e.loop(BLOCK_BYTES // step_bytes, step, [e.const(_PAIR, 0)] * KEYS)
        for number, total in enumerate(totals):
            e.store(e.fold(total, e.builder.add), e.add(sums, e.mul(i, SUM_BYTES)), 8 * number)

    e.each(blocks, block)
    e.returns()


def _products(e: Emitter, words: Value) -> Value:
    """Of each pair of words, as i64."""
    pairs = e.bits(words, _PAIR)
    low = e.builder.and_(pairs, ir.Constant(_PAIR, [0xFFFFFFFF] * _PAIR.count))
    return e.builder.mul(low, e.builder.lshr(pairs, ir.Constant(_PAIR, [32] * _PAIR.count)))
