from importlib.metadata import version
from pathlib import Path

from freehold.engine.libraries import libraries
from tests.engine.models_on_disk import verified_model
from tests.engine.test_runtime import runtime
from tests.fakes.tiny_gguf import tiny_gguf


def test_the_libraries_that_compute_are_named_with_their_versions() -> None:
    assert f"numpy {version('numpy')}" in libraries()
    assert f"llvmlite {version('llvmlite')}" in libraries()


def test_an_engine_says_what_it_computes_with(tmp_path: Path) -> None:
    made = runtime(verified_model(tmp_path, tiny_gguf()), kernels="portable", kv_type="q8")
    ready = made.ready
    made.close()
    assert (ready.kernels, ready.kv_type, ready.libraries) == ("portable", "q8", libraries())
