"""What signs there and verifies here, and the other way round: a matrix against the reference of OpenSSF Model Signing.

For every kind of key and way of hashing, each side signs, the other verifies that, and must refuse it once a bit of the model is
flipped. A case counts where the other side does both.
"""

import json
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from tests.fakes.chains import CURVES, chain

from bench.peers import environment
from freehold.core.errors import ArtefactError
from freehold.provenance.certificates import Certificate, certificate_id, read_certificates
from freehold.provenance.keys import SigningKey, read_private, read_public, trusted
from freehold.provenance.pieces import Recipe
from freehold.provenance.progress import Silent
from freehold.provenance.signing import Terms, read_signature, sign_oms, verify
from freehold.provenance.tree import rules
from freehold.provenance.trust import Accepted

REFERENCE_VERSION = "1.1.1"
REFERENCE = (f"model-signing=={REFERENCE_VERSION}", "pyopenssl")  # it needs the second and does not say so
SHARD_BYTES = 300_000  # of a model of a megabyte
HASHINGS = [("sha256", None), ("blake2b", None), ("blake3", None), ("sha256", SHARD_BYTES), ("blake2b", SHARD_BYTES)]
FORMS = ("key", "certificate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    form: str
    curve: str
    hash: str
    shard_bytes: int | None

    @property
    def name(self) -> str:
        return f"{self.form}.{self.curve}.{'shards' if self.shard_bytes else 'files'}.{self.hash}"


CASES = [Case(form=f, curve=c, hash=h, shard_bytes=s) for f, c, (h, s) in product(FORMS, CURVES, HASHINGS)]


def reference() -> Path | None:
    """The interpreter of the reference's own environment."""
    return environment(f"model-signing-{REFERENCE_VERSION}", *REFERENCE)


def run(report: Callable[..., None], models_dir: Path) -> None:
    """`models_dir` is not needed."""
    if (python := reference()) is None:
        return
    with tempfile.TemporaryDirectory(prefix="freehold-bench-") as folder:
        rows = matrix(Bed.make(Path(folder)), python)
    table = Table("case", "signed there, held here", "signed here, held there", "there, guessing how", title="Interoperation")
    for case, row in rows.items():
        table.add_row(case.name, *(said or "yes" for said in row))
    Console(width=160).print(table)
    for name, column in (("here", 0), ("there", 1)):
        held = sum(row[column] is None for row in rows.values())
        report(
            f"signing.verified_{name}", held, f"of {len(rows)} cases", "model-signing", REFERENCE_VERSION, held / len(rows), 1.0
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bed:
    """A model, and keys of each curve with their chains."""

    folder: Path

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @classmethod
    def make(cls, folder: Path) -> "Bed":
        bed = cls(folder=folder)
        (bed.model / "a").mkdir(parents=True)
        (bed.model / "config.json").write_text("{}")
        (bed.model / "a-b.bin").write_bytes(bytes(range(256)) * 100)  # after "a/…" by the parts of names, before it by bytes
        (bed.model / "a" / "b.bin").write_bytes(bytes(range(256)) * 4000)
        for curve in CURVES:
            for name, issued in zip(("signing", "between", "root"), chain(curve=curve), strict=True):
                bed.file(curve, f"{name}.crt").write_bytes(issued.pem())
                if name == "signing":
                    key = SigningKey.of(issued.key)
                    bed.file(curve, "pem").write_bytes(key.pem())
                    bed.file(curve, "pub").write_bytes(key.public.pem())
        return bed

    def file(self, curve: str, what: str) -> Path:
        return self.folder / f"{curve}.{what}"

    def signature(self, case: Case, by: str) -> Path:
        return self.folder / f"{case.name}.{by}.sig"

    def job(self, case: Case, do: str, *, guess: bool = False) -> dict[str, Any]:
        """For `oms_reference.py`."""
        has_chain = case.form == "certificate"
        return {
            "do": do,
            "model": str(self.model),
            "signature": str(self.signature(case, "there" if do == "sign" else "here")),
            "hash": "blake2" if case.hash == "blake2b" else case.hash,
            "shard_bytes": case.shard_bytes,
            "key": str(self.file(case.curve, "pem")),
            "public": str(self.file(case.curve, "pub")),
            "chain": [str(self.file(case.curve, f"{name}.crt")) for name in ("signing", "between")] if has_chain else [],
            "authority": str(self.file(case.curve, "root.crt")) if has_chain else None,
            "guess": guess,
        }

    def sign(self, case: Case) -> None:
        chain: tuple[Certificate, ...] = ()
        if case.form == "certificate":
            chain = tuple(
                one for name in ("signing", "between") for one in read_certificates(self.file(case.curve, f"{name}.crt"))
            )
        recipe = Recipe(algorithm=case.hash, piece_bytes=case.shard_bytes)
        key = read_private(self.file(case.curve, "pem"))
        signature, _ = sign_oms(self.model, key, Silent(), name="model", rule=rules(), recipe=recipe, chain=chain)
        self.signature(case, "here").write_bytes(signature)

    def verify(self, case: Case) -> str | None:
        """What is wrong with the reference's signature, None where nothing is."""
        if case.form == "certificate":
            (root,) = read_certificates(self.file(case.curve, "root.crt"))
            trust = Accepted(keys={}, authorities={certificate_id(root): root})
        else:
            trust = Accepted(keys=trusted(read_public(self.file(case.curve, "pub"))), authorities={})
        try:
            verify(self.model, read_signature(self.signature(case, "there")), Terms(trust=trust), Silent(), rule=rules())
        except ArtefactError as error:
            return error.message
        return None

    def flip(self) -> None:
        with (self.model / "a" / "b.bin").open("r+b") as file:
            file.seek(SHARD_BYTES + 1)
            byte = file.read(1)[0]
            file.seek(SHARD_BYTES + 1)
            file.write(bytes([byte ^ 4]))


def matrix(bed: Bed, python: Path, cases: Sequence[Case] = CASES) -> dict[Case, tuple[str | None, str | None, str | None]]:
    """What went wrong, None where nothing did: here with what was signed there; there with what was signed here, being told how
    files were hashed, and guessing it from the signature."""
    _ask(python, [bed.job(case, "sign") for case in cases])
    for case in cases:
        bed.sign(case)
    here = [bed.verify(case) for case in cases]
    there = _ask(python, [bed.job(case, "verify") for case in cases])
    guessing = _ask(python, [bed.job(case, "verify", guess=True) for case in cases])
    bed.flip()
    flipped_here = [bed.verify(case) for case in cases]
    flipped_there = _ask(python, [bed.job(case, "verify") for case in cases])
    rows = zip(_both(here, flipped_here), _both(there, flipped_there), guessing, strict=True)
    return dict(zip(cases, rows, strict=True))


def _both(said: Sequence[str | None], flipped: Sequence[str | None]) -> list[str | None]:
    return [one or ("a flipped bit passed" if other is None else None) for one, other in zip(said, flipped, strict=True)]


def _ask(python: Path, jobs: Sequence[dict[str, Any]]) -> list[str | None]:
    script = Path(__file__).with_name("oms_reference.py")
    done = subprocess.run([python, script], input=json.dumps(jobs), capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith(("null", '"'))]
