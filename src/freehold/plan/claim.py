"""A public claim, taken at its word: what it may mean, what it would take, and what stands against it.

"8 exaflops" names no precision, no chip and no power, so it has many readings; each is worked out, and the distance between
them is the first thing to know. A claim is one quantity (a rate, power, money, stored energy), a model on a card, or a chip
sent to a country. What is not in the text (which chip, how many megawatts) is a `Setting`, said by whoever asks.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

from freehold.core.errors import InvalidRequest
from freehold.plan.catalogue import Accelerator, Density, Precision, find
from freehold.plan.export import decide
from freehold.plan.fleet import EXA, Fleet, chips_for, fleet
from freehold.plan.grid import Grid
from freehold.plan.power import PUE
from freehold.plan.site import MOST_MW, SHELL_USD_PER_MW, WHOLE_USD_PER_MW, carbon_kt, energy_twh_per_year, share, site_of
from freehold.plan.streaming import QUANTISATIONS, Host, stream

# What a rate is compared with: the chip that most published clusters are made of.
YARDSTICK = "H100 SXM 80GB"
NEAR = 0.05  # a headline is rounded: within a twentieth it says the same
MUCH_OF_A_COUNTRY = 0.05

_SCALES: Mapping[str, float] = {"k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "p": 1e15, "e": 1e18, "z": 1e21}
_WORDS: Mapping[str, float] = {
    **dict.fromkeys(("m", "mn", "million"), 1e6),
    **dict.fromkeys(("b", "bn", "billion"), 1e9),
    **dict.fromkeys(("tn", "trillion"), 1e12),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """`value` in `unit`; None where it is unknown, with the reason in `note`."""

    name: str
    value: float | str | None
    unit: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    name: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What the claim's text leaves out."""

    chip: Accelerator | None = None
    chips: int | None = None
    site_mw: float | None = None
    grid: Grid | None = None
    day: date | None = None
    link_gb_per_s: float | None = None
    pue: float = PUE


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    text: str
    about: str
    readings: tuple[Reading, ...]
    against: tuple[str, ...]
    unsaid: tuple[str, ...]  # what the claim would have to say, to be one figure


def examine(text: str, setting: Setting) -> Claim:
    """Raises InvalidRequest where the text holds no quantity that is known here, and what the computations raise."""
    if setting.site_mw is not None and not 0 < setting.site_mw <= MOST_MW:
        raise InvalidRequest(f"megawatts lie between 0 and {MOST_MW:,.0f}, got {setting.site_mw:g}", param="mw")
    for pattern, about in _KINDS:
        if found := pattern.search(text):
            _refuse_others(text, found)
            return about(text, found, setting)
    raise InvalidRequest(
        f"no quantity in {text[:60]!r}: say a rate (8 exaflops), power (100 MW), money (200 billion USD, or '$200bn' "
        "in single quotes, as shells read $2 in double ones), stored energy (63 MWh), a model on a chip (70B on RTX 3090), or an "
        "export (H200 to CN)",
        param="text",
    )


def _refuse_others(text: str, found: re.Match[str]) -> None:
    """What else is said in numbers would be passed over, and a contradiction with it."""
    for pattern, about in _KINDS:
        for other in pattern.finditer(text) if about is not _export else ():  # a country holds no quantity
            if other.start() >= found.end() or other.end() <= found.start():
                raise InvalidRequest(
                    f"{found[0].strip()!r} and {other[0].strip()!r} are two claims: ask about each; "
                    "the power that goes with another quantity is said with --mw",
                    param="text",
                )


def precision_of(text: str) -> Precision | None:
    """Raises InvalidRequest for a precision that chips of the catalogue have no rates at."""
    found = re.search(r"\b(bf|fp|int|tf)-?(\d+)\b", text.lower())
    if found is None:
        return None
    word = "bf16" if found[0].replace("-", "") == "fp16" else found[0].replace("-", "")
    if word not in set(Precision):
        raise InvalidRequest(f"{word} rates are not in the catalogue: it has {', '.join(Precision)}", param="precision")
    return Precision(word)


