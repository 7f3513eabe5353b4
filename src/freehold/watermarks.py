"""Whose answers carry which watermark: the configuration's entries, with the secrets of the home."""

from collections.abc import Sequence
from pathlib import Path

from freehold.core.errors import ConfigError, NotFound
from freehold.core.exchange import Principal, fits
from freehold.core.watermark import Watermark
from freehold.engine.client import WatermarkFor
from freehold.engine.config import WatermarkConfig
from freehold.provenance.watermark import read_watermark


def watermarks_of(home: Path, rules: Sequence[WatermarkConfig]) -> WatermarkFor:
    """Raises ConfigError for a secret that is not there: an answer that should be marked never goes out without."""
    try:
        chosen = [(rule, read_watermark(home, rule.secret)) for rule in rules]
    except NotFound as exc:
        raise ConfigError(exc.message) from exc

    def watermark_for(principal: Principal) -> Watermark | None:
        team, name = principal.team or "", principal.name
        return next((found for rule, found in chosen if fits(rule.teams, team) and fits(rule.keys, name)), None)

    return watermark_for
