"""A model as an SPDX 3.0.1 document, JSON-LD, with the AI profile's package (spdx.github.io/spdx-spec/v3.0.1).

Conformance to the profile `ai` is claimed only where all is known that it asks for: supplier, place, version, time of release.
The package is the same without. Names are the context's own: `ai_`, `software_` and so on stand before a profile's properties.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from freehold import __version__
from freehold.provenance.bom import Description, Licence, Reference

MEDIA_TYPE = "application/spdx+json"
CONTEXT = "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"
NAMESPACE = "urn:freehold:model:"  # before a model's root
_CREATION = "_:creation"
_NO_LICENCE = "expandedlicensing_NoAssertionLicense"


def as_spdx(model: Description, at: datetime) -> dict[str, Any]:
    base = f"{NAMESPACE}{model.manifest.model_id}"
    tool = _element("SoftwareAgent", f"{base}#tool", name=f"freehold {__version__}")
    package, suppliers = _package(model, base)
    others = list(_others(model, base))
    files = [_file(model, base, i) for i in range(len(model.manifest.files))]
    # Whether several are to be chosen from or all hold, no card says.
    licences = [_licence(model.licences[0], f"{base}#licence")] if len(model.licences) == 1 else []
    declared = licences[0]["spdxId"] if licences else _NO_LICENCE
    relations = [
        _relation(base, "contains", base, [one["spdxId"] for one in files]),
        _relation(base, "hasDeclaredLicense", base, [declared]),
        _relation(base, "hasConcludedLicense", base, [_NO_LICENCE]),
        *(_relation(base, kind, base, [one["spdxId"]], i) for i, (kind, one) in enumerate(others)),
    ]
    elements = [tool, *suppliers, package, *files, *licences, *(one for _, one in others), *relations]
    document = _element(
        "SpdxDocument",
        f"{base}#document",
        name=f"Bill of materials of {model.name}",
        profileConformance=["core", "software", "simpleLicensing", *(["ai"] if _is_complete(package) else [])],
        rootElement=[base],
        element=[one["spdxId"] for one in elements],
    )
    creation = {
        "type": "CreationInfo",
        "@id": _CREATION,
        "specVersion": "3.0.1",
        "created": f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "createdBy": [tool["spdxId"]],
    }
    return {"@context": CONTEXT, "@graph": [creation, document, *elements]}


def _package(model: Description, base: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    facts = model.facts
    said = {
        "parameters": facts.parameters,
        "tensor types": ", ".join(f"{kind}: {count}" for kind, count in (facts.types or {}).items()),
        "context tokens": facts.context_tokens,
        "tokenizer": facts.tokenizer,
    }
    supplier = model.supplier or model.author
    suppliers = [_element("Organization" if model.supplier else "Agent", f"{base}#supplier", name=supplier)] if supplier else []
    files = model.manifest.files
    package = _element(
        "ai_AIPackage",
        base,
        name=model.name,
        description=model.description,
        comment=_comment(model),
        suppliedBy=suppliers[0]["spdxId"] if suppliers else None,
        software_packageVersion=model.version,
        software_downloadLocation=model.source_url,
        software_homePage=model.homepage,
        software_primaryPurpose="model",
        verifiedUsing=_hashes(files[0].sha256) if len(files) == 1 else None,
        ai_typeOfModel=[facts.architecture] if facts.architecture else None,
        ai_domain=[model.task] if model.task else None,
        ai_hyperparameter=[_entry(name, value) for name, value in said.items() if value],
        ai_metric=[_entry(f"{one.kind} ({one.slice_of})" if one.slice_of else one.kind, one.value) for one in model.metrics],
        ai_informationAboutTraining="; ".join(f"{name.replace('_', ' ')}: {value}" for name, value in model.emissions),
    )
    return package, suppliers


def _comment(model: Description) -> str:
    parts = [f"model root {model.manifest.model_id}"]
    if model.trust:
        parts.append(f"trust: {model.trust}")
    return "; ".join(parts)


def _is_complete(package: dict[str, Any]) -> bool:
    """The AI profile's own minimum, of which no file states a time of release today."""
    needed = ("suppliedBy", "software_downloadLocation", "software_packageVersion", "releaseTime")
    return all(name in package for name in needed)


def _file(model: Description, base: str, index: int) -> dict[str, Any]:
    file = model.manifest.files[index]
    return _element(
        "software_File",
        f"{base}#file-{index}",
        name=file.name,
        comment=f"{file.size_bytes} bytes; root of its blocks {file.root.hex()}",
        verifiedUsing=_hashes(file.sha256),
    )


def _others(model: Description, base: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(how the model stands to it, the other)."""
    for i, one in enumerate(model.datasets):
        yield "trainedOn", _reference(one, f"{base}#dataset-{i}", "data")
    for i, one in enumerate(model.base_models):
        yield "descendantOf", _reference(one, f"{base}#base-{i}", "model")
    if model.made_of is not None:
        yield "descendantOf", _reference(model.made_of, f"{base}#source", "model")


def _reference(one: Reference, spdx_id: str, purpose: str) -> dict[str, Any]:
    return _element(
        "software_Package",
        spdx_id,
        name=one.name,
        software_primaryPurpose=purpose,
        software_packageVersion=one.version,
        software_homePage=one.url,
    )


def _licence(one: Licence, spdx_id: str) -> dict[str, Any]:
    """A name of no licence of SPDX's is one of this document's own."""
    own = "LicenseRef-" + (re.sub(r"[^A-Za-z0-9.-]+", "-", one.name).strip("-") or "other")
    return _element(
        "simplelicensing_LicenseExpression", spdx_id, simplelicensing_licenseExpression=one.spdx or own, comment=one.url
    )


def _relation(base: str, kind: str, start: str, ends: list[str], number: int = 0) -> dict[str, Any]:
    name = f"{base}#{kind}-{number}"
    return _element("Relationship", name, relationshipType=kind, to=ends) | {"from": start}


def _entry(key: str, value: object) -> dict[str, str]:
    return {"type": "DictionaryEntry", "key": key, "value": str(value)}


def _hashes(sha256: str | None) -> list[dict[str, str]] | None:
    return None if sha256 is None else [{"type": "Hash", "algorithm": "sha256", "hashValue": sha256}]


def _element(kind: str, spdx_id: str, **values: Any) -> dict[str, Any]:
    known = {key: value for key, value in values.items() if value not in (None, [], "")}
    return {"type": kind, "spdxId": spdx_id, "creationInfo": _CREATION} | known
