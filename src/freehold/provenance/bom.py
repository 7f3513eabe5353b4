"""What is known of a model, for a bill of materials: out of its files' own words, and what this node knows of the files.

Sources, first come first: the card's front matter (README.md, as Hugging Face has it), the keys `general.*` of a GGUF, the
manifest. What none of them says is left out; nothing is guessed from a name. Words out of files are cut and printable.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from freehold.core.errors import MalformedArtefact
from freehold.core.models import Manifest

CARD_LIMIT_BYTES: Final = 256 << 10
TEXT_LIMIT_CHARS: Final = 500
ITEMS_LIMIT: Final = 200
_FRONT: Final = re.compile(r"\A---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\Z)", re.DOTALL)

# Licences that models come under, by SPDX's identifiers (spdx.org/licenses). Cards write them in small letters.
_IDENTIFIERS: Final = (
    "Apache-2.0 MIT BSD-2-Clause BSD-3-Clause ISC Unlicense WTFPL Zlib MPL-2.0 EPL-2.0 ECL-2.0 AFL-3.0 Artistic-2.0 BSL-1.0"
    " GPL-2.0-only GPL-3.0-only GPL-3.0-or-later LGPL-2.1-only LGPL-3.0-only LGPL-3.0-or-later AGPL-3.0-only AGPL-3.0-or-later"
    " CC0-1.0 CC-BY-2.0 CC-BY-2.5 CC-BY-3.0 CC-BY-4.0 CC-BY-SA-3.0 CC-BY-SA-4.0 CC-BY-NC-2.0 CC-BY-NC-3.0 CC-BY-NC-4.0"
    " CC-BY-ND-4.0 CC-BY-NC-ND-3.0 CC-BY-NC-ND-4.0 CC-BY-NC-SA-3.0 CC-BY-NC-SA-4.0 ODbL-1.0 PDDL-1.0 OFL-1.1 MS-PL"
    " CDLA-Permissive-1.0 CDLA-Permissive-2.0 CDLA-Sharing-1.0 EUPL-1.1 EUPL-1.2"
)
_SPDX: Final[Mapping[str, str]] = {name.lower(): name for name in _IDENTIFIERS.split()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """`spdx` where it is one of SPDX's, else the card's own name."""

    name: str
    spdx: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Another model or a data set, as this one names it."""

    name: str
    supplier: str | None = None
    version: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """`value` as the card has it; `slice_of` the data and the task."""

    kind: str
    value: str
    slice_of: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the header says, counted by the caller: none of it is in the card."""

    architecture: str | None = None
    parameters: int | None = None
    types: Mapping[str, int] | None = None  # of tensors, with how many there are
    context_tokens: int | None = None
    tokenizer: str | None = None
    template_digest: str | None = None
    format: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """None and empty are unknown."""

    manifest: Manifest
    facts: Facts
    trust: str | None = None
    name: str
    version: str | None = None
    description: str | None = None
    supplier: str | None = None
    author: str | None = None
    quantized_by: str | None = None
    licences: tuple[Licence, ...] = ()
    homepage: str | None = None
    source_url: str | None = None
    task: str | None = None
    library: str | None = None
    languages: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    datasets: tuple[Reference, ...] = ()
    base_models: tuple[Reference, ...] = ()
    metrics: tuple[Metric, ...] = ()
    emissions: tuple[tuple[str, str], ...] = ()  # of its training, as the card states them
    made_of: Reference | None = None  # what it was converted from: `version` is the root of that


def describe(
    manifest: Manifest, metadata: Mapping[str, Any], card: Mapping[str, Any], facts: Facts, trust: str | None = None
) -> Description:
    """`metadata` has GGUF's keys, `card` is a front matter; either may be empty."""
    general = {key.removeprefix("general."): value for key, value in metadata.items() if key.startswith("general.")}
    return Description(
        manifest=manifest,
        facts=facts,
        trust=trust,
        name=_text(card.get("model_name")) or _text(general.get("name")) or manifest.name,
        version=_text(general.get("version")),
        description=_text(general.get("description")),
        supplier=_text(general.get("organization")),
        author=_text(general.get("author")),
        quantized_by=_text(general.get("quantized_by")),
        licences=tuple(_licences(card, general)) or _licence_of(manifest.licence),
        homepage=_url(general.get("url")) or _url(general.get("repo_url")),
        source_url=_url(general.get("source.url")) or _url(general.get("source.repo_url")),
        task=_text(card.get("pipeline_tag")),
        library=_text(card.get("library_name")),
        languages=_texts(card.get("language")) or _texts(general.get("languages")),
        tags=_texts(card.get("tags")) or _texts(general.get("tags")),
        datasets=tuple(_named(card.get("datasets") or general.get("datasets"))) or tuple(_numbered(general, "dataset")),
        base_models=tuple(_named(card.get("base_model"))) or tuple(_numbered(general, "base_model")),
        metrics=tuple(_metrics(card.get("model-index")))[:ITEMS_LIMIT],
        emissions=tuple(_emissions(card.get("co2_eq_emissions"))),
    )


