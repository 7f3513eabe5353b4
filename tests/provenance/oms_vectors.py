"""Signatures that the reference of OpenSSF Model Signing (1.1.1) made with keys of ours over `lay_model`: see tests/vectors/oms.

`python -m bench --only signing` asks the reference itself, both ways.
"""

from pathlib import Path

from freehold.provenance.certificates import certificate_id, read_certificates
from freehold.provenance.keys import read_public, trusted
from freehold.provenance.trust import Accepted

FOLDER = Path(__file__).parents[1] / "vectors" / "oms"
CASES = sorted(path.stem for path in FOLDER.glob("*.*.*.*.sig"))


def lay_model(folder: Path) -> Path:
    """What was signed. Its names sort otherwise by their parts than by their bytes."""
    model = folder / "model"
    (model / "a").mkdir(parents=True)
    (model / "config.json").write_text("{}")
    (model / "a-b.bin").write_bytes(bytes(range(256)) * 100)
    (model / "a" / "b.bin").write_bytes(bytes(range(256)) * 4000)
    return model


def signature(case: str) -> bytes:
    return (FOLDER / f"{case}.sig").read_bytes()


def accepted(case: str) -> Accepted:
    """The key or authority that the case, such as "key.p256.files.sha256", is signed under."""
    form, curve, *_ = case.split(".")
    if form == "key":
        return Accepted(keys=trusted(read_public(FOLDER / f"{curve}.pub")), authorities={})
    (root,) = read_certificates(FOLDER / f"{curve}.root.crt")
    return Accepted(keys={}, authorities={certificate_id(root): root})
