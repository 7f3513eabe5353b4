import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from freehold import config as configuration
from freehold.cli import doctor
from freehold.cli.doctor import CHECKS, Level, Situation
from freehold.core.errors import DeviceError
from freehold.meter.config import ExternalMeterConfig, MeterConfig
from freehold.provenance.keys import key_directory, node_key
from freehold.store.keys import ClientKeys


@pytest.fixture
def situation(tmp_path: Path) -> Situation:
    """A machine where freehold never ran, with a port nobody has."""
    config = configuration.Config()
    with taken_port() as port:
        pass
    return Situation(home=tmp_path / "home", config=with_port(config, port))


def with_port(config: configuration.Config, port: int) -> configuration.Config:
    return msgspec.structs.replace(config, gateway=msgspec.structs.replace(config.gateway, port=port))


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def test_a_fresh_machine_has_nothing_to_mend(situation: Situation) -> None:
    verdicts = dict(doctor.examine(situation))
    assert [name for name, verdict in verdicts.items() if verdict.level is Level.FAIL] == []
    assert verdicts["model"].level is Level.WARN
    assert "freehold models pull" in verdicts["model"].advice
    assert not situation.home.exists()  # looking changes nothing


def test_whatever_is_not_ok_says_what_to_do(situation: Situation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "DISK_BYTES", 1 << 60)
    monkeypatch.setattr(doctor, "MEMORY_BYTES", 1 << 60)
    monkeypatch.setenv("FREEHOLD_KERNELS", "portable")
    monkeypatch.setattr(doctor, "_can_import", lambda name: False)
    broken = replace(situation, config_error="freehold.toml: port must be a number")
    verdicts = dict(doctor.examine(broken))
    for name in ("configuration", "disk", "memory", "kernels", "guard engine", "model"):
        assert verdicts[name].level is not Level.OK, name
        assert verdicts[name].advice, name


