"""Open models as a planner sees them: what a token reads and computes, and what it leaves behind in the KV cache."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from freehold.core.errors import NotFound
from freehold.plan.tables import Row, needed, number, rows


class Weights(Enum):
    """Bytes for a weight as it is stored, scales of blocks with it (MXFP4: 4 bits and 8 for each 32)."""

    BF16 = 2.0
    FP8 = 1.0
    INT8 = 1.001
    MXFP4 = 0.53125


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoder:
    """`full_layers` of all attend to everything, the others to a window.

    `latent` numbers for a token and layer replace keys and values (MLA).
    """

    name: str
    parameters: float
    active_parameters: float
    layers: int
    hidden: int
    kv_heads: int
    head_dim: int
    full_layers: int
    window: int | None
    latent: int | None
    experts: int | None
    experts_per_token: int | None
    source: str

    def kv_bytes(self, context: float, bytes_each: float = 2.0) -> float:
        """Of one sequence of `context` tokens."""
        each = (self.latent or 2 * self.kv_heads * self.head_dim) * bytes_each
        windowed = min(context, self.window or context)
        return each * (self.full_layers * context + (self.layers - self.full_layers) * windowed)

    def read_parameters(self, batch: float, tensor: int, chips: int) -> float:
        """What one chip of `chips` reads for a step of `batch` tokens.

        Experts are spread over all chips, each as likely as any other. The rest is divided `tensor` ways.
        """
        if self.experts is None or self.experts_per_token is None:
            return self.parameters / chips
        expert = (self.parameters - self.active_parameters) / (self.experts - self.experts_per_token)
        shared = max(0.0, self.active_parameters - self.experts_per_token * expert)
        used = self.experts * (1 - (1 - self.experts_per_token / self.experts) ** batch)
        return float(shared / tensor + used * expert / chips)


def _decoder(row: Row) -> Decoder:
    whole = {name: int(needed(row, name)) for name in ("layers", "hidden", "kv_heads", "head_dim", "full_layers")}
    return Decoder(
        name=row["name"],
        parameters=needed(row, "parameters_b") * 1e9,
        active_parameters=needed(row, "active_b") * 1e9,
        source=row["source"],
        window=_whole(number(row, "window")),
        latent=_whole(number(row, "latent")),
        experts=_whole(number(row, "experts")),
        experts_per_token=_whole(number(row, "experts_per_token")),
        **whole,
    )


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


DECODERS: Mapping[str, Decoder] = {row["name"]: _decoder(row) for row in rows("models.csv")}


def find_decoder(query: str) -> Decoder:
    """By its name, whatever stands between its words: "llama-3.1-70b". Raises NotFound."""
    wanted = _plain(query)
    exact = [one for one in DECODERS.values() if _plain(one.name) == wanted]
    found = exact or [one for one in DECODERS.values() if wanted and wanted in _plain(one.name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise NotFound(f"{query!r} may be {', '.join(one.name for one in found)}: say which")
    raise NotFound(f"no model {query[:60]!r}; known: {', '.join(DECODERS)}")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9.]", "", name.lower())
