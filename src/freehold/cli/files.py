"""Files that a command line names."""

import os
import sys
from pathlib import Path
from typing import BinaryIO

from freehold.cli import Unusable
from freehold.core.errors import os_errors


def opened(file: str) -> BinaryIO:
    """To be read; "-" is standard input. Raises Unusable."""
    with os_errors(f"cannot read {file}", Unusable):
        return sys.stdin.buffer if file == "-" else Path(file).open("rb")


def refuse_unwritable(path: Path) -> None:
    """Told before the work, which may take hours or money. Raises Unusable; a disk may still fail later."""
    if path.is_dir():
        raise Unusable(f"cannot write {path}: it is a folder")
    if not path.parent.is_dir():
        raise Unusable(f"cannot write {path}: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise Unusable(f"cannot write {path}: nothing may be written into {path.parent} by this user")
