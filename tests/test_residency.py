import pytest

from freehold.core.errors import ConfigError
from freehold.guard import GuardConfig, StreamGuard
from freehold.guard.labels import Label
from freehold.guard.residency_config import ResidencyConfig
from freehold.residency import check_findings


def test_a_finding_that_nothing_can_be_is_refused_rather_than_never_labelled() -> None:
    subjects = StreamGuard(GuardConfig(engine="re2")).policy.subjects
    for good in ("personal_data", "email", "payment-*"):
        check_findings(ResidencyConfig(findings={good: Label.PERSONAL}), subjects)
    check_findings(None, subjects)
    with pytest.raises(ConfigError, match=r"findings has 'persnal_data', .* did you mean 'personal_data'"):
        check_findings(ResidencyConfig(findings={"persnal_data": Label.PERSONAL}), subjects)
