"""Accelerators: what their makers publish, and what nobody has published.

A rate of arithmetic is never a bare number: it has a precision, it is dense or counts on sparsity, and it belongs to one
chip. What is unknown is None here and an `UnknownFigure` where a computation needs it; nothing is guessed. `inferred` names
the figures that were worked out from others. Where each row comes from is its `source`.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum

from freehold.core.errors import NotFound, UnknownFigure
from freehold.plan.tables import Row, cells, number, rows

TERA = 1e12


class Precision(StrEnum):
    """What operands are made of. BF16 stands for FP16 too: no chip here has different rates for the two."""

    BF16 = "bf16"
    FP8 = "fp8"
    INT8 = "int8"
    FP4 = "fp4"

    @property
    def bits(self) -> int:
        return {Precision.BF16: 16, Precision.FP8: 8, Precision.INT8: 8, Precision.FP4: 4}[self]


class Density(StrEnum):
    """`SPARSE` rates count multiplications by zeros that a chip leaves out, where a model's weights have them."""

    DENSE = "dense"
    SPARSE = "sparse"


class Scope(StrEnum):
    """What `all_in_w` covers: a chip's share of a system under power, or of the whole site with cooling."""

    IT = "it"
    SITE = "site"


_COLUMNS: Mapping[Precision, str] = {
    Precision.BF16: "bf16_dense_tflops",
    Precision.FP8: "fp8_dense_tflops",
    Precision.INT8: "int8_dense_tops",
    Precision.FP4: "fp4_dense_tflops",
}
_CONSUMER = frozenset({"consumer", "edge", "soc"})  # not designed or marketed for data centres


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """One chip, or one wafer-scale system. `dense_tera_ops` is 10^12 additions and multiplications a second, by precision."""

    name: str
    vendor: str
    kind: str
    released: str
    status: str
    dense_tera_ops: Mapping[Precision, float]
    sparse_factor: float | None  # the maker's sparse rate over the dense one
    sparse_precisions: frozenset[Precision]
    memory_gb: float | None
    memory_type: str | None
    memory_gb_per_s: float | None
    tdp_w: float | None
    all_in_w: float | None  # provisioned watts for one chip with its share of hosts, network and storage
    all_in_scope: Scope | None
    link_gb_per_s: float | None  # to its neighbours in one scale-up domain, both directions together
    die_mm2: float | None
    price_low_usd: float | None
    price_high_usd: float | None
    rent_usd_per_h: float | None
    inferred: frozenset[str]
    source: str
    notes: str

    @property
    def is_datacentre(self) -> bool:
        return self.kind not in _CONSUMER

    @property
    def has_hbm(self) -> bool:
        return "HBM" in (self.memory_type or "")

    def flop_per_s(self, precision: Precision, density: Density = Density.DENSE) -> float:
        """Of one chip. Raises UnknownFigure."""
        dense = self.dense_tera_ops.get(precision)
        if dense is None:
            raise UnknownFigure(
                f"cannot compute: {_COLUMNS[precision]} of {self.name} is unknown; known precisions: "
                f"{', '.join(self.dense_tera_ops) or 'none'}"
            )
        if density is Density.DENSE:
            return dense * TERA
        if self.sparse_factor is None or precision not in self.sparse_precisions:
            raise UnknownFigure(f"cannot compute: a sparse rate of {self.name} at {precision} is unknown; ask for the dense one")
        return dense * self.sparse_factor * TERA

    def readings(self) -> Iterable[tuple[Precision, Density]]:
        """Every way in which this chip's rate can be told."""
        for precision in self.dense_tera_ops:
            yield precision, Density.DENSE
            if self.sparse_factor is not None and precision in self.sparse_precisions:
                yield precision, Density.SPARSE

    def is_inferred(self, precision: Precision, density: Density = Density.DENSE) -> bool:
        """A dense rate that was worked out from the sparse one, which is what the maker published."""
        return density is Density.DENSE and _COLUMNS[precision] in self.inferred

    def need(self, field: str) -> float:
        """The figure of that name. Raises UnknownFigure."""
        value = getattr(self, field)
        if value is None:
            raise UnknownFigure(f"cannot compute: {field} of {self.name} is unknown")
        assert isinstance(value, float)
        return value

    def unknown(self) -> list[str]:
        """The names of all that nobody published, in the catalogue's order."""
        rates = [column for precision, column in _COLUMNS.items() if precision not in self.dense_tera_ops]
        return rates + [field.name for field in fields(self) if getattr(self, field.name) is None]


def _accelerator(row: Row) -> Accelerator:
    rates = {precision: number(row, column) for precision, column in _COLUMNS.items()}
    return Accelerator(
        dense_tera_ops={precision: rate for precision, rate in rates.items() if rate is not None},
        sparse_precisions=frozenset(Precision(word) for word in row["sparse_precisions"].split()),
        memory_type=row["memory_type"] or None,
        all_in_scope=Scope(row["all_in_scope"]) if row["all_in_scope"] else None,
        inferred=frozenset(row["inferred"].split()),
        **cells(row, Accelerator),
    )


CATALOGUE: Mapping[str, Accelerator] = {row["name"]: _accelerator(row) for row in rows("accelerators.csv")}


def find(query: str) -> Accelerator:
    """By its name or enough words of it: "H100", "rtx 4090", "CS-3". Raises NotFound with what is near."""
    words = _words(query)
    exact = [chip for chip in CATALOGUE.values() if _words(chip.name) == words]
    found = exact or [chip for chip in CATALOGUE.values() if words and set(words) <= set(_words(chip.name))]
    found.sort(key=lambda chip: len(_words(chip.name)))
    if found and all(set(_words(found[0].name)) <= set(_words(chip.name)) for chip in found):
        return found[0]
    if found:
        raise NotFound(f"{query!r} may be {_listed(chip.name for chip in found)}: say which")
    short = {" ".join(_words(chip.name)[:2]): chip.name for chip in CATALOGUE.values()}
    near = difflib.get_close_matches(" ".join(words), short, n=3, cutoff=0.4)
    hint = f"near it: {_listed(short[name] for name in near)}" if near else f"known: {_listed(CATALOGUE)}"
    raise NotFound(f"no accelerator {query[:60]!r} in the catalogue; {hint}")


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", name.lower())


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