def read_card(raw: bytes) -> Mapping[str, Any]:
    """The front matter of a README.md; empty where it has none. Raises MalformedArtefact, whatever the bytes."""
    try:
        found = _FRONT.match(raw[:CARD_LIMIT_BYTES].decode())
        card = yaml.load(found[1], Loader=_PlainLoader) if found is not None else {}  # noqa: S506 - a safe loader with less
    except (yaml.YAMLError, ValueError, RecursionError, TypeError, LookupError) as exc:
        raise MalformedArtefact("the front matter of the card is not YAML that a card has") from exc
    return card if isinstance(card, dict) else {}


class _PlainLoader(yaml.SafeLoader):  # type: ignore[misc]  # the package ships no types
    """Without aliases: with them a few lines unfold to gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("an alias")
        return super().compose_node(parent, index)


def _text(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = "".join(c if c.isprintable() else " " for c in str(value)[:TEXT_LIMIT_CHARS]).strip()
    return text or None


def _texts(value: object) -> tuple[str, ...]:
    values = value if isinstance(value, list | tuple) else [value]
    return tuple(text for one in values[:ITEMS_LIMIT] if (text := _text(one)) is not None)


def _url(value: object) -> str | None:
    text = _text(value)
    return text if text is not None and re.fullmatch(r"https?://[^\s<>\"{}|\\^`]+", text) else None


def _licences(card: Mapping[str, Any], general: Mapping[str, Any]) -> Iterator[Licence]:
    url = _url(card.get("license_link")) or _url(general.get("license.link"))
    longer = _text(card.get("license_name")) or _text(general.get("license.name"))
    for name in _texts(card.get("license")) or _texts(general.get("license")):
        spdx = _SPDX.get(name.lower())
        yield Licence(name=longer if spdx is None and longer else name, spdx=spdx, url=None if spdx else url)


def _licence_of(name: str | None) -> tuple[Licence, ...]:
    return () if not name else (Licence(name=name, spdx=_SPDX.get(name.lower())),)


def _named(value: object) -> Iterator[Reference]:
    """Names of Hugging Face's: OWNER/NAME."""
    for name in _texts(value):
        owner, _, _ = name.rpartition("/")
        yield Reference(name=name, supplier=owner or None)


def _numbered(general: Mapping[str, Any], kind: str) -> Iterator[Reference]:
    """`general.dataset.0.name` and so on (ggml/docs/gguf.md)."""
    count = general.get(f"{kind}.count")
    for i in range(min(count, ITEMS_LIMIT) if type(count) is int else 0):
        name = _text(general.get(f"{kind}.{i}.name"))
        if name is not None:
            supplier = _text(general.get(f"{kind}.{i}.organization")) or _text(general.get(f"{kind}.{i}.author"))
            url = _url(general.get(f"{kind}.{i}.repo_url")) or _url(general.get(f"{kind}.{i}.url"))
            yield Reference(name=name, supplier=supplier, version=_text(general.get(f"{kind}.{i}.version")), url=url)


def _metrics(index: object) -> Iterator[Metric]:
    """Hugging Face's model-index: models, their results, and of each the metrics."""
    for model in _tables(index):
        for result in _tables(model.get("results")):
            task, data = (_text(_table(result.get(key)).get("name")) for key in ("task", "dataset"))
            where = " · ".join(part for part in (data, task) if part)
            for metric in _tables(result.get("metrics")):
                kind, value = _text(metric.get("name")) or _text(metric.get("type")), _text(metric.get("value"))
                if kind is not None and value is not None:
                    yield Metric(kind=kind, value=value, slice_of=where or None)


def _emissions(value: object) -> Iterator[tuple[str, str]]:
    """Grams of CO2 equivalent, and what they are of; a number alone is grams."""
    table = value if isinstance(value, dict) else {"emissions": value}
    for key in ("emissions", "source", "training_type", "geographical_location", "hardware_used"):
        text = _text(table.get(key))
        if text is not None:
            yield ("emissions_g" if key == "emissions" else key, text)


def _tables(value: object) -> Sequence[Mapping[str, Any]]:
    return [one for one in value[:ITEMS_LIMIT] if isinstance(one, dict)] if isinstance(value, list) else []


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
