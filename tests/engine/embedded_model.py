"""Where tests that need the embedded model find it; they are skipped where nobody has pulled it."""

import os
from pathlib import Path

import pytest


def embedded_model() -> Path:
    home = Path(os.environ.get("FREEHOLD_HOME") or "~/.local/share/freehold").expanduser()
    default = home / "models" / "smollm2-135m" / "SmolLM2-135M-Instruct.Q4_1.gguf"
    path = Path(os.environ.get("FREEHOLD_TEST_MODEL") or default)
    if not path.exists():
        pytest.skip(f"the embedded model is not at {path}; `freehold models pull smollm2-135m` fetches it")
    return path
