"""What `/readyz` answers: whether a request would be taken now, and what is missing in words.

Anybody on the network may ask, so that a supervisor needs no key. Without an admin's key a path is told by its last name alone
(`paths.py`).
"""

from typing import Any

from freehold.core.ports import UpstreamStatus
from freehold.gateway.paths import Paths
from freehold.gateway.services import Services


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


def for_anybody(answer: dict[str, Any], paths: Paths) -> dict[str, Any]:
    """The same without this machine's paths."""
    return {
        name: for_anybody(value, paths) if isinstance(value, dict) else paths.without(value) if name == "detail" else value
        for name, value in answer.items()
    }
