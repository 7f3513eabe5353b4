"""Peers with dependencies of their own, each in a virtual environment that the first `make bench` makes and later ones find."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

LITELLM_VERSION = "1.106.2"  # the newest whose own dependencies could be had on 2026-11-23
AIRLLM_VERSION = "4.0.0"
_INSTALL_LIMIT_S = 600
_START_LIMIT_S = 90

# As its documentation has it for masking: both ways, on by default. One worker, no database, no telemetry: its lightest.
_LITELLM_CONFIG = """
model_list:
  - model_name: {model}
    litellm_params: {{model: openai/{model}, api_base: "http://{host}:{port}/v1", api_key: none}}
guardrails:
  - guardrail_name: filter
    litellm_params:
      guardrail: litellm_content_filter
      mode: [pre_call, post_call]
      default_on: true
      patterns:
        - {{pattern_type: prebuilt, pattern_name: aws_access_key, action: MASK}}
        - {{pattern_type: prebuilt, pattern_name: github_token, action: MASK}}
        - {{pattern_type: prebuilt, pattern_name: email, action: MASK}}
litellm_settings: {{telemetry: false}}
general_settings: {{master_key: {key}}}
"""


def environment(name: str, *requirements: str) -> Path | None:
    """The interpreter of a peer's environment; None, with a line that says so, where it can't be had."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "freehold" / "peers"
    folder = cache / name
    python = folder / "bin" / "python"
    if (folder / "whole").exists():
        return python
    print(f"making an environment for {requirements[0]} in {folder}: some minutes, once", flush=True)
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True, timeout=_INSTALL_LIMIT_S)
        command = [str(python), "-m", "pip", "install", "--quiet", *requirements]
        subprocess.run(command, check=True, timeout=_INSTALL_LIMIT_S, capture_output=True)
    except (OSError, subprocess.SubprocessError) as exc:
        print(f"no comparison with {name}: it could not be installed ({type(exc).__name__})", flush=True)
        return None
    (folder / "whole").touch()
    return python


@contextlib.contextmanager
def litellm(upstream: tuple[str, int], model: str, key: str) -> Iterator[tuple[tuple[str, int], int] | None]:
    """(address, process) of a LiteLLM proxy before `upstream`; None where it can't be had."""
    python = environment(f"litellm-{LITELLM_VERSION}", f"litellm[proxy]=={LITELLM_VERSION}")
    if python is None:
        yield None
        return
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="freehold-litellm-") as home:
        config = Path(home) / "config.yaml"
        config.write_text(_LITELLM_CONFIG.format(model=model, host=upstream[0], port=upstream[1], key=key))
        command = [str(python.with_name("litellm")), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
        settings = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "HOME": home}
        with (Path(home) / "log").open("wb") as log:
            process = subprocess.Popen(command, env=settings, stdout=log, stderr=log, cwd=home)
        try:
            yield (("127.0.0.1", port), process.pid) if _answers(port, process) else None
        finally:
            process.terminate()
            process.wait(timeout=_START_LIMIT_S)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _answers(port: int, process: "subprocess.Popen[bytes]") -> bool:
    until = time.monotonic() + _START_LIMIT_S
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health/liveliness", timeout=2).close()
            return True
        time.sleep(0.2)
    print("no comparison with litellm: it did not start", flush=True)
    return False
