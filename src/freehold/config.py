"""One frozen configuration per room, out of one TOML file.

Where the file is looked for is decided here: `--config`, else `FREEHOLD_CONFIG`, else `freehold.toml` in the home directory; without
any, every setting has its default. What a setting means is decided in its room's `config.py`.
"""

import os
from pathlib import Path


def home() -> Path:
    """Where the node keeps models, keys and records: `FREEHOLD_HOME`, else `freehold` in the XDG data directory."""
    if explicit := os.environ.get("FREEHOLD_HOME"):
        return Path(explicit).expanduser().absolute()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser().absolute() / "freehold"
