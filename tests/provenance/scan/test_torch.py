"""Files that PyTorch itself writes. Skipped where it is not installed."""

import io
from typing import Any

import pytest

from freehold.provenance.scan.findings import Verdict
from tests.provenance.scan.looks import look

torch = pytest.importorskip("torch")


def saved(value: object, **how: Any) -> bytes:
    out = io.BytesIO()
    torch.save(value, out, **how)
    return out.getvalue()


@pytest.mark.parametrize("how", [{}, {"_use_new_zipfile_serialization": False}, {"pickle_protocol": 4}])
def test_weights_that_pytorch_saves_are_clean(how: dict[str, Any]) -> None:
    types = (torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int8, torch.int64, torch.bool, torch.complex64)
    weights: dict[str, Any] = {str(kind): torch.zeros(3, 4, dtype=kind) for kind in types}
    weights |= {
        "random": torch.randint(-128, 127, (50_000,), dtype=torch.int8),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "module": torch.nn.Linear(3, 2).state_dict(),
        "size": torch.Size([1, 2]),
        "dtype": torch.float16,
        "device": torch.device("cpu"),
        "step": 3,
    }
    report = look(saved(weights, **how), "pytorch_model.bin")
    assert report.findings == ()


def test_a_whole_module_is_told_by_its_classes() -> None:
    report = look(saved(torch.nn.Linear(2, 2)), "m.pt")
    assert report.verdict is Verdict.SUSPICIOUS
    assert any("torch.nn.modules.linear.Linear" in finding.words for finding in report.findings)


def test_what_torch_save_pickles_of_an_attacker_is_malicious() -> None:
    class Calls:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return eval, ("1",)

    assert look(saved({"w": torch.ones(2), "x": Calls()}), "m.pt").verdict is Verdict.MALICIOUS