def test_a_home_that_takes_no_file_fails(situation: Situation, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    verdict = doctor.check_home(replace(situation, home=tmp_path / "file"))
    assert verdict.level is Level.FAIL
    assert "FREEHOLD_HOME" in verdict.advice


def test_a_taken_port_fails_and_a_free_one_does_not(situation: Situation) -> None:
    assert doctor.check_port(situation).level is Level.OK
    with taken_port() as port:
        pass
    with socket.socket() as server:
        server.bind(("127.0.0.1", port))
        server.listen(0)
        server.setblocking(False)
        verdict = doctor.check_port(replace(situation, config=with_port(situation.config, port)))
    assert verdict.level is Level.FAIL
    assert "--port" in verdict.advice


def test_a_key_that_others_can_read_fails_with_the_command_to_run(situation: Situation) -> None:
    directory = key_directory(situation.home)
    node_key(directory)
    assert doctor.check_node_key(situation).level is Level.OK
    os.chmod(directory / "node.pem", 0o644)
    verdict = doctor.check_node_key(situation)
    assert verdict.level is Level.FAIL
    assert verdict.advice == f"chmod 0600 '{directory / 'node.pem'}'"


def test_keys_are_counted_and_a_node_without_any_fails(situation: Situation) -> None:
    situation.home.mkdir()
    keys = ClientKeys(situation.record)
    assert doctor.check_client_keys(situation).level is Level.FAIL
    client, _ = keys.create("notebook")
    assert doctor.check_client_keys(situation).level is Level.WARN
    keys.create("owner", is_admin=True)
    assert doctor.check_client_keys(situation).detail == "2 valid, 1 of them admin"
    keys.revoke(client.key_id)
    assert doctor.check_client_keys(situation).detail == "1 valid, 1 of them admin"
    keys.close()
    assert doctor.check_clock(situation).level is Level.OK


def test_a_clock_before_the_installation_fails(situation: Situation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("freehold.cli.doctor.time.time", lambda: 0.0)
    assert doctor.check_clock(situation).level is Level.FAIL


def test_a_check_that_breaks_is_a_line_and_the_rest_goes_on(situation: Situation, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(situation: Situation) -> doctor.Verdict:
        raise ZeroDivisionError("by zero")

    def failing(situation: Situation) -> doctor.Verdict:
        raise DeviceError("the disk is gone")

    monkeypatch.setattr(doctor, "CHECKS", {"a": broken, "b": failing, "c": CHECKS["python"]})
    first, second, third = [verdict for _, verdict in doctor.examine(situation)]
    assert (first.level, first.detail) == (Level.FAIL, "could not be checked: ZeroDivisionError: by zero")
    assert (second.level, second.detail) == (Level.FAIL, "the disk is gone")
    assert third.level is Level.OK


def test_json_has_every_check_and_the_exit_code_is_1_when_one_fails(tmp_path: Path) -> None:
    bad = tmp_path / "freehold.toml"
    bad.write_text("[gateway]\nport = 'x'\n")
    result = CliRunner().invoke(doctor.doctor, ["--json", "--config", str(bad)], env={"FREEHOLD_HOME": str(tmp_path / "home")})
    answer = json.loads(result.stdout)
    assert result.exit_code == 1
    assert answer["ok"] is False
    assert [line["check"] for line in answer["checks"]] == list(CHECKS)
    verdict = next(line for line in answer["checks"] if line["check"] == "configuration")
    assert verdict["level"] == "fail"
    assert "port" in verdict["detail"]


def test_for_a_person_each_line_has_its_level_and_advice(situation: Situation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "situation", lambda path: situation)
    result = CliRunner().invoke(doctor.doctor)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "this machine can run a node"
    assert "→ `freehold models pull" in result.stdout
    assert "\x1b" not in result.stdout


@pytest.mark.model
def test_the_embedded_model_is_verified_to_its_last_block(situation: Situation, user_home: Path) -> None:
    verdict = doctor.check_model(replace(situation, home=user_home))
    assert verdict.level is Level.OK
    assert verdict.detail == "smollm2-135m, 98 MB: every block verified; pinned by this release"


def test_an_address_that_serve_would_refuse_is_one_to_mend(situation: Situation) -> None:
    gateway = msgspec.structs.replace(situation.config.gateway, host="0.0.0.0")
    verdict = CHECKS["port"](replace(situation, config=msgspec.structs.replace(situation.config, gateway=gateway)))
    assert verdict.level is Level.FAIL
    assert "tls_certificate" in verdict.advice


def test_what_serve_would_refuse_of_policy_and_upstreams_is_one_to_mend(tmp_path: Path) -> None:
    (tmp_path / "freehold.toml").write_text(
        '[engine]\nmodel = ""\n[guard]\npolicy = "policy.toml"\n'
        '[[upstreams]]\nname = "far"\nurl = "http://127.0.0.1:1/v1"\nmodels = ["m"]\napi_key_file = "far.key"\n'
    )
    verdicts = dict(doctor.examine(doctor.situation(None)))
    assert "policy.toml" in verdicts["policy"].detail
    assert f"can't read api_key_file {tmp_path / 'far.key'}: No such file" in verdicts["upstreams"].detail
    assert {verdicts[name].level for name in ("policy", "upstreams")} == {Level.FAIL}
    (tmp_path / "far.key").write_text("sk-1")
    (tmp_path / "policy.toml").touch()
    verdicts = dict(doctor.examine(doctor.situation(None)))
    assert {verdicts[name].level for name in ("policy", "upstreams")} == {Level.OK}


def test_a_meter_that_is_configured_and_does_not_answer_is_told(situation: Situation) -> None:
    meter = MeterConfig(external=ExternalMeterConfig(command=("false",)))
    config = msgspec.structs.replace(situation.config, meter=meter)
    verdict = doctor.check_meter(replace(situation, config=config))
    assert verdict.level is Level.WARN
    assert "false ended with 1: it said nothing" in verdict.detail
    assert "[meter.external]" in verdict.advice
