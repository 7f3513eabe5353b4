"""Where a home keeps what is known of a model: what only looks at the place does not wait for what reads models."""

from pathlib import Path
from typing import Final

LOCATION_NAME: Final = "location"  # a file that says where the weights lie, where that is elsewhere


def model_directory(home: Path, name: str) -> Path:
    return home / "models" / name
