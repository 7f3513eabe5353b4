import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """Every module that a node has before its first request."""
    code = "import sys, freehold.cli.serve; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "freehold.gateway.server" in done.stdout.split()
    return set(done.stdout.split())


def test_a_node_does_not_hold_what_its_engine_and_other_commands_need(loaded: set[str]) -> None:
    """Its engine is another process: the compiler alone takes 37 MiB of memory."""
    assert not {"llvmlite", "tokenizers", "highspy", "torch"} & loaded


def test_what_few_nodes_need_is_loaded_by_those(loaded: set[str]) -> None:
    """8 MiB: pages, bars on a terminal, what reads models and their signatures, what compares answers of models."""
    assert not {"jinja2", "rich", "numpy.random"} & loaded
    assert not {"freehold.model_audits", "freehold.provenance.local", "freehold.provenance.scan"} & loaded
