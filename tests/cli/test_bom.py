"""`freehold bom`: what a model is made of, told, signed and proven."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from freehold.cli import main
from freehold.provenance.keys import NodeKey
from tests.cli.test_convert import pickled
from tests.fakes.tiny_directory import tiny_directory


def freehold(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def source(home: Path, tmp_path: Path) -> Path:
    """A folder of safetensors with a card, converted to a model called tiny-q8_0."""
    source = tmp_path / "tiny"
    tiny_directory(source, "llama")
    (source / "README.md").write_text("---\nlicense: mit\ndatasets: [acme/words]\n---\n# Tiny\n")
    assert freehold("models", "convert", source, "--quant", "Q8_0", "--quiet").exit_code == 0
    return source


def model_path(home: Path) -> Path:
    return home / "models" / "tiny-q8_0" / "tiny-q8_0.gguf"


def test_a_conversion_is_proven_from_its_source_on(home: Path, source: Path, tmp_path: Path) -> None:
    proven = freehold("bom", "tiny-q8_0", "--verify", "--source", source)
    assert proven.exit_code == 0, proven.output
    first, second = proven.stdout.splitlines()
    assert first.startswith("tiny-q8_0.gguf is what was made of tiny (root ")
    assert "this build, on the node with the key" in first
    assert second == f"{source} is what was converted: every file of it"
    # By the path alone, and by a key of another node.
    key = home / "keys" / "node.pub"
    elsewhere = CliRunner().invoke(
        main, ["bom", str(model_path(home)), "--verify", "--key", str(key)], env={"FREEHOLD_HOME": str(tmp_path / "other")}
    )
    assert elsewhere.exit_code == 0, elsewhere.output


def test_a_chain_goes_back_to_the_pickles(home: Path, tmp_path: Path) -> None:
    source, between = pickled(tmp_path / "tiny"), tmp_path / "safe"
    (source / "README.md").write_text("# Tiny\n")
    assert freehold("models", "convert", source, "--to", "safetensors", "--out", between, "--quiet").exit_code == 0
    assert freehold("models", "convert", between, "--quant", "Q8_0", "--name", "two", "--quiet").exit_code == 0
    proven = freehold("bom", "two", "--verify", "--source", between)
    assert proven.exit_code == 0, proven.output
    first, second, third = proven.stdout.splitlines()
    assert first.startswith("two.gguf is what was made of safe")
    assert second.endswith("safe is what was converted: every file of it")
    assert third.startswith("safe is what was made of tiny")
    assert freehold("bom", between, "--verify", "--source", source).exit_code == 0
    (between / "README.md").write_text("# Another\n")  # no weights, but written by the first step
    told = freehold("bom", "two", "--verify", "--source", between)
    assert (told.exit_code, "README.md has other bytes than what the conversion wrote" in told.stderr) == (1, True)


def test_a_broken_chain_is_told_by_name(home: Path, source: Path, tmp_path: Path) -> None:
    (source / "tokenizer_config.json").write_text("{}")
    told = freehold("bom", "tiny-q8_0", "--verify", "--source", source)
    assert told.exit_code == 1
    assert "the chain is broken at tiny: tokenizer_config.json has other bytes than what was converted" in told.stderr
    (source / "more.safetensors").write_bytes((source / "model.safetensors").read_bytes())
    told = freehold("bom", "tiny-q8_0", "--verify", "--source", source)
    assert "more.safetensors is there, and is not what was converted" in told.stderr
    raw = bytearray(model_path(home).read_bytes())
    raw[-1] ^= 1
    model_path(home).write_bytes(raw)
    assert "block 0 of tiny-q8_0.gguf" in freehold("bom", "tiny-q8_0", "--verify").stderr
    assert "tiny-q8_0.gguf has other bytes than what the conversion wrote" in freehold("bom", model_path(home), "--verify").stderr
    other = CliRunner().invoke(main, ["bom", str(model_path(home)), "--verify"], env={"FREEHOLD_HOME": str(tmp_path / "other")})
    assert (other.exit_code, "none of which is trusted" in other.stderr) == (1, True)


def test_a_model_that_was_not_converted_here_has_no_chain(home: Path, tmp_path: Path) -> None:
    tiny_directory(tmp_path / "tiny", "llama")
    told = freehold("bom", tmp_path / "tiny", "--verify")
    assert told.exit_code == 2
    assert "converted elsewhere" in told.stderr


def test_documents_are_written_and_signed(home: Path, source: Path, tmp_path: Path) -> None:
    cyclonedx = json.loads(freehold("bom", "tiny-q8_0").stdout)
    model = cyclonedx["metadata"]["component"]
    assert (model["type"], model["pedigree"]["ancestors"][0]["name"]) == ("machine-learning-model", "tiny")
    assert "trusted on first use" in json.dumps(model["properties"])
    folder = json.loads(freehold("bom", source).stdout)["metadata"]["component"]
    assert folder["licenses"] == [{"license": {"id": "MIT"}}]
    carded = json.loads(freehold("bom", "tiny-q8_0", "--card", source / "README.md").stdout)
    assert carded["metadata"]["component"]["licenses"] == [{"license": {"id": "MIT"}}]
    spdx = json.loads(freehold("bom", "tiny-q8_0", "--format", "spdx").stdout)
    assert any(one["type"] == "ai_AIPackage" for one in spdx["@graph"])
    slsa = json.loads(freehold("bom", "tiny-q8_0", "--format", "slsa").stdout)
    assert slsa["predicateType"] == "https://slsa.dev/provenance/v1"
    for form in ("cyclonedx", "spdx", "slsa"):
        out = tmp_path / f"{form}.json"
        assert freehold("bom", "tiny-q8_0", "--format", form, "--sign", "--out", out).exit_code == 0
        compared = freehold("bom", "tiny-q8_0", "--verify", "--bom", out)
        assert compared.stdout.startswith(f"{form}.json is of these files, signed by"), compared.output
        stranger = freehold("bom", source, "--verify", "--bom", out)
        assert (stranger.exit_code, "is of another model" in stranger.stderr) == (1, True)
    assert str(tmp_path) not in json.dumps([cyclonedx, spdx, slsa])


def test_a_signature_by_a_stranger_is_refused(home: Path, source: Path, tmp_path: Path) -> None:
    out, key = tmp_path / "bom.json", tmp_path / "stranger.pub"
    freehold("bom", "tiny-q8_0", "--sign", "--out", out)
    key.write_bytes(NodeKey.generate().public.pem())
    told = CliRunner().invoke(
        main,
        ["bom", str(model_path(home)), "--verify", "--bom", str(out), "--key", str(key)],
        env={"FREEHOLD_HOME": str(tmp_path / "other")},
    )
    assert (told.exit_code, "none of which is trusted" in told.stderr) == (1, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("absent",),
        ("./absent.gguf",),
        ("tiny-q8_0", "--source", "x"),
        ("tiny-q8_0", "--card", "x"),
        ("tiny-q8_0", "--out", "absent/x"),
        ("tiny-q8_0", "--verify", "--bom", "x"),
        ("tiny-q8_0", "--key", "x"),
        ("tiny-q8_0", "--key", __file__),
    ],
)
def test_what_is_not_there_is_told(home: Path, arguments: tuple[str, ...]) -> None:
    told = freehold("bom", *arguments)
    assert (told.exit_code, told.stderr.startswith("Error: ")) == (2, True), told.output


def test_a_folder_without_a_model_is_told_before_it_is_hashed(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    told = freehold("bom", tmp_path / "empty")
    assert (told.exit_code, "neither a .gguf file nor .safetensors files" in told.stderr) == (2, True)
