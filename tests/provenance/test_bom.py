"""What a bill of materials says, held against the published schemas, and what it leaves out."""

import importlib
import importlib.util
import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from freehold.core.errors import MalformedArtefact
from freehold.core.models import Manifest
from freehold.provenance.bom import Description, Facts, Reference, describe, read_card
from freehold.provenance.bom_cyclonedx import as_cyclonedx
from freehold.provenance.bom_spdx import CONTEXT, as_spdx
from freehold.provenance.progress import Silent
from freehold.provenance.source_files import SourceFiles
from tests.fakes.tiny_gguf import write_gguf

AT = datetime(2026, 11, 28, tzinfo=UTC)
CARD = b"""---
license: apache-2.0
language: [en, de]
tags:
- chat
datasets: [acme/words, acme/dialogues]
base_model: acme/Base-1B
pipeline_tag: text-generation
co2_eq_emissions:
  emissions: 1200
  source: CodeCarbon
  hardware_used: 8 x H100
model-index:
- name: m
  results:
  - task: {name: Reasoning}
    dataset: {name: ARC}
    metrics: [{type: acc, value: 51.5}, {name: ECE, value: 0.1}]
---
# A model
"""
METADATA = {
    "general.name": "Acme 1B",
    "general.version": "v2",
    "general.organization": "Acme",
    "general.license": "mit",
    "general.description": "A small model",
    "general.url": "https://acme.example/m",
    "general.source.url": "https://acme.example/source",
    "general.base_model.count": 1,
    "general.base_model.0.name": "Other base",
    "general.dataset.count": 1,
    "general.dataset.0.name": "Other data",
    "general.dataset.0.repo_url": "https://acme.example/data",
    "llama.block_count": 2,
}
FACTS = Facts(architecture="llama", parameters=1000, types={"Q8_0": 9, "F32": 3}, context_tokens=2048, format="GGUF 3")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    path = tmp_path_factory.mktemp("model") / "m.gguf"
    path.write_bytes(write_gguf({}, {"w": np.ones((2, 32), np.float32)}))
    return SourceFiles(path.parent, [path.name]).hash("m", Silent())


def whole(manifest: Manifest) -> Description:
    described = describe(manifest, METADATA, read_card(CARD), FACTS, "trusted on first use")
    return replace(described, made_of=Reference(name="m-source", version="ab" * 32))


def bare(manifest: Manifest) -> Description:
    return describe(manifest, {}, {}, Facts())


def cyclonedx_error(document: dict[str, Any]) -> object:
    """By the schema of CycloneDX 1.6, which its library brings."""
    return _cyclonedx_validator().validate_str(json.dumps(document))


@cache
def _cyclonedx_validator() -> Any:
    validators, schema = importlib.import_module("cyclonedx.validation.json"), importlib.import_module("cyclonedx.schema")
    return validators.JsonStrictValidator(schema.SchemaVersion.V1_6)


def spdx_errors(document: dict[str, Any]) -> list[str]:
    """By SPDX 3.0.1's own JSON schema, which lib4sbom brings."""
    return [error.message for error in _spdx_validator().iter_errors(document)]


@cache
def _spdx_validator() -> Draft202012Validator:
    spec = importlib.util.find_spec("lib4sbom")
    assert spec is not None
    assert spec.origin is not None
    schema = json.loads((Path(spec.origin).parent / "schemas" / "spdx" / "3.0-schema.json").read_bytes())
    assert schema["properties"]["@context"]["const"] == CONTEXT  # 3.0.1 and no other
    return Draft202012Validator(schema)


def spdx_objects(document: dict[str, Any]) -> list[Any]:
    """Read by SPDX's own model, which refuses unknown names, wrong types and missing values."""
    model = importlib.import_module("spdx_python_model").v3_0_1
    objects = model.SHACLObjectSet()
    model.JSONLDDeserializer().read(io.BytesIO(json.dumps(document).encode()), objects)
    assert not objects.missing_ids - {"https://spdx.org/rdf/3.0.1/terms/ExpandedLicensing/NoAssertionLicense"}
    model.JSONLDSerializer().write(objects, io.BytesIO())  # what is missing is told here
    return list(objects.foreach())


