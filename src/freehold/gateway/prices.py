"""What exchanges cost. A price that nobody told is unknown, never 0; so is a cost whose tokens nobody counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from freehold.core.events import Usage
from freehold.gateway.config import PriceConfig

_PICO = 1_000_000  # a dollar for a million tokens is a millionth of a dollar a token; prices go six places below that


@dataclass(frozen=True, slots=True)
class _Price:
    """Millionths of a microdollar a token, whole numbers: sums of them are exact."""

    input: int
    output: int
    cached_input: int
    cache_write: int


class PriceList:
    """Implements `core.ports.Prices`."""

    def __init__(self, entries: Sequence[PriceConfig]) -> None:
        self._entries = [(entry, _price(entry)) for entry in entries]
        self._known: dict[tuple[str, str | None], _Price | None] = {}

    def cost_microusd(self, model: str, upstream: str | None, usage: Usage | None) -> int | None:
        price = self._find(model, upstream)
        if price is None or usage is None:
            return None
        cached, written = usage.cached_input_tokens or 0, usage.cache_write_tokens or 0
        plain = None if usage.input_tokens is None else max(usage.input_tokens - cached - written, 0)
        input_cost, output_cost = _times(price.input, plain), _times(price.output, usage.output_tokens)
        if input_cost is None or output_cost is None:
            return None
        return -(-(input_cost + cached * price.cached_input + written * price.cache_write + output_cost) // _PICO)

    def ceiling_microusd(self, model: str, upstreams: Sequence[str], input_tokens: int, output_tokens: int) -> int | None:
        """The most that so many tokens cost, whichever of `upstreams` answers. None unless the price of each is known."""
        prices = [self._find(model, upstream) for upstream in upstreams]
        costs = [max(p.input, p.cache_write) * input_tokens + p.output * output_tokens for p in prices if p is not None]
        return -(-max(costs) // _PICO) if costs and len(costs) == len(prices) else None

    def _find(self, model: str, upstream: str | None) -> _Price | None:
        """Remembered: models and upstreams that are served are few."""
        key = model, upstream
        if key not in self._known:
            fits = (price for entry, price in self._entries if _fits(entry, model, upstream))
            self._known[key] = next(fits, None)
        return self._known[key]


def _fits(entry: PriceConfig, model: str, upstream: str | None) -> bool:
    return fnmatchcase(model, entry.model) and (not entry.upstreams or upstream in entry.upstreams)


def _times(price: int, tokens: int | None) -> int | None:
    """What costs nothing need not be counted: embeddings have no output."""
    return 0 if price == 0 else None if tokens is None else price * tokens


def _price(entry: PriceConfig) -> _Price:
    given = entry.input_usd, entry.output_usd, entry.cached_input_usd, entry.cache_write_usd
    return _Price(*(round((entry.input_usd if usd is None else usd) * _PICO) for usd in given))
