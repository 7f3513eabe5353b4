"""Reads what residency needs from files, and gives it to the room that decides."""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from freehold.core.errors import ConfigError
from freehold.guard.jurisdictions import OURS, parse_jurisdictions
from freehold.guard.patterns import close
from freehold.guard.policy import Subject
from freehold.guard.residency import LabelPolicy, Unrestricted, make_residency
from freehold.guard.residency_config import ResidencyConfig


def load_residency(config: ResidencyConfig | None, folder: Path) -> LabelPolicy | Unrestricted:
    """`folder` is the configuration's, which the operator's own table is relative to. Raises ConfigError."""
    if config is None or config.jurisdictions is None:
        return make_residency(config)
    path = folder / config.jurisdictions
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as exc:
        raise ConfigError(f"cannot read residency.jurisdictions {path}: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"residency.jurisdictions {path} is not UTF-8 at byte {exc.start}; save it as UTF-8") from exc
    return make_residency(config, {**OURS, **parse_jurisdictions(text, str(path))})


def check_findings(config: ResidencyConfig | None, subjects: Iterable[Subject]) -> None:
    """Raises ConfigError for a name that no finding has: what it was to label would go unlabelled, and to anybody."""
    names = {name for subject in subjects for name in (subject.id, subject.category)}
    for pattern in config.findings if config is not None else ():
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ConfigError(f"residency.findings has {pattern!r}, which is no rule or category; {close(pattern, names)}")
