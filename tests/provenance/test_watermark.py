from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freehold.core.errors import ConfigError, FreeholdError, InvalidRequest, NotFound
from freehold.provenance.watermark import make_watermark, read_watermark, watermark_names, watermark_of_digest

SHORT = b'{"scheme":"green-list-v1","secret":"AA==","gamma_parts":1,"delta":1,"context_tokens":1}'


def test_a_secret_is_made_once_and_its_owner_alone_reads_it(tmp_path: Path) -> None:
    made = make_watermark(tmp_path, "press", gamma=0.25, delta=2.0, context_tokens=2)
    assert read_watermark(tmp_path, "press") == made
    assert (tmp_path / "watermarks" / "press.json").stat().st_mode & 0o777 == 0o600
    with pytest.raises(InvalidRequest, match="there is a watermark press already"):
        make_watermark(tmp_path, "press", gamma=0.5, delta=2.0, context_tokens=2)
    other = make_watermark(tmp_path, "legal", gamma=0.25, delta=2.0, context_tokens=2)
    assert other.secret != made.secret
    assert watermark_names(tmp_path) == ["legal", "press"]
    assert watermark_of_digest(tmp_path, made.digest) == made
    assert watermark_of_digest(tmp_path, "00" * 32) is None


def test_one_that_is_not_there_or_that_others_could_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="freehold watermark create press"):
        read_watermark(tmp_path, "press")
    with pytest.raises(InvalidRequest, match="no name for a watermark"):
        read_watermark(tmp_path, "../keys/node")
    make_watermark(tmp_path, "press", gamma=0.25, delta=2.0, context_tokens=2)
    (tmp_path / "watermarks" / "press.json").chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 0600"):
        read_watermark(tmp_path, "press")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.one_of(st.binary(max_size=60), st.just(SHORT)))
def test_whatever_the_file_holds_it_is_our_own_error(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "watermarks" / "press.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(raw)
    path.chmod(0o600)
    with pytest.raises(FreeholdError):
        read_watermark(tmp_path, "press")
