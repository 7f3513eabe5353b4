"""The embedded model against llama.cpp, teacher-forced with llama.cpp's own tokens (tests/vectors/agreement_smollm2.json).

Both round activations to signed bytes in their own way, so near-ties may fall either way: argmax must agree where llama.cpp's
first two are more than 0.3 of log-probability apart, and its top three must have nearly our log-probabilities.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from freehold.core.exchange import KeyId, ModelId
from freehold.core.models import Manifest, ManifestFile, VerifiedModel
from freehold.engine.kernels.targets import host_targets
from freehold.engine.kv_cache import PAGE_POSITIONS, KvCache
from freehold.engine.models.llama import Llama
from freehold.engine.models.shape import shape_of
from freehold.engine.weights import Weights
from tests.engine.embedded_model import embedded_model
from tests.engine.models.tiny import batch

CLOSE_CALL = 0.3
VECTORS = Path(__file__).parents[2] / "vectors" / "agreement_smollm2.json"


def loaded(path: Path, kernels: str) -> Llama:
    file = ManifestFile(name=path.name, size_bytes=path.stat().st_size, root=b"", sha256="", leaves=())
    manifest = Manifest(model_id=ModelId("00" * 32), name="smollm2-135m", files=(file,), origin="a test")
    weights = Weights(
        VerifiedModel(manifest=manifest, directory=path.parent, signed_by=KeyId("test"), check_block=lambda *_: None)
    )
    shape = shape_of(weights.header.metadata, weights.header.tensors)
    pages = 256 // PAGE_POSITIONS
    cache = KvCache(shape.layers, shape.kv_heads, shape.head_dim, pages, 1, pages)
    return Llama(shape, weights.load(lambda *_: None).tensors, cache, 1, kernels)


def log_probabilities(model: Llama, case: dict[str, Any]) -> np.ndarray[Any, Any]:
    """(forced tokens, vocabulary)"""
    tokens = np.array(case["prompt"] + case["forced"], np.int32)
    sequence = model.cache.open()
    model.cache.reserve(sequence, len(tokens))
    logits = model.step(batch((sequence, 0, tokens)))[len(case["prompt"]) - 1 : -1].astype(np.float64)
    model.cache.free(sequence)
    shifted = logits - logits.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))


@pytest.mark.model
@pytest.mark.parametrize("kernels", host_targets())
def test_the_embedded_model_writes_what_llama_cpp_writes(kernels: str) -> None:
    vectors = json.loads(VECTORS.read_text())
    model = loaded(embedded_model(), kernels)
    clear, apart = 0, []
    for case in vectors["cases"]:
        for row, top in zip(log_probabilities(model, case), case["top"], strict=True):
            apart += [abs(row[token] - logprob) for token, logprob in top if logprob > -8]
            if top[0][1] - top[1][1] > CLOSE_CALL:
                clear += 1
                assert row.argmax() == top[0][0]
    model.close()
    assert clear > 90  # of 128: the vectors still hold what they are for
    assert np.median(apart) < 0.1
    assert np.max(apart) < 1.0
