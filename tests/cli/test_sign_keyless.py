"""`freehold sign --sigstore` through Sigstore's library, against services on loopback that check what they are given."""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from click.testing import CliRunner, Result

from freehold.cli import main

pytest.importorskip("sigstore", reason="the extra `sigstore` is not installed")

from tests.fakes.sigstore_services import Services, sigstore_services
from tests.fakes.timestamps import OPENSSL, TimestampAuthority

WHO = "release@acme.example"


@pytest.fixture(scope="module")
def services() -> Iterator[Services]:
    with sigstore_services() as running:
        yield running


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No build system, and no machine in a cloud, whatever these tests run on."""
    for name in (
        "GITHUB_ACTIONS",
        "BUILDKITE",
        "GITLAB_CI",
        "CIRCLECI",
        "GOOGLE_SERVICE_ACCOUNT_NAME",
        "FREEHOLD_IDENTITY_TOKEN",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("id._internal.oidc.ambient._GCP_PRODUCT_NAME_FILE", str(tmp_path / "absent"))
    monkeypatch.setenv("FREEHOLD_HOME", str(tmp_path / "home"))


@pytest.fixture
def closed_logins(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library leaves the socket that waits for a browser to the garbage collector, which warns."""
    flow = importlib.import_module("sigstore._internal.oidc.oauth")._OAuthFlow
    leave = flow.__exit__

    def close(self: Any, *error: object) -> None:
        leave(self, *error)
        self._server.server_close()

    monkeypatch.setattr(flow, "__exit__", close)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "acme-7b"
    folder.mkdir()
    (folder / "m.gguf").write_bytes(b"weights")
    (folder / "config.json").write_text("{}")
    return folder


def config(model: Path) -> Path:
    return model.parent / "instance.json"


def sign(model: Path, services: Services, *words: str, typed: str | None = None) -> Result:
    services.trust_config(config(model))
    services.asked.clear()
    said = ["sign", str(model), "--sigstore", "--trust-config", str(config(model)), *words]
    return CliRunner().invoke(main, said, input=typed)


def verify(model: Path, services: Services, who: str) -> Result:
    said = ["verify", str(model), "--identity", who, "--issuer", services.url, "--trusted-root", str(config(model))]
    return CliRunner().invoke(main, said)


def test_a_model_is_signed_by_an_identity_and_verifies_for_it_alone(model: Path, services: Services) -> None:
    signed = sign(model, services, "--identity-token", services.token(WHO), "--json")
    assert signed.exit_code == 0, signed.output
    facts = json.loads(signed.stdout)
    assert (facts["signed_by"], facts["issuer"], facts["kind"], facts["files"]) == (WHO, services.url, "identity", 2)
    assert services.asked == ["/api/v2/signingCert", "/api/v1/log/entries"]
    assert verify(model, services, WHO).exit_code == 0
    assert verify(model, services, f"x{WHO}").exit_code == 1
    (model / "m.gguf").write_bytes(b"Weights")
    assert "m.gguf: was changed" in verify(model, services, WHO).stderr
    again = sign(model, services, "--identity-token", services.token(WHO))
    assert (again.exit_code, "say --replace" in again.stderr, services.asked) == (2, True, [])
    assert sign(model, services, "--identity-token", services.token(WHO), "--replace", "--hash", "blake3").exit_code == 0
    assert verify(model, services, WHO).exit_code == 0


@pytest.mark.skipif(OPENSSL is None, reason="there is no openssl to play a timestamp authority")
def test_a_log_that_gives_no_time_goes_with_a_timestamp_authority(model: Path, tmp_path: Path) -> None:
    path = config(model)
    with sigstore_services() as services:
        said = ["sign", str(model), "--sigstore", "--trust-config", str(path), "--identity-token", services.token(WHO)]
        services.trust_config(path, log_version=2)
        timeless = CliRunner().invoke(main, said)
        assert (timeless.exit_code, (model / "model.sig").exists()) == (1, False)
        services.asked.clear()
        services.timestamps = TimestampAuthority(tmp_path)
        services.instance.time_certificates = services.timestamps.certificates
        services.trust_config(path, log_version=2)
        signed = CliRunner().invoke(main, said)
        assert signed.exit_code == 0, signed.output
        assert services.asked == ["/api/v2/signingCert", "/timestamp", "/api/v2/log/entries"]
        assert verify(model, services, WHO).exit_code == 0
        assert verify(model, services, f"x{WHO}").exit_code == 1


def test_a_build_systems_own_token_is_found_and_its_workflow_named(
    model: Path, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    refused = sign(model, services)
    assert (refused.exit_code, "id-token: write" in refused.stderr) == (2, True)
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "x")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"{services.url}/ambient")
    signed = sign(model, services)
    assert signed.exit_code == 0, signed.output
    assert "signed by identity https://ci.example/acme/build.yml@main" in signed.stdout
    assert verify(model, services, "https://ci.example/acme/build.yml@main").exit_code == 0


