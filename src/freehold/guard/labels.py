"""What a text may be labelled, and which label is above which.

    public < internal < personal < special_category
             internal < export_controlled < state_secret

A label binds its own rule and the rules of all labels below it. A conversation's labels are those of all its turns together: a
request carries its whole history, so that nothing said earlier is forgotten. More labels never allow more.
"""

from collections.abc import Iterable
from enum import StrEnum


class Label(StrEnum):
    PUBLIC = "public"
    INTERNAL = "internal"
    PERSONAL = "personal"
    SPECIAL_CATEGORY = "special_category"  # GDPR article 9: health, belief, biometrics, …
    EXPORT_CONTROLLED = "export_controlled"
    STATE_SECRET = "state_secret"  # noqa: S105 - a label


_NEXT_BELOW: dict[Label, Label | None] = {
    Label.PUBLIC: None,
    Label.INTERNAL: Label.PUBLIC,
    Label.PERSONAL: Label.INTERNAL,
    Label.SPECIAL_CATEGORY: Label.PERSONAL,
    Label.EXPORT_CONTROLLED: Label.INTERNAL,
    Label.STATE_SECRET: Label.EXPORT_CONTROLLED,
}
STRICTEST = frozenset({Label.SPECIAL_CATEGORY, Label.STATE_SECRET})  # of a conversation that is not known here


def with_below(label: Label) -> tuple[Label, ...]:
    """The label, and those that it is above."""
    found = [label]
    while (below := _NEXT_BELOW[found[-1]]) is not None:
        found.append(below)
    return tuple(found)


def raises(claimed: Label, held: Iterable[Label]) -> bool:
    """Whether a claim says more than what is known already. One that says less is passed over."""
    return not any(claimed in with_below(label) for label in held)
