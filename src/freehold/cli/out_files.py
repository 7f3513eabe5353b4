"""Files that a command writes at its end."""

import os
from pathlib import Path

from freehold.cli import Unusable


def refuse_unwritable(path: Path) -> None:
    """Told before the work, which may take hours or money. Raises Unusable; a disk may still fail later."""
    if path.is_dir():
        raise Unusable(f"cannot write {path}: it is a folder")
    if not path.parent.is_dir():
        raise Unusable(f"cannot write {path}: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise Unusable(f"cannot write {path}: nothing may be written into {path.parent} by this user")