@pytest.mark.parametrize("describing", [whole, bare])
def test_a_cyclonedx_document_is_one_by_its_schema(manifest: Manifest, describing: Any) -> None:
    assert cyclonedx_error(as_cyclonedx(describing(manifest), AT)) is None


@pytest.mark.parametrize("describing", [whole, bare])
def test_an_spdx_document_is_one_by_its_schema(manifest: Manifest, describing: Any) -> None:
    assert spdx_errors(as_spdx(describing(manifest), AT)) == []


@pytest.mark.parametrize("describing", [whole, bare])
def test_an_spdx_document_is_one_by_its_model(manifest: Manifest, describing: Any) -> None:
    document = as_spdx(describing(manifest), AT)
    kinds = {type(one).__name__ for one in spdx_objects(document)}
    assert {"ai_AIPackage", "software_File", "Relationship", "SpdxDocument", "CreationInfo"} <= kinds


def test_the_model_card_says_what_the_files_say(manifest: Manifest) -> None:
    document = as_cyclonedx(whole(manifest), AT)
    model = document["metadata"]["component"]
    card = model["modelCard"]
    assert (model["type"], model["name"], model["version"]) == ("machine-learning-model", "Acme 1B", "v2")
    assert model["hashes"] == [{"alg": "SHA-256", "content": manifest.files[0].sha256}]
    assert model["licenses"] == [{"license": {"id": "Apache-2.0"}}]  # the card goes before the file
    assert card["modelParameters"]["modelArchitecture"] == "llama"
    assert card["modelParameters"]["task"] == "text-generation"
    assert [one["name"] for one in document["components"] if one["type"] == "data"] == ["acme/words", "acme/dialogues"]
    assert {"type": "acc", "value": "51.5", "slice": "ARC · Reasoning"} in card["quantitativeAnalysis"]["performanceMetrics"]
    assert {"name": "training emissions_g", "value": "1200"} in card["properties"]
    assert [one["name"] for one in model["pedigree"]["ancestors"]] == ["m-source", "acme/Base-1B"]
    assert {"name": "freehold:model-root", "value": manifest.model_id} in model["properties"]


def test_the_ai_package_says_the_same(manifest: Manifest) -> None:
    graph = as_spdx(whole(manifest), AT)["@graph"]
    (package,) = [one for one in graph if one["type"] == "ai_AIPackage"]
    assert package["ai_typeOfModel"] == ["llama"]
    assert {"type": "DictionaryEntry", "key": "acc (ARC · Reasoning)", "value": "51.5"} in package["ai_metric"]
    assert "1200" in package["ai_informationAboutTraining"]
    relations = {(one["relationshipType"], len(one["to"])) for one in graph if one["type"] == "Relationship"}
    assert {("trainedOn", 1), ("descendantOf", 1), ("hasDeclaredLicense", 1), ("contains", 1)} <= relations
    (licence,) = [one for one in graph if one["type"] == "simplelicensing_LicenseExpression"]
    assert licence["simplelicensing_licenseExpression"] == "Apache-2.0"
    assert "ai" not in next(one for one in graph if one["type"] == "SpdxDocument")["profileConformance"]  # no time of release


def test_what_is_unknown_is_left_out(manifest: Manifest) -> None:
    model = as_cyclonedx(bare(manifest), AT)["metadata"]["component"]
    assert set(model) == {"type", "bom-ref", "name", "hashes", "properties"}
    (package,) = [one for one in as_spdx(bare(manifest), AT)["@graph"] if one["type"] == "ai_AIPackage"]
    assert set(package) == {
        "type", "spdxId", "creationInfo", "name", "comment", "software_primaryPurpose", "verifiedUsing",
    }  # fmt: skip
    assert "unknown" not in json.dumps(as_cyclonedx(bare(manifest), AT)).lower()