@pytest.mark.usefixtures("closed_logins")
def test_a_person_logs_in_by_a_code(model: Path, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = sign(model, services, "--login", "code", typed="4711\n")
    assert (refused.exit_code, "needs a terminal" in refused.stderr, services.asked) == (2, True, [])
    monkeypatch.setattr("freehold.cli.keyless_options.on_terminal", lambda: True)
    refused = sign(model, services, "--login", "code", typed="4712\n")
    assert (refused.exit_code, "Token request failed with 400" in refused.stderr) == (2, True)
    signed = sign(model, services, "--login", "code", typed="4711\n")
    assert signed.exit_code == 0, signed.output
    assert f"{services.url}/authorize" in signed.stderr
    assert "stays in Sigstore's log, for all to see" in signed.stderr
    assert verify(model, services, "person@acme.example").exit_code == 0


@pytest.mark.usefixtures("closed_logins")
def test_a_person_logs_in_with_a_browser(model: Path, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    def browse(url: str) -> bool:
        with urlopen(url) as page:
            return bool(page.status == 200)

    monkeypatch.setattr("webbrowser.open", browse)
    monkeypatch.setattr("freehold.cli.keyless_options.on_terminal", lambda: True)
    signed = sign(model, services, "--login", "browser")
    assert signed.exit_code == 0, signed.output
    assert verify(model, services, "person@acme.example").exit_code == 0


@pytest.mark.parametrize(
    ("audience", "for_s", "why"),
    [("sigstore", -60, "has expired"), ("other", 60, "Audience doesn't match"), (None, 0, "Not enough segments")],
)
def test_a_token_that_will_not_do_is_told_before_anything_is_asked(
    model: Path, services: Services, audience: str | None, for_s: int, why: str
) -> None:
    token = "nonsense" if audience is None else services.token(WHO, audience=audience, for_s=for_s)
    refused = sign(model, services, "--identity-token", token)
    assert (refused.exit_code, services.asked) == (2, [])
    assert why in refused.stderr
    assert "get a fresh one" in refused.stderr
    assert token not in refused.output
    assert not (model / "model.sig").exists()


def test_with_no_identity_in_sight_it_says_where_one_comes_from(model: Path, services: Services) -> None:
    refused = sign(model, services)
    assert (refused.exit_code, services.asked) == (2, [])
    assert "--identity-token" in refused.stderr
    assert "--login" in refused.stderr


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ([(403, b'{"code": 7, "message": "who?"}')], "signingCert answered 403"),
        ([(200, b"{}")], "missing certificate chain"),
        ([(200, b"no JSON")], "signing failed"),
        ([(200, b'{"signedCertificateEmbeddedSct": {"chain": {"certificates": ["x", "y"]}}}')], "signing failed"),
    ],
)
def test_services_that_answer_badly_leave_nothing(
    model: Path, services: Services, answers: list[tuple[int, bytes]], why: str
) -> None:
    services.answers = answers
    failed = sign(model, services, "--identity-token", services.token(WHO))
    assert (failed.exit_code, why in failed.stderr) == (1, True), failed.output
    assert sorted(path.name for path in model.iterdir()) == ["config.json", "m.gguf"]


def test_another_instances_certificate_is_not_written_down(model: Path, services: Services) -> None:
    with sigstore_services() as others:
        services.trust_config(config(model))
        document = json.loads(config(model).read_text())
        document["trustedRoot"] = json.loads(others.instance.trusted_root())
        config(model).write_text(json.dumps(document))
        said = ["sign", str(model), "--sigstore", "--trust-config", str(config(model)), "--identity-token", services.token(WHO)]
        assert CliRunner().invoke(main, said).exit_code == 1
    assert not (model / "model.sig").exists()


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"trustedRoot": {}, "signingConfig": {}}', "\udcff"])
def test_an_instances_file_that_cannot_be_used_is_told(model: Path, services: Services, content: str | None) -> None:
    path = config(model)
    if content is not None:
        path.write_bytes(content.encode(errors="surrogateescape"))
    said = ["sign", str(model), "--sigstore", "--trust-config", str(path), "--identity-token", services.token(WHO)]
    refused = CliRunner().invoke(main, said)
    assert (refused.exit_code, f"{path} cannot be used as" in refused.stderr) == (2, True), refused.output
    services.trust_config(path).write_text(path.read_text().replace("signingconfig.v0.2", "signingconfig.v9"))
    assert CliRunner().invoke(main, said).exit_code == 2
    path.write_text(content or "", errors="surrogateescape")
    (model / "model.sig").write_text(json.dumps(services.instance.sign(b"{}", WHO, services.url)))
    assert verify(model, services, WHO).exit_code in {1, 2}
    (model / "model.sig").unlink()


def test_without_the_services_it_says_that_a_network_is_needed(model: Path, services: Services) -> None:
    with sigstore_services() as gone:
        pass
    failed = sign(model, gone, "--identity-token", services.token(WHO))
    assert (failed.exit_code, "needs a network" in failed.stderr) == (1, True), failed.output
    assert not (model / "model.sig").exists()


def test_without_the_extra_it_says_what_to_install(model: Path, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sigstore", None)
    monkeypatch.delitem(sys.modules, "freehold.provenance.keyless", raising=False)
    for module in [name for name in sys.modules if name.startswith("sigstore.")]:
        monkeypatch.setitem(sys.modules, module, None)
    refused = sign(model, services, "--identity-token", "x")
    assert (refused.exit_code, "pip install 'freehold[sigstore]'" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--sigstore", "--format", "freehold"], "signs without a key"),
        (["--sigstore", "--key", "k.pem"], "signs without a key"),
        (["--sigstore", "--staging", "--trust-config", "x"], "two instances"),
        (["--sigstore", "--login", "code", "--identity-token", "x"], "two ways to say"),
        (["--identity-token", "x"], "go with --sigstore"),
        (["--login", "browser"], "go with --sigstore"),
        (["--staging"], "go with --sigstore"),
    ],
)
def test_options_that_do_not_go_together_are_refused(model: Path, words: list[str], why: str) -> None:
    refused = CliRunner().invoke(main, ["sign", str(model), *words])
    assert (refused.exit_code, why in refused.stderr) == (2, True)
    assert not (model / "model.sig").exists()


def test_a_token_in_the_environment_changes_nothing_for_those_who_sign_with_a_key(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FREEHOLD_IDENTITY_TOKEN", "x")
    assert CliRunner().invoke(main, ["sign", str(model)]).exit_code == 0
