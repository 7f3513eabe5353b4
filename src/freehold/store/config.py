"""What an operator may set about the record."""

import msgspec

# Regulation (EU) 2024/1689, articles 19(1) and 26(6): logs of a high-risk system are kept for at least six months.
HIGH_RISK_DAYS = 183
SHORTEST_DAYS = 31  # what a month's budgets are counted from after a restart


class StoreConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`queue_drafts` answers may wait for the disk before new ones are refused; one transaction takes up to `group_drafts`.

    Exchanges older than `retention_days` are purged, their digests kept; none is never. `high_risk` says that the node serves a
    high-risk AI system.
    """

    file: str = "record.db"  # relative to the home directory
    queue_drafts: int = 4096
    group_drafts: int = 256
    busy_timeout_s: float = 5.0  # how long to wait for another process that is writing
    retention_days: int | None = None
    high_risk: bool = False

    def __post_init__(self) -> None:
        if not self.file:
            raise ValueError("[store] file is empty; name a file such as record.db")
        if self.queue_drafts < 1 or self.group_drafts < 1:
            raise ValueError(
                f"[store] queue_drafts {self.queue_drafts} and group_drafts {self.group_drafts} must both be at least 1"
            )
        if not 0 < self.busy_timeout_s <= 60:
            raise ValueError(f"[store] busy_timeout_s {self.busy_timeout_s} must be above 0 and at most 60")
        self._check_retention()

    def _check_retention(self) -> None:
        days = self.retention_days
        if days is None:
            return
        if self.high_risk and days < HIGH_RISK_DAYS:
            raise ValueError(
                f"[store] retention_days {days} is too short with high_risk = true: the logs of a high-risk system are kept for "
                f"at least {HIGH_RISK_DAYS} days (EU AI Act, articles 19 and 26)"
            )
        if days < SHORTEST_DAYS:
            raise ValueError(
                f"[store] retention_days {days} must be at least {SHORTEST_DAYS}: a month's budgets are counted from it"
            )
