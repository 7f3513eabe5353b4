"""The `[dashboard]` table of the configuration."""

import msgspec


class DashboardConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`session_hours` is how long a log-in lasts; restarting the node or revoking the key ends it at once."""

    enabled: bool = True
    session_hours: float = 12.0

    def __post_init__(self) -> None:
        if not 0 < self.session_hours <= 720:
            raise ValueError(f"session_hours is {self.session_hours}: must be above 0 and at most 720")
