"""Templates to HTML.

Everything is escaped, an undefined name is an error, and a live row is the same template as a row of the page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from typing import TYPE_CHECKING

from freehold import __version__
from freehold.core.exchange import KeyId
from freehold.core.ledger import LedgerEntry
from freehold.core.ports import UpstreamStatus
from freehold.dashboard import rows
from freehold.dashboard.call_card import CallCard
from freehold.dashboard.day import Figure
from freehold.dashboard.receipt_view import ReceiptView

if TYPE_CHECKING:
    from jinja2 import Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    body: bytes
    media_type: str


def _asset(name: str, media_type: str) -> Asset:
    return Asset(body=(resources.files("freehold.dashboard") / "static" / name).read_bytes(), media_type=media_type)


STATIC: dict[str, Asset] = {
    "dashboard.css": _asset("dashboard.css", "text/css; charset=utf-8"),
    "approvals.js": _asset("approvals.js", "text/javascript; charset=utf-8"),
    "dashboard.js": _asset("dashboard.js", "text/javascript; charset=utf-8"),
    "mark.svg": _asset("mark.svg", "image/svg+xml"),
}

NUMBERS = ("Tokens", "Speed")
COLUMNS = ("Time", "Key", "Model", "Status", *NUMBERS, "Energy", "CO2e", "Cost", "Findings", "Receipt")


class Pages:
    @cached_property
    def _templates(self) -> "Environment":
        from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415  # 2 MiB, once somebody opens a page

        templates = Environment(
            loader=PackageLoader("freehold.dashboard"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        templates.globals.update(version=__version__, columns=COLUMNS, numbers=NUMBERS)
        return templates

    def overview(
        self,
        base: str,
        newest_first: Sequence[tuple[int, LedgerEntry]],
        key_names: Mapping[KeyId, str],
        status: Mapping[str, UpstreamStatus],
        waiting: int,
        day: Sequence[Figure],
    ) -> str:
        return self._render(
            "overview.html",
            day=day,
            waiting=waiting,
            base=base,
            rows=[rows.row(seq, entry, key_names) for seq, entry in newest_first],
            last_seq=newest_first[0][0] if newest_first else 0,
            totals=rows.totals([entry for _, entry in newest_first]),
            status=status,
        )

    def row(self, base: str, seq: int, entry: LedgerEntry, key_names: Mapping[KeyId, str]) -> str:
        return self._render("row.html", base=base, row=rows.row(seq, entry, key_names))

    def totals(self, entries: Sequence[LedgerEntry]) -> str:
        return self._render("totals.html", totals=rows.totals(entries))

    def day(self, day: Sequence[Figure]) -> str:
        return self._render("day.html", day=day)

    def status(self, status: Mapping[str, UpstreamStatus]) -> str:
        return self._render("status.html", status=status)

    def approvals(self, base: str, cards: Sequence[CallCard], *, token: str, waiting: int, done: str) -> str:
        """`waiting` counts those that have no card, too; `done` is the decision that was just made, or empty."""
        return self._render("approvals.html", base=base, cards=cards, token=token, waiting=waiting, done=done)

    def call(self, base: str, card: CallCard, token: str) -> str:
        return self._render("call.html", base=base, card=card, token=token)

    def receipt(self, base: str, receipt: ReceiptView) -> str:
        return self._render("receipt.html", base=base, receipt=receipt)

    def login(self, base: str, *, failure: str | None) -> str:
        return self._render("login.html", base=base, failure=failure)

    def message(self, base: str, status: int, text: str) -> str:
        return self._render("message.html", base=base, code=status, text=text)

    def _render(self, template: str, **values: object) -> str:
        return self._templates.get_template(template).render(**values)