def _compute(text: str, found: re.Match[str], setting: Setting) -> Claim:
    flop_per_s = _value(found[1]) * _SCALES[found[2][0].lower()]
    precision, words = precision_of(text), text.lower()
    density = Density.SPARSE if "spars" in words else Density.DENSE if "dense" in words else None
    unsaid = [*([] if precision else ["precision"]), *([] if density else ["dense or sparse"])]
    if setting.chip is None:
        raise InvalidRequest(
            f"{flop_per_s / EXA:.4g} EF of what? Name a chip with --chip; unsaid so far: {', '.join([*unsaid, 'chip'])}",
            param="chip",
        )
    kinds = [(one, how) for one, how in setting.chip.readings() if precision in (None, one) and density in (None, how)]
    if not kinds:
        setting.chip.flop_per_s(precision or Precision.BF16, density or Density.DENSE)  # says which figure is missing
    chip = setting.chip
    fleets = {kind: fleet(chip, chips_for(flop_per_s, chip, *kind), setting.pue) for kind in kinds}
    readings = tuple(_compute_reading(kind, one) for kind, one in fleets.items())
    return Claim(
        text=text,
        about=f"{flop_per_s / EXA:.4g} EF on {chip.name}",
        readings=readings,
        against=tuple(_against_compute(flop_per_s, fleets, setting)),
        unsaid=tuple(unsaid),
    )


def _compute_reading(kind: tuple[Precision, Density], one: Fleet) -> Reading:
    bf16 = one.rate(Precision.BF16)
    inferred = "inferred" if one.chip.is_inferred(Precision.BF16) else ""
    yardstick = find(YARDSTICK).flop_per_s(Precision.BF16)
    return Reading(
        name=f"{kind[0]} {kind[1]}",
        facts=(
            Fact(name="chips", value=one.chips),
            Fact(name="dense BF16", value=None if bf16 is None else bf16 / EXA, unit="EF", note=inferred),
            Fact(name="as many H100", value=None if bf16 is None else float(round(bf16 / yardstick)), note="by dense BF16"),
            Fact(name="IT power", value=one.it_mw, unit="MW", note=one.power.basis if one.power else "unknown"),
            Fact(name="site power", value=one.site_mw, unit="MW"),
            *_price(one),
        ),
    )


def _price(one: Fleet) -> tuple[Fact, ...]:
    if one.price_low_usd is None or one.price_high_usd is None:
        return ()
    return (Fact(name="chips cost", value=f"{one.price_low_usd / 1e9:.3g} to {one.price_high_usd / 1e9:.3g}", unit="bn USD"),)


def _against_compute(flop_per_s: float, fleets: Mapping[tuple[Precision, Density], Fleet], setting: Setting) -> list[str]:
    found = []
    counts = [one.chips for one in fleets.values()]
    if len(counts) > 1:
        found.append(
            f"the same words mean {min(counts):,} to {max(counts):,} chips, a factor of {max(counts) / min(counts):.3g}: "
            "without precision and density it is no figure"
        )
    if setting.chips is not None and setting.chip is not None:
        named = fleet(setting.chip, setting.chips, setting.pue)
        fits = [one for one in named.rates if abs(one.flop_per_s / flop_per_s - 1) <= NEAR]
        for one in fits:
            dense = named.rate(one.precision) or 0.0
            inferred = " (inferred)" if named.chip.is_inferred(one.precision) else ""
            counted = f"{inferred}" if one.density is Density.DENSE else f": dense it is {dense / EXA:.3g} EF{inferred}"
            found.append(f"{setting.chips:,} chips make the claim true at {one.precision} {one.density}{counted}")
        if not fits:
            rates = ", ".join(f"{one.flop_per_s / EXA:.3g} EF {one.precision} {one.density}" for one in named.rates)
            found.append(f"{setting.chips:,} chips give {rates}: none of it is the claim")
    if setting.site_mw is not None:
        for (precision, density), fleet_ in fleets.items():
            if fleet_.site_mw is not None and fleet_.site_mw > setting.site_mw * (1 + NEAR):
                found.append(f"{precision} {density} takes {fleet_.site_mw:.3g} MW at the site, not {setting.site_mw:g} MW")
    return found


