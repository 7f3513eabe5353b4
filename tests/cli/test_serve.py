import subprocess
import sys

import pytest


def loaded_with(module: str) -> set[str]:
    code = f"import sys, {module}; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """Every module that a node has before its first request."""
    modules = loaded_with("freehold.cli.serve")
    assert "freehold.gateway.server" in modules
    return modules


def test_a_node_does_not_hold_what_its_engine_and_other_commands_need(loaded: set[str]) -> None:
    """Its engine is another process: the compiler alone takes 37 MiB of memory."""
    assert not {"llvmlite", "tokenizers", "highspy", "torch"} & loaded


def test_what_few_nodes_need_is_loaded_by_those(loaded: set[str]) -> None:
    """10 MiB: pages, bars on a terminal, what reads models and their signatures, what compares answers of models."""
    assert not {"jinja2", "rich", "cryptography.x509", "stdnum"} & loaded
    assert not {"freehold.model_audits", "freehold.provenance.local", "freehold.provenance.scan"} & loaded


def test_what_few_requests_need_is_loaded_with_the_first_of_them(loaded: set[str]) -> None:
    """6 MiB: what looks at code and at calls of tools, telephone plans, dialects. Nothing that serves needs numpy, 11 MiB."""
    assert not {"numpy", "phonenumbers", "difflib"} & loaded
    assert not {"freehold.guard.weaknesses.find", "freehold.guard.calls.deeds", "freehold.gateway.wire.anthropic"} & loaded


@pytest.mark.parametrize("command", ["models", "bom", "watermark"])
def test_what_reads_models_needs_no_compiler(command: str) -> None:
    """37 MiB, and a third of a second before the first word."""
    assert "llvmlite" not in loaded_with(f"freehold.cli.{command}")
