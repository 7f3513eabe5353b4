from pathlib import Path
from typing import Any

import pytest

from freehold.config import Config
from freehold.core.errors import ConfigError
from freehold.core.events import ServedBy
from freehold.core.exchange import ExchangeId
from freehold.core.receipts import Claims
from freehold.engine.config import EngineConfig, WatermarkConfig
from freehold.place import Place
from freehold.replaying import Replay, engine_of

CONFIGURED = EngineConfig(
    model="other", speculation_tokens=0, ram_mb=900, context_tokens=512, watermarks=(WatermarkConfig(secret="press"),)
)


def engine(tmp_path: Path, *, given: dict[str, Any] | None = None, **served: Any) -> EngineConfig:
    claims = Claims(
        exchange_id=ExchangeId("xc_1"),
        issued_at_ns=0,
        dialect="",
        operation="",
        status="",
        served=ServedBy(provider="freehold", model="m", **served),
        request_digest="",
        response_digest="",
        response_links=0,
        salt=b"",
    )
    return engine_of(claims, Place(home=tmp_path, config=Config(engine=CONFIGURED)), given or {}).config.engine


def test_what_a_result_depends_on_is_as_in_the_receipt_and_the_rest_as_configured(tmp_path: Path) -> None:
    found = engine(tmp_path, kernels="avx2", kv_type="q8", context_tokens=8192)
    assert (found.model, found.kernels, found.kv_type, found.context_tokens, found.device) == ("m", "avx2", "q8", 8192, "cpu")
    assert (found.speculation_tokens, found.ram_mb, found.watermarks) == (0, 900, CONFIGURED.watermarks)


def test_what_is_said_on_the_command_line_goes_before_it(tmp_path: Path) -> None:
    found = engine(tmp_path, given={"kernels": "portable", "threads": 3}, kernels="avx2", kv_type="f16")
    assert (found.kernels, found.threads) == ("portable", 3)


def test_kernels_of_a_card_are_left_to_the_machine(tmp_path: Path) -> None:
    found = engine(tmp_path, kernels="cuda sm_90")
    assert (found.kernels, found.device) == ("auto", "auto")


@pytest.mark.parametrize(
    ("tokens", "response", "outcome"),
    [
        ("same", "same", "same"),
        ("same", "not compared: another policy", "same"),
        (None, "same", "same"),
        ("same", "differs", "differs"),
        ("differ", "not compared: another policy", "differs"),
        (None, "not compared: another policy", "cannot"),
    ],
)
def test_nothing_compared_is_not_the_same(tokens: Any, response: str, outcome: str) -> None:
    assert Replay(differences=(), ran=True, tokens=tokens, response=response).outcome == outcome
    assert Replay(differences=(), ran=False).outcome == "cannot"


def test_a_receipt_that_names_what_is_no_setting_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="as the receipt says"):
        engine(tmp_path, kv_type="q3")
