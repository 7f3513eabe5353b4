"""What people and models are told of a judged call: in our own words, with nothing of the call's content.

A model that is told what was stopped, why, and what it may do instead finds another way; one that gets an error tries again.
"""

from collections.abc import Iterable, Mapping

from freehold.core.effects import Effect, EffectKind, Place, Reason
from freehold.core.findings import Action

LIMIT_REASONS = 5  # that are named; a script of a hundred lines has as many

_DONE: Mapping[Action, str] = {
    Action.ALLOW: "nothing against it",
    Action.TAG: "noted",
    Action.ASK: "needs a person's yes",
    Action.BLOCK: "stopped",
}
_PLACES: Mapping[Place, str] = {
    Place.NOTHING: "",
    Place.TEMP: "temporary files",
    Place.WORKSPACE: "the working folder",
    Place.DATABASE: "a database",
    Place.HOST: "another machine",
    Place.HOME: "the home folder",
    Place.ELSEWHERE: "outside the working folder",
    Place.OTHER_USER: "another user's",
    Place.SYSTEM: "the system",
    Place.CREDENTIAL: "credentials",
    Place.DEVICE: "a device",
    Place.WHOLE_TREE: "everything below a root",
}
_INSTEAD: Mapping[EffectKind, str] = {
    EffectKind.RUN: "use a program or tool that is known here, or say what you want to run and let the user run it",
    EffectKind.DISCOVER: "ask the user for what you need to know about the machine",
    EffectKind.READ: "work with the files of the working folder, or ask the user for what you need of this one",
    EffectKind.WRITE: "write below the working folder",
    EffectKind.OVERWRITE: "write to a new file below the working folder",
    EffectKind.DELETE: "name exactly the files you made, below the working folder, or ask the user to delete the others",
    EffectKind.DOWNLOAD: "ask the user to fetch it, or to allow the address",
    EffectKind.SEND: "show the user what you would send, and to whom",
    EffectKind.INSTALL: "tell the user which package you need, and why",
    EffectKind.PROCESS: "end only what you started, or ask the user",
    EffectKind.SYSTEM: "tell the user which change of the machine you need, and why",
    EffectKind.PERMISSION: "change the rights of single files below the working folder",
    EffectKind.ACCOUNT: "ask the user to change accounts and rights",
    EffectKind.PUBLISH: "prepare it here, and let the user publish it",
    EffectKind.SPEND: "tell the user what it would cost, and let them order it",
    EffectKind.LISTEN: "ask the user before you open a port",
    EffectKind.PERSIST: "run it once, now, in place of setting it up to run by itself",
    EffectKind.ESCALATE: "do it with the rights you have",
    EffectKind.EVADE: "leave guards, logs and histories as they are",
    EffectKind.EXECUTE: "save it to a file, read it, and run only what you have read",
    EffectKind.REMOTE_SHELL: "use a shell here alone",
    EffectKind.UNKNOWN: "write it plainly: no computed commands, no encoded text, one step at a time",
}
_REMOTE = (Place.DATABASE, Place.HOST)
_INSTEAD_THERE: Mapping[EffectKind, str] = {  # what is no file of this machine
    EffectKind.READ: "ask the user for what you need of it",
    EffectKind.WRITE: "show the user the change you would make there",
    EffectKind.OVERWRITE: "show the user the change you would make there",
    EffectKind.DELETE: "list what would be deleted there, and let the user delete it",
    EffectKind.PERMISSION: "tell the user which right is needed there, and why",
}


def explained(reasons: Iterable[Reason]) -> str:
    """One line a reason, the gravest first, the same words once."""
    lines = list(dict.fromkeys(_line(reason) for reason in reasons))
    more = len(lines) - LIMIT_REASONS
    return "\n".join([*lines[:LIMIT_REASONS], *([f"and {more} more"] if more > 0 else [])])


def _line(reason: Reason) -> str:
    effect = reason.effect
    where = _PLACES[effect.place]
    what = f"{effect.kind.replace('_', ' ')}{f', {where}' if where else ''}"
    return f"{_DONE[reason.action]}: {effect.because or 'it would'} ({what}; {reason.rule})"


def _instead(effect: Effect) -> str:
    there = _INSTEAD_THERE.get(effect.kind) if effect.place in _REMOTE else None
    return there or _INSTEAD[effect.kind]


def refusal(tool: str, reasons: Iterable[Reason], *, was_asked: bool) -> str:
    """What stands in the place of a call that does not go on."""
    grave = [reason for reason in reasons if reason.action in (Action.ASK, Action.BLOCK)]
    advice = list(dict.fromkeys(_instead(reason.effect) for reason in grave))
    instead = "; ".join(advice[:3])
    head = (
        f"The call of {_named(tool)} was not run: it needs a person's approval, and did not get it."
        if was_asked
        else f"The call of {_named(tool)} was not run: the policy of this node does not allow it."
    )
    return (
        f"{head}\n{explained(grave)}\nNothing of it has happened. What you may do instead: {instead}. "
        "Do not try the same in another form; if it is needed, tell the user what and why, and go on with the rest."
    )


def _named(tool: str) -> str:
    """A tool's name as far as it is one: what a model wrote goes back to it, but no text."""
    return f"the tool {tool!r}" if tool and len(tool) <= 128 and tool.isprintable() else "a tool"


def refusal_of_code(tool: str) -> str:
    return (
        f"The call of {_named(tool)} was not run: the code it writes has weaknesses that this node's policy forbids. "
        "Nothing of it has happened. Write the code without them: no queries or commands made of input, no secrets in it, "
        "checked certificates, safe parsers. Then call the tool again."
    )
