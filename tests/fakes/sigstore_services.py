"""The services of a Sigstore instance on loopback: who it is (OpenID Connect), certificates for that (Fulcio), a log (Rekor).

They check what they are given as the real ones do: a token by its signature, a request for a certificate by its own, an entry by
the certificate in it. Paths and documents are those of Fulcio's API v2 and of both of Rekor's. The second gives no time, so a
timestamp authority goes with it.
"""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding

from freehold.provenance.envelope import pre_authentication_encoding
from tests.fakes.sigstore_instance import Instance, dsse_body, hashed_body
from tests.fakes.timestamps import TimestampAuthority

_SECRET = "the issuer's own, known to the authority, too"


class Refused(Exception):
    """With the status to answer."""


class Services:
    """`answers` are said first, in order, by any service, instead of its own: status and body."""

    def __init__(self) -> None:
        self.instance = Instance()
        self.timestamps: TimestampAuthority | None = None
        self.url = ""
        self.answers: list[tuple[int, bytes]] = []
        self.asked: list[str] = []
        self._routes: dict[str, Callable[[dict[str, Any], str], Any]] = {
            "/api/v2/signingCert": self._certify,
            "/api/v1/log/entries": self._enter,
            "/api/v2/log/entries": self._enter_hashed,
            "/.well-known/openid-configuration": self._openid,
            "/token": self._redeem,
            "/ambient": lambda _body, _bearer: {"value": self.token("https://ci.example/acme/build.yml@main")},
        }

    def token(self, identity: str, *, audience: str = "sigstore", for_s: int = 60, issuer: str | None = None) -> str:
        now = datetime.now(UTC)
        claims = {"iss": issuer or self.url, "sub": identity, "aud": audience, "iat": now - timedelta(hours=1)}
        return jwt.encode(claims | {"exp": now + timedelta(seconds=for_s)}, _SECRET, algorithm="HS256")

    def trust_config(self, path: Path, *, log_version: int = 1) -> Path:
        service = {"url": self.url, "majorApiVersion": 1, "operator": "test", "validFor": {"start": "2020-01-01T00:00:00Z"}}
        signing = {
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            **{key: [service] for key in ("caUrls", "oidcUrls")},
            "rekorTlogUrls": [service | {"majorApiVersion": log_version}],
            "tsaUrls": [service | {"url": f"{self.url}/timestamp"}] if self.timestamps else [],
            "tsaConfig": {"selector": "ANY"},
            "rekorTlogConfig": {"selector": "ANY"},
        }
        media_type = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"
        root = json.loads(self.instance.trusted_root())
        path.write_text(json.dumps({"mediaType": media_type, "trustedRoot": root, "signingConfig": signing}))
        return path

    def answer(self, path: str, raw: bytes, bearer: str) -> tuple[int, bytes]:
        self.asked.append(path)
        if self.answers:
            return self.answers.pop(0)
        if path == "/timestamp" and self.timestamps:
            return 200, self.timestamps.answer(raw)
        body = json.loads(raw) if raw.startswith(b"{") else dict(parse_qsl(raw.decode()))
        try:
            return 200, json.dumps(self._routes[path](body, bearer)).encode()
        except Refused as refused:
            status, message = refused.args
            return status, json.dumps({"code": status, "message": message}).encode()

    def _certify(self, body: dict[str, Any], bearer: str) -> Any:
        try:
            claims = jwt.decode(bearer, _SECRET, algorithms=["HS256"], audience="sigstore")
        except jwt.PyJWTError:
            raise Refused(401, "the token was not accepted") from None
        request = x509.load_pem_x509_csr(base64.b64decode(body["certificateSigningRequest"]))
        key = request.public_key()
        if not request.is_signature_valid or not isinstance(key, EllipticCurvePublicKey):
            raise Refused(400, "the request is not by its key")
        certificate = self.instance.issue(key, claims["sub"], claims["iss"])
        chain = [one.public_bytes(Encoding.PEM).decode() for one in (certificate, self.instance.root)]
        return {"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}}

    def _enter(self, body: dict[str, Any], _bearer: str) -> Any:
        content = body["spec"]["proposedContent"]
        envelope = json.loads(content["envelope"])
        payload, signature = base64.b64decode(envelope["payload"]), envelope["signatures"][0]["sig"]
        certificate = x509.load_pem_x509_certificate(base64.b64decode(content["verifiers"][0]))
        key = certificate.public_key()
        assert isinstance(key, EllipticCurvePublicKey)
        signed = pre_authentication_encoding(envelope["payloadType"], payload)
        key.verify(base64.b64decode(signature), signed, ECDSA(hashes.SHA256()))
        return {"uuid": _as_rekor_answers(self.instance.entry(dsse_body(payload, signature, certificate)))}

    def _enter_hashed(self, body: dict[str, Any], _bearer: str) -> Any:
        asked = body["hashedRekordRequestV002"]
        signature = asked["signature"]
        certificate = x509.load_der_x509_certificate(base64.b64decode(signature["verifier"]["x509Certificate"]["rawBytes"]))
        key = certificate.public_key()
        assert isinstance(key, EllipticCurvePublicKey)
        key.verify(base64.b64decode(signature["content"]), base64.b64decode(asked["digest"]), ECDSA(Prehashed(hashes.SHA256())))
        spec = {"data": {"algorithm": "SHA2_256", "digest": asked["digest"]}, "signature": signature}
        entry = self.instance.entry(hashed_body(spec))
        return {key: value for key, value in entry.items() if key not in {"integratedTime", "inclusionPromise"}}

    def _openid(self, _body: dict[str, Any], _bearer: str) -> Any:
        return {"authorization_endpoint": f"{self.url}/authorize", "token_endpoint": f"{self.url}/token"}

    def _redeem(self, body: dict[str, Any], _bearer: str) -> Any:
        if body["code"] != "4711":
            raise Refused(400, "no such code")
        return {"access_token": self.token("person@acme.example")}


def _as_rekor_answers(entry: dict[str, Any]) -> dict[str, Any]:
    """Hex, and numbers, where a bundle has base64, and numbers as strings."""
    proof = entry["inclusionProof"]
    return {
        "body": entry["canonicalizedBody"],
        "integratedTime": int(entry["integratedTime"]),
        "logID": base64.b64decode(entry["logId"]["keyId"]).hex(),
        "logIndex": int(entry["logIndex"]),
        "verification": {
            "signedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
            "inclusionProof": {
                "checkpoint": proof["checkpoint"]["envelope"],
                "hashes": [],
                "logIndex": int(proof["logIndex"]),
                "rootHash": base64.b64decode(proof["rootHash"]).hex(),
                "treeSize": int(proof["treeSize"]),
            },
        },
    }


@contextmanager
def sigstore_services() -> Iterator[Services]:
    services = Services()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def _answer(self, raw: bytes) -> None:
            path, _, query = self.path.partition("?")
            if path == "/authorize":  # where a person agrees
                asked = dict(parse_qsl(query))
                self.send_response(302)
                self.send_header("Location", f"{asked['redirect_uri']}?{urlencode({'code': '4711', 'state': asked['state']})}")
                self.end_headers()
                return
            bearer = (self.headers["Authorization"] or "").removeprefix("Bearer ")
            status, answer = services.answer(path, raw, bearer)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    services.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield services
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
