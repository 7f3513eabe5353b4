"""What a command, a program or a tool call does to the world: the nouns of the judges in `guard` and of those who act on them.

An `Effect` is a kind, a place and, as far as it could be resolved, a target. Kinds and places are closed and few: policy is
written on them, so that a program nobody has heard of is judged by what it does. `UNKNOWN` is an effect like the others: what
could not be resolved is said, and never taken for clean.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache

from freehold.core.findings import Action


class EffectKind(StrEnum):
    """What is done. Mildest first, as far as that can be said without the place."""

    RUN = "run"  # runs a program whose effects are not known beyond its arguments: no table has it
    DISCOVER = "discover"  # looks over users, processes, networks, software of the machine
    READ = "read"
    WRITE = "write"  # creates or changes: files, settings, rows
    OVERWRITE = "overwrite"  # what was there is lost
    DELETE = "delete"
    DOWNLOAD = "download"  # brings something from a network here
    SEND = "send"  # takes something from here to a network
    INSTALL = "install"  # packages from a registry, which run code of their own
    PROCESS = "process"  # ends or stops processes and services
    SYSTEM = "system"  # power, kernel, mounts, clock, network set-up
    PERMISSION = "permission"  # modes, owners, access lists
    ACCOUNT = "account"  # users, groups, passwords, tokens, roles
    PUBLISH = "publish"  # makes something public or shared: pushes, releases, posts, applies to a cluster or a cloud
    SPEND = "spend"  # starts what costs money: machines, transfers
    LISTEN = "listen"  # waits for others to connect
    PERSIST = "persist"  # will run again by itself: cron, services, profiles, authorized_keys, registry run keys
    ESCALATE = "escalate"  # more rights than its caller has
    EVADE = "evade"  # disables or deceives defences, deletes or hides traces
    EXECUTE = "execute"  # runs what it downloaded, decoded or was given by somebody else
    REMOTE_SHELL = "remote_shell"  # opens a shell to somebody elsewhere
    UNKNOWN = "unknown"  # could not be resolved


class Place(StrEnum):
    """What is touched. Where several hold, the later one counts."""

    NOTHING = "nothing"  # no place: a process, a query of the machine
    TEMP = "temp"
    WORKSPACE = "workspace"  # below the working folder, or a relative path that does not leave it
    DATABASE = "database"
    HOST = "host"  # another machine, by name or address
    HOME = "home"  # of the caller, outside the working folder
    ELSEWHERE = "elsewhere"  # an absolute path of no special kind
    OTHER_USER = "other_user"
    SYSTEM = "system"  # folders, services, settings, registry of the operating system
    CREDENTIAL = "credential"  # keys, tokens, password files, browsers' and cloud tools' stores
    DEVICE = "device"  # raw disks, memory, firmware
    WHOLE_TREE = "whole_tree"  # everything below a root, a home, a drive, a whole database or cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One thing that is done. `because` is in our own words alone, so that it may be recorded; `target` may be content."""

    kind: EffectKind
    place: Place = Place.NOTHING
    target: str = field(repr=False, default="")  # a path, a host, a user, a table, a program; empty where it is not known
    because: str = ""  # "rm deletes what it is given, folders with all that is in them"

    @property
    def rule(self) -> str:
        """Its name in policy, findings and records: "effect-delete-system"."""
        return _rule(self.kind, self.place)


@cache
def _rule(kind: EffectKind, place: Place) -> str:
    return f"effect-{kind}-{place}".replace("_", "-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a call was judged so: what does it, what policy says of that, and by which of its rules."""

    action: Action
    effect: Effect
    rule: str  # of policy: its id, or "preset developer"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallJudgement:
    """What policy decided for one tool call. `words` explain it to people and to the model, without content of the call."""

    action: Action  # ALLOW, TAG, ASK or BLOCK
    reasons: tuple[Reason, ...] = ()  # of TAG and worse, the gravest first
    words: str = ""
