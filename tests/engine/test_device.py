import subprocess
import sys
from pathlib import Path

import pytest

from freehold.core.errors import DeviceError
from freehold.engine import device


def test_the_cpu_asks_for_no_card() -> None:
    assert device.find_card("cpu") is None


def test_without_a_driver_auto_is_the_cpu_and_imports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_DRIVERS", (Path("/nowhere"),))
    assert device.find_card("auto") is None
    code = "import sys; from freehold.engine import runtime; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_auto_does_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_DRIVERS", (Path("/"),))
    monkeypatch.setattr(device, "_NEEDED", ("torch_is_not_installed",))
    assert device.find_card("auto") is None


def test_cuda_without_the_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_NEEDED", ("torch_is_not_installed",))
    with pytest.raises(DeviceError, match=r"pip install 'freehold\[gpu\]'"):
        device.find_card("cuda")


@pytest.mark.skipif(device.has_driver(), reason="there is a card")
def test_cuda_without_a_card_is_an_error() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("triton")
    with pytest.raises(DeviceError, match="no CUDA card"):
        device.find_card("cuda")
