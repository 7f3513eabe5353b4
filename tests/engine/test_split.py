from pathlib import Path
from typing import Any

import pytest

from freehold.core.errors import ArtefactError, DeviceError, MalformedArtefact, UnsupportedArtefact
from freehold.engine.header import read_path
from freehold.engine.inspect import inspect
from freehold.engine.split import order_parts, part_names, read_parts
from tests.fakes.tiny_gguf import BytesPrefix, tiny_gguf, tiny_metadata, tiny_parts, tiny_tensors


def written(directory: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (directory / name).write_bytes(data)
    return directory / next(iter(files))


def test_all_parts_are_one_header(tmp_path: Path) -> None:
    files = tiny_parts(3)
    first = written(tmp_path, files)
    header = read_path(first)
    expected = tiny_tensors(tiny_metadata())
    assert set(header.tensors) == set(expected)
    assert {info.part for info in header.tensors.values()} == {0, 1, 2}
    assert header.file_bytes == sum(map(len, files.values()))
    for name, values in expected.items():
        info = header.tensors[name]
        data = list(files.values())[info.part]
        assert data[info.offset : info.offset + info.size_bytes] == values.astype("<f4").tobytes()


def test_any_part_stands_for_the_whole_model(tmp_path: Path) -> None:
    written(tmp_path, tiny_parts(3))
    facts = [inspect(path) for path in sorted(tmp_path.iterdir())]
    assert facts[0].supported
    assert facts[0] == facts[1] == facts[2]


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    first = written(tmp_path, tiny_parts(3))
    (tmp_path / "tiny-00002-of-00003.gguf").unlink()
    with pytest.raises(DeviceError, match=r"tiny-00002-of-00003.gguf is not beside .*: all 3 parts are needed in one folder"):
        read_path(first)


def test_a_part_under_another_name_is_refused() -> None:
    data = tiny_parts(3)["tiny-00001-of-00003.gguf"]
    with pytest.raises(UnsupportedArtefact, match=r"model.gguf holds one of 3 parts: keep all parts in one folder"):
        read_parts([(BytesPrefix(data), "model.gguf")])


def parsed(files: dict[str, bytes]) -> None:
    read_parts([(BytesPrefix(data), name) for name, data in files.items()])


def test_mixed_up_parts_are_refused_by_name() -> None:
    files, others = tiny_parts(2), tiny_parts(3)
    first, second = files
    with pytest.raises(MalformedArtefact, match=f"{first} holds part 2, not part 1"):
        parsed({first: files[second], second: files[first]})
    with pytest.raises(MalformedArtefact, match=f"{second} says it is one of 3 parts, its name says 2"):
        parsed(files | {second: others["tiny-00002-of-00003.gguf"]})
    with pytest.raises(MalformedArtefact, match=f"{second}: tensor .* is in {first}, too"):
        parsed(files | {second: tiny_parts(2, **{"llama.block_count": 1})[second]})
    smaller = tiny_parts(2, **{"llama.block_count": 1})
    with pytest.raises(MalformedArtefact, match=f"{first} says the model has 11 tensors, its 2 parts have 15"):
        parsed(files | {first: smaller[first]})


@pytest.mark.parametrize("value", [-1, "two", True, 1.5])
def test_what_is_no_number_of_parts_is_refused(value: Any) -> None:
    with pytest.raises(MalformedArtefact, match=r"split.count is not a number"):
        read_parts([(BytesPrefix(tiny_gguf(**{"split.count": value})), "tiny.gguf")])


def test_a_model_of_one_part_is_a_file_like_any_other() -> None:
    header = read_parts([(BytesPrefix(data), name) for name, data in tiny_parts(1).items()])
    assert len(header.tensors) == len(tiny_tensors(tiny_metadata()))


def test_a_merged_model_is_a_file_like_any_other() -> None:
    """gguf-split leaves a count of 0 in what it merges."""
    data = tiny_gguf(**{"split.count": 0, "split.no": 0, "split.tensors.count": 20})
    assert len(read_parts([(BytesPrefix(data), "merged.gguf")]).tensors) == 20


def test_names_of_parts() -> None:
    assert part_names("model.gguf") == ["model.gguf"]
    assert part_names("a-00002-of-00002.gguf") == ["a-00001-of-00002.gguf", "a-00002-of-00002.gguf"]
    for wrong in ("a-00003-of-00002.gguf", "a-00000-of-00002.gguf", "a-00001-of-99999.gguf"):
        with pytest.raises(UnsupportedArtefact, match="parts are possible"):
            part_names(wrong)


def test_the_files_of_a_model_are_one_or_one_whole_set() -> None:
    assert order_parts(["b.txt", "a.gguf"]) == ["a.gguf"]
    assert order_parts(["a-00002-of-00002.gguf", "a-00001-of-00002.gguf"]) == part_names("a-00001-of-00002.gguf")
    for names, words in (
        (["a.txt"], "no .gguf file"),
        (["a.gguf", "b.gguf"], "b.gguf is beside a.gguf"),
        (["a-00001-of-00003.gguf"], "a-00002-of-00003.gguf and 1 more are missing of 3 parts"),
        (["a-00001-of-00001.gguf", "b.gguf"], "b.gguf is beside"),
    ):
        with pytest.raises(ArtefactError, match=words):
            order_parts(names)