def _power(text: str, found: re.Match[str], setting: Setting) -> Claim:
    site_mw = _value(found[1]) * _SCALES[found[2][0].lower()] / 1e6
    if site_mw > MOST_MW:
        raise InvalidRequest(f"{site_mw:.3g} MW is more than a third of what mankind uses: check the number", param="text")
    energy = energy_twh_per_year(site_mw)
    facts = [Fact(name="energy at full load", value=energy, unit="TWh a year")]
    against, unsaid = [], []
    if setting.grid is not None:
        of_country, carbon = share(energy, setting.grid), carbon_kt(energy, setting.grid)
        year = f"{setting.grid.country}, {setting.grid.year}, average of the grid"
        facts.append(Fact(name="CO2e", value=carbon, unit="kt a year", note=year))
        facts.append(
            Fact(name="share of the country", value=None if of_country is None else of_country * 100, unit="%", note=year)
        )
        if of_country is not None and of_country >= MUCH_OF_A_COUNTRY:
            total_gw = (setting.grid.total_twh or 0.0) * 1e3 / 8760
            against.append(
                f"{of_country:.0%} of all electricity made in {setting.grid.country} in {setting.grid.year}, "
                f"{setting.grid.total_twh:g} TWh or {total_gw:.3g} GW on average"
            )
    else:
        unsaid.append("country")
    facts.append(Fact(name="shell and power", value=site_mw * SHELL_USD_PER_MW / 1e9, unit="bn USD", note="no chips"))
    facts.append(Fact(name="everything", value=site_mw * WHOLE_USD_PER_MW[0] / 1e9, unit="bn USD", note="as Colossus 1"))
    readings = [Reading(name=f"{site_mw:,.4g} MW", facts=tuple(facts))]
    if setting.chip is None:
        unsaid.append("chip")
    else:
        site = site_of(site_mw, setting.chip, pue=setting.pue, grid=setting.grid)
        rates = tuple(
            Fact(name=f"{one.precision} {one.density}", value=one.flop_per_s / EXA, unit="EF") for one in site.fleet.rates
        )
        memory = site.fleet.memory_tb
        chips = (
            Fact(name="chips", value=site.fleet.chips, note=site.fleet.power.basis if site.fleet.power else ""),
            *((Fact(name="racks", value=site.racks),) if site.racks is not None else ()),
            Fact(name="memory", value=None if memory is None else memory / 1e3, unit="PB", note=setting.chip.memory_type or ""),
        )
        readings.append(Reading(name=f"filled with {setting.chip.name}", facts=(*chips, *rates)))
    return Claim(
        text=text, about=f"a site of {site_mw:,.4g} MW", readings=tuple(readings), against=tuple(against), unsaid=tuple(unsaid)
    )


def _money(text: str, found: re.Match[str], setting: Setting) -> Claim:
    usd = _value(found[1] or found[3]) * _WORDS[(found[2] or found[4]).lower()]
    whole = tuple(usd / per_mw / 1e3 for per_mw in reversed(WHOLE_USD_PER_MW))
    shell_gw = usd / SHELL_USD_PER_MW / 1e3
    readings = [
        Reading(
            name="all of it buys AI sites",
            facts=(Fact(name="power", value=whole[1], unit="GW", note="25.8 M$/MW, as Colossus 1"),),
        ),
        Reading(name="all of it buys shells", facts=(Fact(name="power", value=shell_gw, unit="GW", note="7 M$/MW, no chips"),)),
    ]
    chip = setting.chip
    unsaid = ["what is bought: shells, chips or both"]
    if chip is None:
        unsaid.append("chip")
    else:
        counts = (usd / chip.need("price_high_usd"), usd / chip.need("price_low_usd"))
        number = f"{counts[0]:,.0f} to {counts[1]:,.0f}"
        readings.append(Reading(name=f"all of it buys {chip.name}", facts=(Fact(name="chips", value=number),)))
    against = [
        f"{shell_gw:.3g} GW of shells or {whole[1]:.3g} GW of sites: a factor of {shell_gw / whole[1]:.2g} for the same money"
    ]
    if setting.site_mw is not None and setting.site_mw / 1e3 > shell_gw * (1 + NEAR):
        against.append(f"{setting.site_mw / 1e3:g} GW costs more than this even without chips")
    return Claim(
        text=text, about=f"{usd / 1e9:,.4g} bn USD", readings=tuple(readings), against=tuple(against), unsaid=tuple(unsaid)
    )


def _storage(text: str, found: re.Match[str], setting: Setting) -> Claim:
    mwh = _value(found[1]) * _SCALES[found[2][0].lower()] / 1e6
    if setting.site_mw is None:
        raise InvalidRequest(f"{mwh:g} MWh for how many megawatts? Say the load with --mw", param="mw")
    hours = mwh / setting.site_mw
    facts = (
        Fact(name="carries the load for", value=hours, unit="h"),
        Fact(name="a whole day would take", value=setting.site_mw * 24, unit="MWh"),
        Fact(name="a week without sun or wind", value=setting.site_mw * 168, unit="MWh"),
    )
    against = [] if hours >= 168 else [f"{hours:.3g} h is no continuous supply by itself: a still, dark week is 168 h"]
    return Claim(
        text=text,
        about=f"{mwh:g} MWh behind {setting.site_mw:g} MW",
        readings=(Reading(name="storage", facts=facts),),
        against=tuple(against),
        unsaid=("what charges it", "how much of the load may pause"),
    )