def test_a_gguf_without_a_card_speaks_for_itself(manifest: Manifest) -> None:
    described = describe(manifest, METADATA, {}, FACTS)
    assert [one.spdx for one in described.licences] == ["MIT"]
    assert [(one.name, one.url) for one in described.datasets] == [("Other data", "https://acme.example/data")]
    assert [one.name for one in described.base_models] == ["Other base"]


def test_a_licence_of_its_own_keeps_its_name(manifest: Manifest) -> None:
    card = read_card(b"---\nlicense: other\nlicense_name: acme-community\nlicense_link: https://acme.example/licence\n---\n")
    described = describe(manifest, {}, card, FACTS)
    licence = as_cyclonedx(described, AT)["metadata"]["component"]["licenses"]
    assert licence == [{"license": {"name": "acme-community", "url": "https://acme.example/licence"}}]
    expressions = [one for one in as_spdx(described, AT)["@graph"] if one["type"] == "simplelicensing_LicenseExpression"]
    assert expressions[0]["simplelicensing_licenseExpression"] == "LicenseRef-acme-community"


@pytest.mark.parametrize("raw", [b"# no front matter", b"", b"---\n- a list\n---\n", b"---\nunclosed: 1\n"])
def test_a_readme_without_a_table_is_an_empty_card(raw: bytes) -> None:
    assert read_card(raw) == {}


@pytest.mark.parametrize(
    "raw",
    [b"---\na: [\n---\n", b"---\na: &x [1]\nb: *x\n---\n", b"---\na: !!python/object:x.y {}\n---\n", b"---\n\xff: 1\n---\n"],
)
def test_a_card_that_is_none_is_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedArtefact):
        read_card(raw)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=10,
)
keys = st.sampled_from(
    ["license", "datasets", "base_model", "model-index", "co2_eq_emissions", "tags", "language", "pipeline_tag"]
)


@settings(max_examples=15)
@given(st.dictionaries(keys, values, max_size=8), st.dictionaries(st.sampled_from(sorted(METADATA)), values, max_size=8))
def test_whatever_a_card_says_the_documents_hold_to_their_schemas(
    manifest: Manifest, card: dict[str, Any], metadata: dict[str, Any]
) -> None:
    described = describe(manifest, metadata, card, FACTS)
    assert cyclonedx_error(as_cyclonedx(described, AT)) is None
    assert spdx_errors(as_spdx(described, AT)) == []


def _unknown_name(element: dict[str, Any]) -> None:
    element["ai_colour"] = "blue"


def _unknown_purpose(element: dict[str, Any]) -> None:
    element["software_primaryPurpose"] = "gadget"


def _no_creation(element: dict[str, Any]) -> None:
    del element["creationInfo"]


@pytest.mark.parametrize("spoil", [_unknown_name, _unknown_purpose, _no_creation])
def test_the_schemas_refuse_what_is_none(manifest: Manifest, spoil: Callable[[dict[str, Any]], None]) -> None:
    """That nothing is found above says little unless something would be."""
    document = as_spdx(whole(manifest), AT)
    (package,) = [one for one in document["@graph"] if one["type"] == "ai_AIPackage"]
    spoil(package)
    assert spdx_errors(document)
    model = as_cyclonedx(whole(manifest), AT)
    model["metadata"]["component"]["modelCard"]["modelParameters"]["approach"] = {"type": "guessing"}
    assert cyclonedx_error(model) is not None


@given(st.binary(max_size=200))
def test_any_readme_is_a_card_or_malformed(noise: bytes) -> None:
    for raw in (noise, b"---\n" + noise + b"\n---\n"):
        try:
            read_card(raw)
        except MalformedArtefact:
            continue


def test_it_names_no_file_of_this_machine(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(b"x")
    manifest = SourceFiles(tmp_path, ["m.gguf"]).hash("m", Silent())
    described = describe(manifest, {}, {}, FACTS)
    assert str(tmp_path) not in json.dumps([as_cyclonedx(described, AT), as_spdx(described, AT)])
