"""`freehold meter event`: note by hand that the same demand takes another energy or price from now on."""

import math
import time
from datetime import UTC, datetime

import click

from freehold import config as configuration
from freehold.core.errors import InvalidRequest
from freehold.meter import journal
from freehold.provenance.keys import key_directory, node_key
from freehold.store.audit import append, decision
from freehold.store.database import connected, open_writer, transaction

PRICE = "price_changed"
KINDS = ("model_swapped", "engine_upgraded", "quantised", PRICE, "other")


@click.command("event")
@click.argument("what", type=click.Choice(KINDS))
@click.option("--model", "models", multiple=True, required=True, help="A model that it is about, or a glob. May be repeated.")
@click.option("--from", "before", default="", help="What was before: a name, or a price.")
@click.option("--to", "after", default="", help="What is now.")
@click.option("--note", default="", help="Anything else that whoever reads the report should know.")
@click.option("--at", "at", help="When it happened, as 2026-11-23 or 2026-11-23T14:00 (UTC). Default: now.")
def event(what: str, models: tuple[str, ...], before: str, after: str, note: str, at: str | None) -> None:
    """Note that WHAT changed for a model, so that `freehold meter rebound` can compare before with after.

    The node itself notes when its engine serves another model or build, and when the price list changes.
    """
    if not all(models):
        raise InvalidRequest("--model is a name or a glob, and not empty; '*' is every model", param="model")
    was, now = _value(before), _value(after)
    if what == PRICE and not (_is_price(was) and _is_price(now)):
        raise InvalidRequest("a change of price needs --from and --to, two prices above zero: --from 10 --to 5", param="from")
    facts = journal.event(what, models, before=was, after=now, note=note[:500])
    now_ns = time.time_ns()
    if at is not None:
        facts["at_ns"] = _time_ns(at, now_ns)
    store, home = configuration.load().store, configuration.home()
    path = home / store.file
    with connected(open_writer, path, store.busy_timeout_s) as connection, transaction(connection):
        append(connection, [decision(journal.EVENT, facts, now_ns)], node_key(key_directory(home)))
    click.echo(f"noted: {what} of {', '.join(models)}")


def _value(text: str) -> float | str:
    """A price is a number."""
    try:
        value = float(text)
    except ValueError:
        return text[:200]
    return value if math.isfinite(value) else text[:200]  # a model may be called Infinity; JSON has no such number


def _is_price(value: float | str) -> bool:
    return isinstance(value, float) and math.isfinite(value) and value > 0


def _time_ns(text: str, now_ns: int) -> int:
    try:
        at = datetime.fromisoformat(text)
        found = int(at.replace(tzinfo=at.tzinfo or UTC).timestamp()) * 1_000_000_000
    except (ValueError, OverflowError) as exc:
        raise InvalidRequest(f"{text[:60]!r} is no time: write 2026-11-23 or 2026-11-23T14:00", param="at") from exc
    if not 0 < found <= now_ns:
        raise InvalidRequest(f"{text} is not in the past: an event is noted once it has happened", param="at")
    return found
