from pathlib import Path

import pytest

from freehold.core.errors import DeviceError, MalformedArtefact
from freehold.provenance.files import named, read_small


def test_a_small_file_is_read_whole_and_a_larger_one_refused(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(b"12345")
    assert read_small(file, "key", 5) == b"12345"
    with pytest.raises(MalformedArtefact, match=f"{file} has more than 4 bytes: no key has"):
        read_small(file, "key", 4)


def test_one_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=f"cannot read the key {tmp_path}: Is a directory"):
        read_small(tmp_path, "key", 5)


def test_what_cannot_be_parsed_is_named_by_its_file_and_other_errors_stay() -> None:
    with pytest.raises(MalformedArtefact, match=r"^a\.json: no object"), named("a.json"):
        raise MalformedArtefact("no object")
    with pytest.raises(DeviceError, match=r"^gone"), named("a.json"):
        raise DeviceError("gone")