def _model(text: str, found: re.Match[str], setting: Setting) -> Claim:
    parameters = _value(found[1]) * 1e9
    chip = setting.chip or find(found[2])
    claimed = re.search(r"([\d.,]+(?:e\d+)?)\s*(k?)\s*(?:tok|tokens?)(?:/s| a second| per second)", text.lower())
    said = None if claimed is None else _value(claimed[1]) * (1e3 if claimed[2] else 1)
    readings, best = [], 0.0
    for name in QUANTISATIONS:
        one = stream(
            parameters, name, chip, Host() if setting.link_gb_per_s is None else Host(link_gb_per_s=setting.link_gb_per_s)
        )
        best = max(best, one.tokens_per_s)
        readings.append(
            Reading(
                name=name,
                facts=(
                    Fact(name="weights", value=one.weights_gb, unit="GB"),
                    Fact(name="fits", value="yes" if one.streamed_gb == 0 else "no", note=chip.name),
                    Fact(name="streamed for each token", value=one.streamed_gb, unit="GB"),
                    Fact(name="at most", value=one.tokens_per_s, unit="tokens/s", note=f"bound by {one.bound}"),
                ),
            )
        )
    against = []
    if said is not None and said > best:
        against.append(f"{said:,g} tokens/s is beyond the bound of every reading, {best:.2g} at most")
    slow = [one for one in readings if one.facts[1].value == "no"]
    if slow:
        against.append(f"does not fit at {', '.join(one.name for one in slow)}: the rest is read over a link for every token")
    unsaid = ["quantisation", *([] if setting.link_gb_per_s else ["the link's rate (taken: PCIe 4.0 x16)"])]
    about = f"{parameters / 1e9:g}B parameters on one {chip.name}"
    return Claim(text=text, about=about, readings=tuple(readings), against=tuple(against), unsaid=tuple(unsaid))


def _export(text: str, found: re.Match[str], setting: Setting) -> Claim:
    if setting.day is None:
        raise InvalidRequest("the rules changed three times in three years: say the day with --date", param="date")
    chip = setting.chip or find(re.sub(r"\b(?:exports?|sales?|sell|ship|of|the|chips?)\b", " ", found[1], flags=re.IGNORECASE))
    decision = decide(chip, found[3], setting.day, found[2] or "US")
    facts = (
        Fact(name="TPP", value=decision.parameters.tpp),
        Fact(name="density", value=decision.parameters.density, note="" if decision.parameters.density else "die area unknown"),
        Fact(name="DRAM bandwidth", value=decision.parameters.bandwidth, unit="GB/s"),
        Fact(name="outcome", value=decision.outcome.value, note=str(setting.day)),
    )
    about = (
        f"{chip.name} from {decision.origin} to {decision.destination} on {setting.day}: a test of parameters, not legal advice"
    )
    reading = Reading(name="by the rules of the day", facts=facts)
    return Claim(text=text, about=about, readings=(reading,), against=decision.reasons, unsaid=("end user", "end use"))


def _value(text: str) -> float:
    try:
        value = float(text.replace(",", ""))
    except ValueError:
        value = 0.0
    if value <= 0:
        raise InvalidRequest(f"{text!r} is no number above zero", param="text")
    return value


_NUMBER = r"(?<![\w.,-])(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
# The first that matches decides: energy before power, a model on a card before money.
_KINDS: tuple[tuple[re.Pattern[str], Callable[[str, re.Match[str], Setting], Claim]], ...] = (
    (re.compile(rf"{_NUMBER}\s*-?(zetta|exa|peta|tera|[ZEPT])(?:flops?|flop/s|F)(?:/s)?\b", re.IGNORECASE), _compute),
    (re.compile(rf"{_NUMBER}\s*([kMG])Wh\b"), _storage),
    (re.compile(rf"{_NUMBER}\s*([kMG])W\b"), _power),
    (re.compile(rf"{_NUMBER}\s*B\b.*?\bon\s+(?:one|an?|a single)?\s*([A-Z][\w -]*?\d\w*|\d+)\b"), _model),
    (re.compile(r"^\s*(.+?)\s+(?:from\s+([A-Z]{2})\s+)?to\s+([A-Z]{2})\b"), _export),
    (
        re.compile(
            rf"\$\s*{_NUMBER}\s*(bn|billion|b|mn|million|m|tn|trillion)\b|{_NUMBER}\s*(bn|billion|million|trillion)\s*(?:USD|dollars)",
            re.IGNORECASE,
        ),
        _money,
    ),
)
