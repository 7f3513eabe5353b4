"""What an operator may set about the record."""

import msgspec


class StoreConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`queue_drafts` answers may wait for the disk before new ones are refused; one transaction takes up to `group_drafts`."""

    file: str = "record.db"  # relative to the home directory
    queue_drafts: int = 4096
    group_drafts: int = 256
    busy_timeout_s: float = 5.0  # how long to wait for another process that is writing

    def __post_init__(self) -> None:
        if not self.file:
            raise ValueError("[store] file is empty; name a file such as record.db")
        if self.queue_drafts < 1 or self.group_drafts < 1:
            raise ValueError(
                f"[store] queue_drafts {self.queue_drafts} and group_drafts {self.group_drafts} must both be at least 1"
            )
        if not 0 < self.busy_timeout_s <= 60:
            raise ValueError(f"[store] busy_timeout_s {self.busy_timeout_s} must be above 0 and at most 60")
