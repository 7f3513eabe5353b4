"""The policy file, read once. Watching it is left to `policy_watch.py`.

Where it lies is decided here: `[guard] policy`, relative to the configuration's folder, else to the home.
"""

import stat
from pathlib import Path

from freehold.core.errors import ConfigError
from freehold.guard.policy_file import PolicySource, parse

_SIZE_LIMIT_BYTES = 64 << 20  # 200,000 terms of 256 characters


def policy_path(policy: str | None, config_path: Path | None, home: Path) -> Path | None:
    """The file that `[guard] policy` names; None where it names none."""
    if policy is None:
        return None
    return (config_path.parent if config_path is not None else home) / Path(policy).expanduser()


def read_policy(path: Path) -> PolicySource:
    """The file and the term files it names, those relative to its folder. Raises ConfigError."""
    bare = PolicySource(name=str(path), text=_read(path, f"cannot read the policy {path}"))
    names = {dictionary.file for dictionary in parse(bare).dictionaries if dictionary.file is not None}
    files = {name: _read(path.parent / name, f"{path}: cannot read the terms in {name}") for name in sorted(names)}
    return PolicySource(name=bare.name, text=bare.text, term_files=files)


def _read(path: Path, complaint: str) -> str:
    try:
        found = path.stat()
        if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):  # a pipe would be waited for, with no end
            raise ConfigError(f"{complaint}: it is a pipe or a device; write the policy into a file")
        if found.st_size > _SIZE_LIMIT_BYTES:
            raise ConfigError(f"{complaint}: it has more than {_SIZE_LIMIT_BYTES >> 20} MiB")
        return path.read_text(encoding="utf-8-sig")  # a mark that an editor left would be part of the first term
    except OSError as exc:
        raise ConfigError(f"{complaint}: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{complaint}: it is not UTF-8 text") from exc
