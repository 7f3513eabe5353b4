import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from freehold.core.errors import DeviceError
from freehold.store.database import open_writer

OPEN_AND_CLOSE = """
import sys
from pathlib import Path
from freehold.store.database import open_writer
open_writer(Path(sys.argv[1]), 5.0).close()
"""


def test_what_is_written_stays_when_another_process_has_come_and_gone(tmp_path: Path) -> None:
    # A process loses its locks on a file when it closes any handle of it. Without them the other process, on its way out, takes
    # itself for the last one and deletes the write-ahead log under the first.
    path = tmp_path / "record.db"
    with closing(open_writer(path, 1.0)) as writer, closing(open_writer(path, 1.0)):
        subprocess.run([sys.executable, "-c", OPEN_AND_CLOSE, path], check=True)
        writer.execute("INSERT INTO probe VALUES (1, x'00')")
        with closing(sqlite3.connect(path)) as other:
            assert other.execute("SELECT count(*) FROM probe").fetchone()[0] == 1


def test_a_folder_in_the_records_place_is_called_one(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="is a folder, and no record"):
        open_writer(tmp_path, 1.0)
