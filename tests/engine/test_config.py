import msgspec
import pytest

from freehold.engine.config import EngineConfig


@pytest.mark.parametrize(
    "name", ["threads", "context_tokens", "kv_memory_mb", "max_sequences", "queue_limit", "prefill_chunk_tokens"]
)
def test_a_number_that_makes_no_sense_is_refused_by_name(name: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=rf"\[engine\] {name} -1 must be at least"):
        msgspec.toml.decode(f"{name} = -1", type=EngineConfig)


@pytest.mark.parametrize("value", ["-1", "17", '"some"'])
def test_a_number_of_drafts_that_makes_no_sense_is_refused(value: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="speculation_tokens"):
        msgspec.toml.decode(f"speculation_tokens = {value}", type=EngineConfig)


def test_the_defaults_hold() -> None:
    assert msgspec.toml.decode("", type=EngineConfig) == EngineConfig()
