"""A watermark's secret and parameters.

The scheme is that of Kirchenbauer et al. 2023 (arXiv 2301.10226): the tokens before a place and a secret choose a part `gamma` of
the vocabulary, its green list, whose logits are raised by `delta`; who knows the secret counts green tokens. How the lists come
about is in `engine/green_list.py`, where the secret lies in `provenance/watermark.py`.
"""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Final

from freehold.core.errors import InvalidRequest

SCHEME: Final = "green-list-v1"
SECRET_BYTES: Final = 32
PARTS: Final = 1 << 16  # gamma is a whole number of these: a token is green by 16 bits
MAX_DELTA: Final = 20.0
MAX_CONTEXT: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Watermark:
    """One tenant's. `gamma_parts` / 65536 of the tokens are green; `context_tokens` before a place choose which."""

    secret: bytes = field(repr=False)
    gamma_parts: int
    delta: float
    context_tokens: int

    @property
    def gamma(self) -> float:
        return self.gamma_parts / PARTS

    @property
    def digest(self) -> str:
        """SHA-256 over what may be known of it, hex: the parameters, and a hash of the secret. In receipts."""
        public = {
            "scheme": SCHEME,
            "gamma_parts": self.gamma_parts,
            "delta": self.delta,
            "context_tokens": self.context_tokens,
            "secret_digest": hashlib.sha256(b"freehold watermark" + self.secret).hexdigest(),
        }
        return hashlib.sha256(json.dumps(public, sort_keys=True).encode()).hexdigest()


def watermark(secret: bytes, *, gamma: float, delta: float, context_tokens: int) -> Watermark:
    """Raises InvalidRequest for parameters that mark nothing or everything."""
    parts = round(gamma * PARTS) if 0 < gamma < 1 else 0
    if not 0 < parts < PARTS:
        raise InvalidRequest(f"gamma is {gamma:g}; the green part of the vocabulary must be between 0 and 1", param="gamma")
    if not 0 < delta <= MAX_DELTA:
        raise InvalidRequest(f"delta is {delta:g}; it must be above 0 and at most {MAX_DELTA:g}", param="delta")
    if not 1 <= context_tokens <= MAX_CONTEXT:
        raise InvalidRequest(f"context is {context_tokens} tokens; it must be 1 to {MAX_CONTEXT}", param="context")
    return Watermark(secret=secret, gamma_parts=parts, delta=delta, context_tokens=context_tokens)
