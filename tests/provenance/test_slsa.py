import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freehold.core.errors import ArtefactError, MalformedArtefact, NotFound, VerificationError
from freehold.core.models import Manifest
from freehold.provenance.envelope import canonical_json, seal
from freehold.provenance.keys import NodeKey, trusted
from freehold.provenance.progress import Silent
from freehold.provenance.receipt import STATEMENT_MEDIA_TYPE
from freehold.provenance.slsa import (
    FILE_ROOT,
    MODEL_ROOT,
    Run,
    attest,
    build_digest,
    check_output,
    check_source,
    read_attestation,
    write_attestation,
)
from freehold.provenance.source_files import SourceFiles

KEY = NodeKey.generate()
KEYS = trusted(KEY.public)
AT = datetime(2026, 11, 28, tzinfo=UTC)
RUN = Run(asked={"quant": "Q8_0"}, steps={"steps": ["quantise"]}, started_at=AT, finished_at=AT)


def hashed(directory: Path, **contents: bytes) -> Manifest:
    directory.mkdir(exist_ok=True)
    for name, content in contents.items():
        (directory / name).write_bytes(content)
    return SourceFiles(directory, sorted(path.name for path in directory.iterdir())).hash(directory.name, Silent())


@pytest.fixture
def made(tmp_path: Path) -> tuple[Manifest, Manifest, Path]:
    """(output, source, statement)."""
    source = hashed(tmp_path / "source", config=b"{}", weights=b"w" * 100)
    output = hashed(tmp_path / "output", gguf=b"g" * 50)
    write_attestation(tmp_path / "statement", attest(output, source, RUN, KEY))
    return output, source, tmp_path / "statement"


def test_a_statement_names_source_output_parameters_and_build(made: tuple[Manifest, Manifest, Path]) -> None:
    output, source, path = made
    attested = read_attestation(path, KEYS)
    check_output(attested, output)
    check_source(attested, source)
    assert attested.signed_by == KEY.key_id
    assert (attested.source, attested.source_root) == ("source", source.model_id)
    assert attested.is_of_this_build
    statement = attested.statement
    assert statement.subject[0].digest == {"sha256": output.files[0].sha256, FILE_ROOT: output.files[0].root.hex()}
    assert statement.subject[-1].digest == {MODEL_ROOT: output.model_id}
    definition = statement.predicate.buildDefinition
    assert (definition.externalParameters, definition.internalParameters) == (RUN.asked, RUN.steps)
    assert statement.predicate.runDetails.metadata.startedOn == "2026-11-28T00:00:00Z"
    assert len(build_digest()) == 64


def changed(directory: Path) -> None:
    (directory / "weights").write_bytes(b"v" + b"w" * 99)


def longer(directory: Path) -> None:
    (directory / "weights").write_bytes(b"w" * 101)


def gone(directory: Path) -> None:
    (directory / "config").unlink()


def more(directory: Path) -> None:
    (directory / "adapter").write_bytes(b"")


def renamed(directory: Path) -> None:
    (directory / "config").rename(directory / "configuration")


def swapped(directory: Path) -> None:
    (directory / "config").rename(directory / "x")
    (directory / "weights").rename(directory / "config")
    (directory / "x").rename(directory / "weights")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (changed, "weights has other bytes than what was converted"),
        (longer, "weights has other bytes"),
        (gone, "config was converted, and is not there"),
        (more, "adapter is there, and is not what was converted"),
        (renamed, "config was converted, and is not there"),
        (swapped, "config has other bytes"),
    ],
)
def test_a_broken_chain_is_told_by_name(
    made: tuple[Manifest, Manifest, Path], tmp_path: Path, change: Callable[[Path], None], words: str
) -> None:
    change(tmp_path / "source")
    with pytest.raises(VerificationError, match=f"the chain is broken at source: {words}"):
        check_source(read_attestation(made[2], KEYS), hashed(tmp_path / "source"))
    with pytest.raises(VerificationError, match="broken at output: gguf has other bytes than what the conversion wrote"):
        check_output(read_attestation(made[2], KEYS), hashed(tmp_path / "output", gguf=b"h" * 50))


def test_a_statement_by_a_stranger_is_refused(made: tuple[Manifest, Manifest, Path]) -> None:
    with pytest.raises(VerificationError, match="none of which is trusted"):
        read_attestation(made[2], trusted(NodeKey.generate().public))


def test_a_statement_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="converted elsewhere"):
        read_attestation(tmp_path / "x", KEYS)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_flipped_bit_never_passes(made: tuple[Manifest, Manifest, Path], data: st.DataObject) -> None:
    raw = bytearray(attest(made[0], made[1], RUN, KEY))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    made[2].write_bytes(bytes(raw))
    with pytest.raises(ArtefactError):
        read_attestation(made[2], KEYS)


@pytest.mark.parametrize(
    "change", [{"predicateType": "https://slsa.dev/provenance/v0.2"}, {"subject": 1}, {"predicate": {}}, {"_type": "x"}]
)
def test_a_signed_statement_of_another_kind_is_malformed(
    made: tuple[Manifest, Manifest, Path], tmp_path: Path, change: dict[str, object]
) -> None:
    statement = json.loads(base64.b64decode(json.loads(made[2].read_bytes())["payload"])) | change
    (tmp_path / "other").write_bytes(seal(STATEMENT_MEDIA_TYPE, canonical_json(statement), KEY))
    with pytest.raises(MalformedArtefact):
        read_attestation(tmp_path / "other", KEYS)


def test_a_source_that_is_written_meanwhile_is_refused(tmp_path: Path) -> None:
    hashed(tmp_path / "source", weights=b"w" * 100)
    files = SourceFiles(tmp_path / "source", ["weights"])
    files.refuse_changed()
    (tmp_path / "source" / "weights").write_bytes(b"v" * 100)
    (tmp_path / "source" / "weights").write_bytes(b"w" * 100)  # and put back
    with pytest.raises(VerificationError, match="weights was changed while it was converted"):
        files.refuse_changed()
