from pathlib import Path

import pytest

from freehold.core.errors import ConfigError
from freehold.guard import GuardConfig, StreamGuard
from freehold.guard.labels import Label
from freehold.guard.residency_config import ResidencyConfig
from freehold.residency import check_findings, load_residency


def test_a_finding_that_nothing_can_be_is_refused_rather_than_never_labelled() -> None:
    subjects = StreamGuard(GuardConfig(engine="re2")).policy.subjects
    for good in ("personal_data", "email", "payment-*"):
        check_findings(ResidencyConfig(findings={good: Label.PERSONAL}), subjects)
    check_findings(None, subjects)
    with pytest.raises(ConfigError, match=r"findings has 'persnal_data', .* did you mean 'personal_data'"):
        check_findings(ResidencyConfig(findings={"persnal_data": Label.PERSONAL}), subjects)


def test_a_table_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    config, table = ResidencyConfig(jurisdictions="mine.csv"), tmp_path / "mine.csv"
    with pytest.raises(ConfigError, match=rf"^cannot read residency\.jurisdictions {table}: No such file or directory$"):
        load_residency(config, tmp_path)
    table.write_bytes(b"country\xff")
    with pytest.raises(ConfigError, match=rf"{table} is not UTF-8 at byte 7"):
        load_residency(config, tmp_path)
