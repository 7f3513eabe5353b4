"""What the presets say of each effect, before any rule of a policy file.

    observe      nothing is stopped; what `developer` would not let through unseen is tagged
    developer    work on the workspace is free; asks for what leaves it or is hard to undo; stops the catastrophic
    production   asks for whatever changes more than the workspace, and for looking over the machine and its people
    locked       reading in the workspace is free; other things ask, and what goes outside or on a network is stopped

Each is no milder than the one above it. Every kind has an answer for every place: what an analyser gives that nobody thought of
is in the tables too. What rules say is decided in `judge.py`.
"""

from collections.abc import Mapping
from typing import Literal, get_args

from freehold.core.effects import EffectKind, Place
from freehold.core.findings import Action

PresetName = Literal["observe", "developer", "production", "locked"]
Table = Mapping[tuple[EffectKind, Place], Action]

DEFAULT_PRESET: PresetName = "developer"
SYMBOLS = {".": Action.ALLOW, "t": Action.TAG, "?": Action.ASK, "!": Action.BLOCK}

# The columns are the places in their order, as the test says: nothing, temp, workspace, database, host, home, elsewhere,
# other_user, system, credential, device, whole_tree.
DEVELOPER = """
               noth temp work data host home else user syst cred devi tree
  run            .    .    .    .    .    .    .    t    .    ?    ?    t
  discover       .    .    .    .    .    .    .    t    t    ?    t    t
  read           .    .    .    .    .    .    .    ?    .    ?    ?    t
  write          .    .    .    .    ?    ?    ?    ?    ?    ?    !    ?
  overwrite      .    .    .    .    ?    ?    ?    ?    ?    ?    !    ?
  delete         .    .    .    ?    ?    ?    ?    ?    ?    ?    !    !
  download       .    .    .    .    .    t    t    ?    ?    ?    !    ?
  send           ?    ?    ?    ?    ?    ?    ?    ?    ?    !    !    ?
  install        .    .    .    .    t    .    t    ?    t    ?    ?    ?
  process        .    .    .    t    ?    .    .    ?    ?    ?    ?    ?
  system         ?    t    t    ?    ?    ?    ?    ?    ?    ?    ?    ?
  permission     .    .    .    ?    ?    ?    ?    ?    ?    ?    ?    !
  account        ?    ?    ?    ?    ?    ?    ?    ?    ?    ?    ?    ?
  publish        ?    ?    ?    ?    ?    ?    ?    ?    ?    !    ?    ?
  spend          ?    ?    ?    ?    ?    ?    ?    ?    ?    ?    ?    ?
  listen         t    t    t    t    t    t    t    ?    ?    ?    ?    ?
  persist        ?    ?    t    ?    ?    ?    ?    ?    ?    ?    ?    ?
  escalate       ?    ?    ?    ?    ?    ?    ?    ?    ?    ?    ?    ?
  evade          ?    ?    ?    !    !    ?    ?    !    !    !    !    !
  execute        ?    ?    ?    ?    ?    ?    ?    ?    ?    ?    ?    ?
  remote-shell   !    !    !    !    !    !    !    !    !    !    !    !
  unknown        ?    ?    ?    ?    ?    ?    ?    ?    ?    ?    ?    ?
"""

