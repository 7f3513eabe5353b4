"""What `/readyz` answers: whether a request would be taken now, and what is missing in words.

Anybody on the network may ask, so that a supervisor needs no key. What its words say of this machine's files is for who runs it:
without an admin's key a path is told by its last name alone, which is enough to know what is meant and what to do. The log has
them whole.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from freehold.core.ports import UpstreamStatus
from freehold.gateway.services import Services

# Not the path of an address, of a fraction or of a word like "and/or".
_PART: Final = r"[^\s/\\'\"`,;:()\[\]<>|]+"
_PATH: Final = re.compile(rf"(?<![\w:/.~%-])(?:~|[A-Za-z]:(?=\\))?[/\\](?:{_PART}[/\\])*({_PART})[/\\]?")


def readiness(services: Services) -> tuple[bool, dict[str, Any]]:
    """Whether it is ready, and the whole answer, paths and all."""
    record, policy, upstreams = services.recorder.status(), services.guard.status(), services.router.status()
    log = services.log.state.status() if services.log is not None else {}
    ready = record.ready and any(status.ready for status in upstreams.values())
    return ready, {
        "ready": ready,
        "record": _part(record),
        "policy": _part(policy),  # a refused file leaves the one before it in force
        "upstreams": {name: _part(status) | ({"code": status.code} if status.code else {}) for name, status in upstreams.items()},
        "log": {name: _part(status) for name, status in log.items()},
    }


def _part(status: UpstreamStatus) -> dict[str, Any]:
    return {"ready": status.ready, "detail": status.detail}


def for_anybody(answer: dict[str, Any], roots: Sequence[Path]) -> dict[str, Any]:
    """The same without this machine's paths. `roots` are folders whose names may hold what ends a path in a text: spaces."""
    return {
        name: for_anybody(value, roots) if isinstance(value, dict) else without_paths(value, roots) if name == "detail" else value
        for name, value in answer.items()
    }


def without_paths(words: str, roots: Sequence[Path] = ()) -> str:
    """Each path as its last name."""
    for root in sorted((str(root) for root in roots if len(root.parts) > 1), key=len, reverse=True):
        words = words.replace(root, f"/{Path(root).name.replace(' ', '_')}")
    return _PATH.sub(r"\1", words)
