"""Which record a command reads."""

from pathlib import Path

from freehold import config as configuration
from freehold.core.errors import InvalidRequest
from freehold.store.config import StoreConfig


def record_at(path: Path | None, store: StoreConfig) -> Path:
    """The one that was given, else this node's. Raises InvalidRequest where there is none yet."""
    record = path or configuration.home() / store.file
    if not record.is_file():
        raise InvalidRequest(f"there is no record at {record} yet: the node makes it at its first start", param="file")
    return record
