"""A year of sun and wind made up from a seed: shapes to try a plan on, not the weather of a place.

Sun: the sky's geometry at a latitude, the clear-sky irradiance of Haurwitz (1945) on a panel that looks at the noon sun of the
equinox, and clouds that stay for a day or two. Wind: speeds of a Weibull distribution with lulls of days, through a turbine's
power curve, scaled to a mean. Both keep what a battery is sized by, which is that dark and still days follow each other; neither
knows of mountains, monsoons or which year it was. For a place, give a table of measured or reanalysed hours.
"""

import math
from statistics import NormalDist

import numpy as np

from freehold.core.errors import InvalidRequest
from freehold.plan.uncertainty import Array

HOURS = 8760
LATITUDE = 39.5  # Nevada
WIND_MEAN = 0.35  # of its capacity, a good site on land
SEED = 20_261_128
_CLOUD_H, _SPELL_H = 20.0, 96.0  # how long weather keeps: fronts, and the larger pattern behind them
_CUT_IN, _RATED, _CUT_OUT = 3.0, 12.0, 25.0  # m/s, of turbines on land
_SYSTEM = 0.86  # what reaches the meter: inverter, cables, dirt, heat


def solar(latitude_deg: float = LATITUDE, seed: int = SEED) -> Array:
    """Power over peak, hour by hour of a year. (8760,) in [0, 1]. Raises InvalidRequest."""
    if not -90 <= latitude_deg <= 90:
        raise InvalidRequest(f"a latitude lies between -90 and 90 degrees, got {latitude_deg:g}", param="latitude")
    hours = np.arange(HOURS)
    # Cooper (1969): declination of the sun on a day of the year.
    declination = np.radians(23.45) * np.sin(2 * np.pi * (284 + hours // 24 + 1) / 365)
    latitude, hour_angle = math.radians(latitude_deg), np.radians(15.0) * (hours % 24 + 0.5 - 12)
    zenith_cos = np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(declination) * np.cos(hour_angle)
    up = np.clip(zenith_cos, 1e-3, None)
    clear = np.where(zenith_cos > 0, 1098 * up * np.exp(-0.057 / up), 0.0)  # W/m², on level ground
    panel_cos = np.clip(np.cos(declination) * np.cos(hour_angle), 0, None)  # tilted by the latitude
    through = 0.15 + 0.85 / (1 + np.exp(-1.6 * _persistent(seed, hours.size) - 1.1))
    diffuse = 0.15 + 0.7 * (1 - through)  # a cloud spreads what it lets through
    beam = np.minimum(panel_cos / np.maximum(up, 0.1), 4.0)  # the sun near the horizon looks straight at a tilted panel
    on_panel = clear * through * ((1 - diffuse) * beam + diffuse)
    return np.asarray(np.clip(_SYSTEM * on_panel / 1000, 0.0, 1.0))


def wind(mean: float = WIND_MEAN, seed: int = SEED) -> Array:
    """Power over capacity, hour by hour of a year, `mean` on average. (8760,) in [0, 1]. Raises InvalidRequest."""
    if not 0.05 <= mean <= 0.6:
        raise InvalidRequest(f"the mean of wind lies between 0.05 and 0.6 of its capacity, got {mean:g}", param="wind-mean")
    normal = NormalDist()
    day = np.arange(HOURS) / 24
    shifted = (_persistent(seed + 1, HOURS) + 0.35 * np.cos(2 * np.pi * day / 365)) / math.hypot(1, 0.35 / math.sqrt(2))
    exceeded = np.array([normal.cdf(-float(one)) for one in shifted])
    shape = np.sqrt(-np.log(np.clip(exceeded, 1e-12, 1.0)))  # Weibull with k = 2, scale 1
    low, high = 1.0, 30.0  # m/s
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _turbine(middle * shape).mean() < mean else (low, middle)
    return _turbine(low * shape)


def _turbine(speed: Array) -> Array:
    rising = np.clip((speed**3 - _CUT_IN**3) / (_RATED**3 - _CUT_IN**3), 0.0, 1.0)
    return np.asarray(np.where(speed < _CUT_OUT, rising, 0.0))


def _persistent(seed: int, count: int) -> Array:
    """Two first-order processes, unit variance together, that stay for a day and for days."""
    generator = np.random.default_rng(seed)
    return math.sqrt(0.6) * _process(generator, _CLOUD_H, count) + math.sqrt(0.4) * _process(generator, _SPELL_H, count)


def _process(generator: np.random.Generator, hours: float, count: int) -> Array:
    keep = math.exp(-1 / hours)
    noise = generator.standard_normal(count) * math.sqrt(1 - keep * keep)
    found, value = np.empty(count), float(generator.standard_normal())
    for at, one in enumerate(noise):
        value = keep * value + float(one)
        found[at] = value
    return found