PRODUCTION = """
               noth temp work data host home else user syst cred devi tree
  run            t    ?    t    t    t    t    t    t    t    ?    ?    t
  discover       .    .    .    t    ?    .    .    ?    ?    ?    t    t
  read           .    .    .    t    t    t    t    ?    t    ?    ?    t
  write          t    .    .    t    ?    ?    ?    ?    ?    ?    !    ?
  overwrite      t    .    t    t    ?    ?    ?    ?    ?    ?    !    !
  delete         t    .    t    ?    ?    ?    ?    ?    ?    ?    !    !
  download       t    t    t    t    t    ?    ?    ?    ?    ?    !    ?
  send           ?    ?    ?    ?    ?    ?    ?    ?    ?    !    !    ?
  install        t    t    t    t    ?    t    ?    ?    ?    ?    ?    ?
  process        ?    ?    ?    ?    ?    ?    ?    ?    ?    ?    ?    ?
  system         ?    t    t    ?    ?    ?    ?    ?    ?    ?    ?    ?
  permission     ?    .    t    ?    ?    ?    ?    ?    ?    ?    ?    !
  account        ?    ?    ?    ?    ?    ?    ?    ?    ?    ?    ?    ?
  publish        ?    ?    ?    ?    ?    ?    ?    ?    ?    !    ?    ?
  spend          ?    ?    ?    ?    ?    ?    ?    ?    ?    ?    ?    ?
  listen         t    t    t    t    t    t    ?    ?    ?    ?    ?    ?
  persist        ?    ?    ?    ?    ?    ?    ?    ?    ?    ?    ?    ?
  escalate       ?    ?    ?    ?    ?    ?    ?    ?    ?    ?    ?    ?
  evade          ?    ?    ?    !    !    ?    ?    !    !    !    !    !
  execute        ?    ?    ?    ?    ?    ?    ?    ?    ?    ?    ?    ?
  remote-shell   !    !    !    !    !    !    !    !    !    !    !    !
  unknown        ?    ?    ?    ?    ?    ?    ?    ?    ?    ?    ?    ?
"""

LOCKED = """
               noth temp work data host home else user syst cred devi tree
  run            ?    ?    ?    ?    !    ?    ?    !    ?    !    !    !
  discover       .    .    .    ?    !    ?    ?    !    ?    !    ?    ?
  read           .    .    .    ?    !    ?    ?    !    ?    !    !    ?
  write          ?    ?    ?    !    !    !    !    !    !    !    !    !
  overwrite      ?    ?    ?    !    !    !    !    !    !    !    !    !
  delete         ?    ?    ?    !    !    !    !    !    !    !    !    !
  download       !    !    !    !    !    !    !    !    !    !    !    !
  send           !    !    !    !    !    !    !    !    !    !    !    !
  install        !    !    !    !    !    !    !    !    !    !    !    !
  process        ?    ?    ?    !    !    !    !    !    !    !    !    !
  system         !    !    !    !    !    !    !    !    !    !    !    !
  permission     ?    ?    ?    !    !    !    !    !    !    !    !    !
  account        !    !    !    !    !    !    !    !    !    !    !    !
  publish        !    !    !    !    !    !    !    !    !    !    !    !
  spend          !    !    !    !    !    !    !    !    !    !    !    !
  listen         !    !    !    !    !    !    !    !    !    !    !    !
  persist        !    !    !    !    !    !    !    !    !    !    !    !
  escalate       !    !    !    !    !    !    !    !    !    !    !    !
  evade          !    !    !    !    !    !    !    !    !    !    !    !
  execute        !    !    !    !    !    !    !    !    !    !    !    !
  remote-shell   !    !    !    !    !    !    !    !    !    !    !    !
  unknown        ?    ?    ?    ?    ?    ?    ?    ?    ?    ?    ?    ?
"""


def read(table: str) -> Table:
    """The cells of a table: (kind, place) to action."""
    rows = [line.split() for line in table.strip().splitlines()[1:]]
    return {
        (EffectKind(name.replace("-", "_")), place): SYMBOLS[cell]
        for name, *cells in rows
        for place, cell in zip(Place, cells, strict=True)
    }


def _watched(table: Table) -> Table:
    return {cell: Action.ALLOW if action is Action.ALLOW else Action.TAG for cell, action in table.items()}


PRESETS: dict[PresetName, Table] = {
    "observe": _watched(read(DEVELOPER)),
    "developer": read(DEVELOPER),
    "production": read(PRODUCTION),
    "locked": read(LOCKED),
}
NAMES: tuple[PresetName, ...] = get_args(PresetName)  # mildest first


def action_of(preset: PresetName, kind: EffectKind, place: Place) -> Action:
    """ALLOW, TAG, ASK or BLOCK."""
    return PRESETS[preset][kind, place]
