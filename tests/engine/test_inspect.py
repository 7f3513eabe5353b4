import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freehold.core.errors import ArtefactError, DeviceError, MalformedArtefact
from freehold.engine.inspect import ModelFacts, inspect
from tests.engine.embedded_model import embedded_model
from tests.fakes.tiny_gguf import tiny_gguf, tiny_metadata, tiny_tensors, write_gguf


def facts(directory: Path, data: bytes) -> ModelFacts:
    path = directory / "tiny.gguf"
    path.write_bytes(data)
    return inspect(path)


def test_the_facts_of_a_model_we_run(tmp_path: Path) -> None:
    data = tiny_gguf()
    found = facts(tmp_path, data)
    parameters = sum(values.size for values in tiny_tensors(tiny_metadata()).values())
    assert found.supported
    assert (found.name, found.architecture, found.tokenizer) == ("tiny", "llama", "gpt2/smollm")
    assert (found.layers, found.embedding, found.heads, found.kv_heads) == (2, 64, 2, 1)
    assert (found.parameters, found.file_bytes, found.context_tokens) == (parameters, len(data), 256)
    assert [(share.type, share.tensors, share.size_bytes) for share in found.tensors] == [("F32", 20, 4 * parameters)]
    assert found.vocabulary == 264
    assert found.supports_tools is False
    assert found.template_digest


def test_all_that_is_unsupported_is_named(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"general.architecture": "mamba", "tokenizer.ggml.pre": "mystery", "tokenizer.chat_template": None}
    found = facts(tmp_path, tiny_gguf(**changes))
    assert not found.supported
    assert len(found.unsupported) == 3
    for reason, words in zip(found.unsupported, ("'mamba'", "'mystery'", "no chat template"), strict=True):
        assert words in reason


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"llama.rope.scaling.type": "su"}, "rope scaling 'su' is not supported"),
        ({"llama.attention.key_length": 48, "llama.rope.dimension_count": 48}, "head size 48 is not a multiple of 32"),
        ({"llama.attention.causal": False}, "the model reads texts and writes none"),
        ({"llama.attention.scale": 0.5}, "llama.attention.scale 0.5 is not supported"),
        ({"general.architecture": "gemma3n"}, "architecture 'gemma3n' is not supported; supported are llama, qwen2, qwen3"),
    ],
    ids=lambda v: next(iter(v)) if isinstance(v, dict) else "",
)
def test_a_graph_that_we_do_not_compute_is_named(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    found = facts(tmp_path, tiny_gguf(**changes))
    assert [words in reason for reason in found.unsupported] == [True]


def test_names_out_of_the_file_are_printable(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"general.name": "a\x1b[31mb\n"}
    assert facts(tmp_path, tiny_gguf(**changes)).name == "a[31mb"


def test_what_is_no_gguf_raises(tmp_path: Path) -> None:
    with pytest.raises(MalformedArtefact):
        facts(tmp_path, b"nothing")
    with pytest.raises(DeviceError, match="there is no"):
        inspect(tmp_path / "missing.gguf")


def read(directory: Path, changes: dict[str, Any]) -> None:
    """Facts or an ArtefactError, and nothing else."""
    metadata = {key: value for key, value in (tiny_metadata() | changes).items() if value is not None}
    with contextlib.suppress(ArtefactError):
        facts(directory, write_gguf(metadata, TENSORS))


TENSORS = tiny_tensors(tiny_metadata())
NAMES = ["rope.scaling.type", "rope.scaling.factor", "rope.scaling.original_context_length", "rope.scaling.attn_factor"]
NAMES += ["rope.scaling.yarn_beta_fast", "attention.sliding_window", "attention.sliding_window_pattern", "attention.causal"]
NAMES += ["attention.key_length", "attention.scale", "attn_logit_softcapping", "final_logit_softcapping", "expert_count"]
KEYS = [*tiny_metadata(), *(f"llama.{name}" for name in NAMES), "freehold.rope", "general.alignment"]
VALUES: list[Any] = [
    None,
    True,
    0,
    1,
    -1,
    1 << 40,
    1.5,
    float("nan"),
    float("inf"),
    "",
    "x",
    "\x00",
    [1, 2],
    [1.5],
    ["a"],
    ["a b"],
    [],
]


@pytest.mark.parametrize("key", KEYS)
def test_each_key_may_hold_anything(tmp_path: Path, key: str) -> None:
    for value in VALUES:
        read(tmp_path, {key: value})


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), min_size=1, max_size=3))
def test_metadata_of_any_kind_is_read_or_named_never_worse(tmp_path: Path, changes: dict[str, Any]) -> None:
    read(tmp_path, changes)


@pytest.mark.model
def test_the_embedded_model_is_one_we_run() -> None:
    found = inspect(embedded_model())
    assert found.supported
    assert (found.architecture, found.layers, found.vocabulary, found.context_tokens) == ("llama", 30, 49_152, 8192)
    assert {share.type for share in found.tensors} == {"Q4_1", "Q8_0", "F32"}
