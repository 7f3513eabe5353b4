"""Numbers that states give to people, and to those who trade under their own name: one row a number, by continent."""

from freehold.guard.detectors.national_americas import AMERICAS
from freehold.guard.detectors.national_europe import EUROPE
from freehold.guard.detectors.national_world import WORLD
from freehold.guard.detectors.number import detector

NUMBERS = (*EUROPE, *AMERICAS, *WORLD)
NATIONAL = tuple(detector(number) for number in NUMBERS)
