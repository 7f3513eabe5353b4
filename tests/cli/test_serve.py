import subprocess
import sys


def test_a_node_does_not_hold_what_its_engine_and_other_commands_need() -> None:
    """Its engine is another process: the compiler alone takes 37 MiB of memory."""
    code = "import sys, freehold.cli.serve; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert "freehold.gateway.server" in loaded
    assert not {"llvmlite", "tokenizers", "highspy", "torch"}.intersection(loaded)
