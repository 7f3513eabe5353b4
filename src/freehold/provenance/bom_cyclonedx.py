"""A model as a CycloneDX 1.6 document with a model card (cyclonedx.org/docs/1.6/json).

The model is the document's subject; its files, the data it was trained on, the models it comes from and what it was converted
from are components. The model's root is no hash of a file, and so a property; files have their SHA-256. Emissions of a training
are properties: the card's own field for energy needs an energy and its providers, which hardly a card states.
"""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from freehold import __version__
from freehold.provenance.bom import Description, Licence, Reference

MEDIA_TYPE = "application/vnd.cyclonedx+json"
ROOT = "freehold:model-root"  # the property


def as_cyclonedx(model: Description, at: datetime) -> dict[str, Any]:
    datasets = [_dataset(one, i) for i, one in enumerate(model.datasets)]
    files = [_file(model, i) for i in range(len(model.manifest.files))]
    subject = _ref(model)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.uuid4().urn,
        "version": 1,
        "metadata": {
            "timestamp": f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "tools": {"components": [{"type": "application", "name": "freehold", "version": __version__}]},
            "component": _component(model, datasets),
        },
        "components": [*files, *datasets],
        "dependencies": [{"ref": subject, "dependsOn": [one["bom-ref"] for one in (*files, *datasets)]}],
    }


def _ref(model: Description) -> str:
    return f"model:{model.manifest.model_id}"


def _component(model: Description, datasets: list[dict[str, Any]]) -> dict[str, Any]:
    links = [("website", model.homepage), ("source-distribution", model.source_url)]
    made_of = [model.made_of] if model.made_of is not None else []
    ancestors = [
        _dataset(one, i) | {"type": "machine-learning-model", "bom-ref": f"ancestor:{i}"}
        for i, one in enumerate((*made_of, *model.base_models))
    ]
    files = model.manifest.files
    return _known(
        {
            "type": "machine-learning-model",
            "bom-ref": _ref(model),
            "name": model.name,
            "version": model.version,
            "description": model.description,
            "supplier": {"name": model.supplier} if model.supplier else None,
            "authors": [{"name": model.author}] if model.author else None,
            "publisher": model.quantized_by,
            "hashes": _hashes(files[0].sha256) if len(files) == 1 else None,
            "licenses": [_licence(one) for one in model.licences],
            "externalReferences": [{"type": kind, "url": url} for kind, url in links if url],
            "pedigree": {"ancestors": ancestors} if ancestors else None,
            "modelCard": _card(model, datasets),
            "properties": [{"name": name, "value": value} for name, value in _properties(model)],
            "tags": list(model.tags),
        }
    )


def _card(model: Description, datasets: list[dict[str, Any]]) -> dict[str, Any]:
    facts = model.facts
    parameters = _known(
        {"task": model.task, "modelArchitecture": facts.architecture, "datasets": [{"ref": one["bom-ref"]} for one in datasets]}
    )
    metrics = [_known({"type": one.kind, "value": one.value, "slice": one.slice_of}) for one in model.metrics]
    said = {
        "parameters": facts.parameters,
        "tensor types": ", ".join(f"{kind}: {count}" for kind, count in (facts.types or {}).items()),
        "context tokens": facts.context_tokens,
        "tokenizer": facts.tokenizer,
        "chat template sha256": facts.template_digest,
        "library": model.library,
        "languages": ", ".join(model.languages),
    } | {f"training {name}": value for name, value in model.emissions}
    return _known(
        {
            "modelParameters": parameters,
            "quantitativeAnalysis": {"performanceMetrics": metrics} if metrics else None,
            "properties": [{"name": name, "value": str(value)} for name, value in said.items() if value],
        }
    )


def _properties(model: Description) -> Iterator[tuple[str, str]]:
    yield ROOT, model.manifest.model_id
    if model.trust:
        yield "freehold:trust", model.trust
    if model.facts.format:
        yield "freehold:format", model.facts.format
    if model.manifest.origin and "/" not in model.manifest.origin:  # a path of this machine is nobody else's business
        yield "freehold:origin", model.manifest.origin


def _file(model: Description, index: int) -> dict[str, Any]:
    file = model.manifest.files[index]
    said = {"size-bytes": str(file.size_bytes), "file-root": file.root.hex()}
    return _known(
        {
            "type": "file",
            "bom-ref": f"file:{index}:{file.root.hex()}",
            "name": file.name,
            "hashes": _hashes(file.sha256),
            "properties": [{"name": f"freehold:{name}", "value": value} for name, value in said.items()],
        }
    )


def _hashes(sha256: str | None) -> list[dict[str, str]] | None:
    return None if sha256 is None else [{"alg": "SHA-256", "content": sha256}]


def _dataset(one: Reference, index: int) -> dict[str, Any]:
    return _known(
        {
            "type": "data",
            "bom-ref": f"dataset:{index}",
            "name": one.name,
            "version": one.version,
            "supplier": {"name": one.supplier} if one.supplier else None,
            "externalReferences": [{"type": "website", "url": one.url}] if one.url else None,
        }
    )


def _licence(one: Licence) -> dict[str, Any]:
    return {"license": _known({"id": one.spdx, "name": None if one.spdx else one.name, "url": one.url})}


def _known(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, [], {}, "")}
