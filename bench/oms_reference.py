"""The other side of the signing benches: the reference of OpenSSF Model Signing, run by the interpreter of its own environment.

Standard input is a list of jobs as JSON; standard output one line of JSON a job: null where it held, or what was raised.
"""

import json
import sys
from pathlib import Path
from typing import Any

import model_signing.hashing
import model_signing.signing
import model_signing.verifying


def hashing(job: dict[str, Any]) -> Any:
    config = model_signing.hashing.Config()
    if job["shard_bytes"]:
        config.use_shard_serialization(hashing_algorithm=job["hash"], shard_size=job["shard_bytes"])
    else:
        config.use_file_serialization(hashing_algorithm=job["hash"])
    return config.set_ignored_paths(paths=["model.sig", "freehold.sig"])


def sign(job: dict[str, Any]) -> None:
    config = model_signing.signing.Config().set_hashing_config(hashing(job))
    if job["chain"]:
        config.use_certificate_signer(
            private_key=Path(job["key"]), signing_certificate=Path(job["chain"][0]), certificate_chain=map(Path, job["chain"][1:])
        )
    else:
        config.use_elliptic_key_signer(private_key=Path(job["key"]))
    config.sign(Path(job["model"]), Path(job["signature"]))


def verify(job: dict[str, Any]) -> None:
    config = model_signing.verifying.Config()
    if not job["guess"]:
        config.set_hashing_config(hashing(job))
    if job["authority"]:
        config.use_certificate_verifier(certificate_chain=[Path(job["authority"])])
    else:
        config.use_elliptic_key_verifier(public_key=Path(job["public"]))
    config.verify(Path(job["model"]), Path(job["signature"]))


def main() -> None:
    for job in json.load(sys.stdin):
        try:
            {"sign": sign, "verify": verify}[job["do"]](job)
            print(json.dumps(None), flush=True)
        except Exception as exc:
            print(json.dumps(f"{type(exc).__name__}: {exc}"), flush=True)


if __name__ == "__main__":
    main()
