"""What operators would see: decisions of the log and alerts, kept in lists."""

from collections.abc import Mapping

from freehold.core.errors import RecordNotWritten
from freehold.core.exchange import ExchangeId
from freehold.core.findings import Alert


class InMemoryAudit:
    """Implements `AuditLog`."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, Mapping[str, object], ExchangeId | None]] = []
        self.failing = False

    async def append(self, kind: str, facts: Mapping[str, object], exchange_id: ExchangeId | None = None) -> None:
        if self.failing:
            raise RecordNotWritten("the disk is full; free some space")
        self.rows.append((kind, facts, exchange_id))


class AlarmBell:
    """Implements `Alarm`."""

    def __init__(self) -> None:
        self.alerts: list[Alert] = []

    def raise_alert(self, alert: Alert) -> None:
        self.alerts.append(alert)
