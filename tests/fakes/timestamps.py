"""A timestamp authority (RFC 3161), played by OpenSSL, which has one."""

import shutil
import subprocess
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.fakes.chains import issue

OPENSSL = shutil.which("openssl")


class TimestampAuthority:
    def __init__(self, folder: Path) -> None:
        root = issue("time root", is_authority=True)
        signing = issue("time", root, for_timestamps=True)
        self.certificates = (signing.certificate, root.certificate)
        self._folder = folder
        pem = signing.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        for name, content in (("time.key", pem), ("time.crt", signing.pem()), ("serial", b"01")):
            (folder / name).write_bytes(content)
        (folder / "time.conf").write_text(
            f"[tsa]\ndefault_tsa = one\n[one]\nserial = {folder}/serial\nsigner_cert = {folder}/time.crt\n"
            f"signer_key = {folder}/time.key\nsigner_digest = sha256\ndigests = sha256\n"
            "default_policy = 1.2.3.4.1\ness_cert_id_alg = sha256\n"
        )

    def answer(self, query: bytes) -> bytes:
        (self._folder / "query").write_bytes(query)
        said = [str(OPENSSL), "ts", "-reply", "-config", "time.conf", "-queryfile", "query", "-out", "reply"]
        subprocess.run(said, cwd=self._folder, check=True, capture_output=True)
        return (self._folder / "reply").read_bytes()
