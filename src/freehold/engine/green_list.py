"""The green lists of a watermark: made for the sampler, and counted in a text.

The list of a place: a keyed BLAKE2b of the tokens before it is the key of AES-128 in counter mode, whose stream gives each token
16 bits; a token is green where they are below gamma's part of 65536. So each token is green by itself with probability gamma, and
the count of green ones among distinct places of a text that knows nothing of the secret is binomial, exactly.
"""

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from freehold.core.watermark import Watermark

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

_TOKEN_BYTES: Final = 2
_KEPT_LISTS: Final = 256  # of a text whose tokens repeat: 150 KB each for a large vocabulary
_PERSON: Final = b"freehold-green"


class GreenLists:
    """Of one watermark over one vocabulary."""

    def __init__(self, watermark: Watermark, vocabulary: int) -> None:
        self._watermark = watermark
        self._zeros = bytes(_TOKEN_BYTES * vocabulary)

    @property
    def context_tokens(self) -> int:
        return self._watermark.context_tokens

    def at(self, before: Sequence[int]) -> Bools:
        """(vocabulary,): which tokens are green after these, of which the last `context_tokens` count."""
        context = np.array(before[-self.context_tokens :], "<u4").tobytes()
        key = blake2b(context, key=self._watermark.secret, digest_size=16, person=_PERSON).digest()
        stream = Cipher(AES(key), CTR(bytes(16))).encryptor().update(self._zeros)
        green: Bools = np.frombuffer(stream, "<u2") < self._watermark.gamma_parts
        return green


class Marker:
    """Raises the green tokens of one sequence. Knows its last tokens; not thread-safe."""

    def __init__(self, watermark: Watermark, prompt: Sequence[int], vocabulary: int) -> None:
        self._lists = GreenLists(watermark, vocabulary)
        self._delta = np.float32(watermark.delta)
        self._before = list(prompt[-watermark.context_tokens :])

    def apply(self, logits: Floats) -> None:
        logits += self._lists.at(self._before) * self._delta

    def count(self, token: int) -> None:
        self._before = [*self._before, token][-self._lists.context_tokens :]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """`scored` are the distinct places that were counted, `green` those of them whose token is green.

    `p_value` is the chance of so many or more in a text that was made without the secret.
    """

    tokens: int
    scored: int
    green: int
    gamma: float
    z_score: float
    p_value: float


def detect(tokens: Sequence[int], watermark: Watermark, vocabulary: int) -> Detection:
    """Count the green tokens of a text. What repeats (the same token after the same ones) is counted once: it is one draw."""
    lists, size = GreenLists(watermark, vocabulary), watermark.context_tokens
    grams = dict.fromkeys(tuple(tokens[end - size : end + 1]) for end in range(size, len(tokens)))
    kept: OrderedDict[tuple[int, ...], Bools] = OrderedDict()
    green = 0
    for gram in grams:
        before, token = gram[:-1], gram[-1]
        if before not in kept:
            kept[before] = lists.at(before)
            if len(kept) > _KEPT_LISTS:
                kept.popitem(last=False)
        green += bool(kept[before][token])
    scored, gamma = len(grams), watermark.gamma
    spread = math.sqrt(scored * gamma * (1 - gamma))
    return Detection(
        tokens=len(tokens),
        scored=scored,
        green=green,
        gamma=gamma,
        z_score=(green - scored * gamma) / spread if scored else 0.0,
        p_value=binomial_tail(scored, green, gamma),
    )


def binomial_tail(trials: int, least: int, chance: float) -> float:
    """P(X >= least) of a binomial X: the terms themselves, added up, not an approximation. Good to some 10 digits."""
    if least > trials:
        return 0.0
    if least <= trials * chance:  # what is below it is the smaller side
        return 1.0 - _far_tail(trials, trials - least + 1, 1 - chance)
    return _far_tail(trials, least, chance)


def _far_tail(trials: int, least: int, chance: float) -> float:
    """The same beyond the mean, where terms fall."""
    if least > trials:
        return 0.0
    log_first = (
        math.lgamma(trials + 1)
        - math.lgamma(least + 1)
        - math.lgamma(trials - least + 1)
        + least * math.log(chance)
        + (trials - least) * math.log1p(-chance)
    )
    odds, term, total = chance / (1 - chance), 1.0, 0.0  # terms over the first
    for k in range(least, trials + 1):
        total += term
        term *= odds * (trials - k) / (k + 1)
        if term < total * 1e-17:
            break
    return min(1.0, math.exp(log_first) * total)
