"""What lists of models answer clients of other dialects than OpenAI's."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from freehold.gateway.wire.gemini_words import METHODS, MODELS


def anthropic_models(names: Iterable[str], created_at_s: int) -> dict[str, Any]:
    """What `GET /v1/models` answers a client of this dialect: all models on one page."""
    models = [anthropic_model(name, created_at_s) for name in names]
    ends = {"first_id": models[0]["id"], "last_id": models[-1]["id"]} if models else {"first_id": None, "last_id": None}
    return {"data": models, "has_more": False, **ends}


def anthropic_model(name: str, created_at_s: int) -> dict[str, Any]:
    created_at = datetime.fromtimestamp(created_at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"type": "model", "id": name, "display_name": name, "created_at": created_at}


def gemini_models(names: Iterable[str]) -> dict[str, Any]:
    """What `GET /v1beta/models` answers."""
    return {"models": [gemini_model(name) for name in names]}


def gemini_model(name: str) -> dict[str, Any]:
    """What `GET /v1beta/models/NAME` answers. Limits and versions are the upstream's to know: none is better than a wrong one."""
    return {"name": MODELS + name, "baseModelId": name, "displayName": name, "supportedGenerationMethods": list(METHODS)}
