"""Places in what tools bring, and what stands there; the lists are data: `injection_places.toml`."""

from pathlib import Path

from bench.injection_texts import read

_LISTS, _TABLES = read(Path(__file__).with_suffix(".toml"))
PLACES = _LISTS["places"]
CALLS = _LISTS["calls"]
TURNS = _LISTS["turns"]
QUIET = _LISTS["quiet"]
HARMLESS = _LISTS["harmless"]
READERS = _LISTS["readers"]
PEOPLE_READERS = _LISTS["people_readers"]
READINGS = _LISTS["readings"]
ANYTHING = _LISTS["anything"]
TO_PEOPLE = _LISTS["to_people"]
OUTPUTS = _LISTS["outputs"]
OUTPUTS_HARMLESS = _LISTS["outputs_harmless"]
READER_SLOTS: dict[str, list[str]] = _TABLES["reader"]
