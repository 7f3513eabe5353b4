"""How an entry of the table of programs becomes effects for the words at hand.

Decided here: what a selector's words are (paths, hosts, commands, code), that help and rehearsals do nothing, and that ending,
deleting or changing what bears a defence's name disables a defence. The table's language is in `programs`.
"""

import re
from collections.abc import Sequence

from freehold.core.effects import EffectKind, Place
from freehold.guard.effects.places import graver, host_of, host_place, normal
from freehold.guard.effects.programs import Clause, Does, Flags, Program, chosen, parted, program, verb_kind
from freehold.guard.effects.shell_call import Call
from freehold.guard.effects.shell_handed import handed, starts_shell
from freehold.guard.effects.shell_interpreters import run_script_file
from freehold.guard.effects.shell_names import named
from freehold.guard.effects.shell_state import DECODED, LOCAL, NET, OUTPUT, SECRET, Shell, filtered

_HELP = frozenset(("--help", "--version", "-help", "-version"))
_HELPS = frozenset(("help", "completion", "completions", "version"))  # where they are sub-commands
_REHEARSE = frozenset(("--dry-run", "--just-print", "--simulate", "--whatif", "--check-only"))
_DEFENCES = re.compile(
    r"(?<![A-Za-z0-9])(?:audit[ds]?|auditbeat|rsyslogd?|syslog(?:-ng|d)?|journald|systemd-journald|apparmor|selinux|firewalld?|ufw|iptables|ip6tables|nftables|fail2ban|clamav|clamd|freshclam"
    r"|ossec|wazuh(?:-agent)?|falcon(?:-sensor|d)?|crowdstrike|cbdaemon|cbagentd|carbonblack|sentinelone|sentinelctl|mdatp|osqueryd?|sysmon|snort|suricata|crowdsec|tripwire|aide|rkhunter"
    r"|chkrootkit|littlesnitch\w*|blockblock|lulu|santa|santad|nessus\w*|esets?|sophos\w*|symantec|mcafee|trend\w*|xprotect\w*|alf|socketfilterfw|aliyun|aegis|cloudmonitor|ds_agent|filebeat"
    r"|packetbeat|td-agent|splunk\w*|datadog\w*|newrelic\w*|elastic-agent|falco|tetragon|watchdog|defender|cloudtrail|guardduty|securityhub|macie|flow-?logs?|config-recorder|detector|waf|security-?center|auditlog|log-?sink|sinks|diagnostic-settings?|event-?hub|cloudwatch)(?![A-Za-z0-9])",
    re.IGNORECASE,
)
_REGISTRIES = tuple(f"{name}." for name in sorted(named("registries")))
_BUILDS = (EffectKind.RUN, EffectKind.INSTALL)
_PROGRAMS = (".py", ".js", ".mjs", ".cjs", ".ts", ".rb", ".php", ".pl", ".sh", ".bash")
_ENDS = (EffectKind.PROCESS, EffectKind.DELETE, EffectKind.SYSTEM)


_ESCAPE = re.compile(r"^[ \t]*[\\:]?![ \t]*(?:exec\s+|shell\s+)?[\"']?([\w./].*?)[\"']?\s*$", re.MULTILINE)


def escapes(call: Call) -> None:
    """Many programs that read commands from their input run the rest of a line that begins with `!`."""
    if "!" in call.stdin and call.stdin.isascii():
        for found in _ESCAPE.finditer(call.stdin[:4000]):
            call.shell.nested(found.group(1))


def tabled(call: Call) -> str:
    """The table's part of a program that has rules of its own besides."""
    entry = program(call.name)
    return OUTPUT if entry is None else by_table(entry, call)


def by_table(entry: Program, call: Call) -> str:
    """The effects of an entry; gives what the program prints."""
    args, shell = call.args, call.shell
    if args and args[0] in _HELPS and entry.has_verbs:
        return OUTPUT
    if call.stdin:
        escapes(call)
    flags = parted(args, entry.takes, single=entry.single)
    if call.stdin:
        flags.values["input"] = [call.stdin]
    start = len(shell.effects)
    out = ""
    clauses = entry.matching(flags.words, flags)
    rehearsed = not (_HELP.isdisjoint(flags.values) and _REHEARSE.isdisjoint(flags.values))
    if rehearsed and not any(clause.wraps for clause, _ in clauses):
        return OUTPUT
    for clause, levels in clauses:
        out = _clause(clause, flags.words[levels:], flags, entry, call) or out
    _against_defences(shell, start, entry, args)
    if "://" in " ".join(args) and any(one.kind is EffectKind.INSTALL for one in shell.effects[start:]):
        _from_named_places(call, entry)
    builds = [one.place for one in shell.effects[start:] if one.kind in _BUILDS]
    handed(call, runs=bool(builds))
    if shell.files and builds:
        _run_written(shell, [*args, "."], here=Place.WORKSPACE in builds)
    return out or OUTPUT


def _run_written(shell: Shell, folders: Sequence[str], *, here: bool) -> None:
    """A build, a test, an install of a folder runs programs that lie there: those that this script wrote, each once.

    `here`: of the working folder, whatever folders are named besides.
    """
    below = tuple(f"{normal(shell.resolve(folder))}/" for folder in folders)
    for path, content in list(shell.files.items()):
        name = f"file {path}\n{content}"
        if name in shell.called or not content.isascii():
            continue
        if not path.startswith(below) and not (here and shell.place(path) is Place.WORKSPACE):
            continue
        shell.called.add(name)
        if path.endswith(_PROGRAMS):
            run_script_file(Call(shell=shell, name=path, args=[], stdin=""), path)
        elif starts_shell(content):
            shell.give(EffectKind.ESCALATE, "builds or installs what has a shell started", target=path)


def _clause(clause: Clause, words: Sequence[str], flags: Flags, entry: Program, call: Call) -> str:
    out = ""
    for does in clause.does:
        if does.kind is None:
            out = _act(does, words, flags, entry, call) or out
        else:
            _effects(does, does.kind, words, flags, entry, call)
    return out


def _effects(does: Does, kind: EffectKind, words: Sequence[str], flags: Flags, entry: Program, call: Call) -> None:
    shell, because = call.shell, entry.because[kind]
    if not does.select:
        place = does.place or Place.NOTHING
        if kind is EffectKind.DOWNLOAD and place is Place.HOST and _holds_content(call):
            kind, because = EffectKind.SEND, "a host is asked for what a file holds: that is told to it"
        if kind is EffectKind.SEND:
            place = _sent(place, words, call)
        shell.give(kind, because, place=place, target=" ".join(words[:2]))
        return
    selected = chosen(does.select, words, flags)
    if not selected and does.place is not None and does.select[0] != "-":
        shell.give(kind, because, place=does.place)
    for word in selected:
        if does.of_host:
            # Of packages, an address has a scheme: `name@1.2` is one of a registry.
            host = host_of(word) if kind is not EffectKind.INSTALL or "://" in word else None
            if kind is EffectKind.INSTALL and host is not None and _is_registry(host):
                host = None
            if host is None and does.place is None:
                continue
            place = host_place(host or word)
            if kind is EffectKind.SEND:
                place = _sent(place, words, call)
            shell.give(kind, because, place=place if host or does.place is None else does.place, target=host or word)
        elif does.place is None:
            shell.touch(kind, word, because)
            if kind in (EffectKind.WRITE, EffectKind.OVERWRITE):
                shell.store(word, filtered(call.stdin) or LOCAL)
        else:
            shell.give(kind, because, place=_at_least(does.place, word, shell), target=word)


def _from_named_places(call: Call, entry: Program) -> None:
    """Packages come from the address that some word or option names, whichever a manager calls it."""
    for arg in call.args:
        address = arg.partition("=")[2] if arg.startswith("-") and "=" in arg else arg
        host = host_of(address) if "://" in address else None
        if host is not None and not _is_registry(host) and host_place(host) is not Place.NOTHING:
            call.shell.give(EffectKind.INSTALL, entry.because[EffectKind.INSTALL], place=Place.HOST, target=host)


def _is_registry(host: str) -> bool:
    return ".".join([*reversed(host.split(".")), ""]).startswith(_REGISTRIES)


def _at_least(place: Place, word: str, shell: Shell) -> Place:
    """The place that the table names, or a key's or a device's where the word is one."""
    if "/" not in word:
        return place
    own = shell.place(word)
    return graver(place, own) if own in (Place.CREDENTIAL, Place.DEVICE) else place


def _holds_content(call: Call) -> bool:
    """Whether a word is what a file holds: `whois -h HOST "$(cat FILE)"`."""
    return any(not arg.isascii() and (LOCAL in arg or SECRET in arg) for arg in call.args)


def _sent(place: Place, words: Sequence[str], call: Call) -> Place:
    """What is sent decides with where it goes: a key that leaves is the key's place."""
    if place is Place.NOTHING:
        return place
    flow = call.stdin + "".join(words)
    if SECRET in flow or any(call.shell.place(word) is Place.CREDENTIAL for word in words if host_of(word) is None):
        return Place.CREDENTIAL
    return place


def _act(does: Does, words: Sequence[str], flags: Flags, entry: Program, call: Call) -> str:
    shell = call.shell
    if does.action == "verbs":
        found = verb_kind(words)
        kind = found[0] if found else EffectKind.READ
        shell.give(kind, entry.because[kind], place=does.place or Place.HOST, target=" ".join(words[:3]))
        return OUTPUT
    if does.action == "copies":
        return _copy(does, words, entry, call)
    if does.action == "gives":
        return {"net": NET, "decoded": DECODED, "secret": SECRET, "local": LOCAL, "same": filtered(call.stdin), "output": OUTPUT}[
            does.select
        ]
    if does.action == "wrap":
        rest = _tail(does.select, call.args, flags)
        return call.run(list(rest)) if rest else ""
    if does.action == "code":
        for text in chosen(does.select, words, flags):
            if does.language is not None:
                call.code(does.language, text)
        return OUTPUT
    if does.action == "runs":
        for path in chosen(does.select, words, flags)[:8]:
            run_script_file(Call(shell=shell, name=path, args=[], stdin=""), path)
        return OUTPUT
    return ""


_ELSEWHERE = re.compile(r"[\w-]+://|[\w./@-]{2,}:")  # `s3://bucket/x`, `remote:x`, `namespace/pod:/x`


def _copy(does: Does, words: Sequence[str], entry: Program, call: Call) -> str:
    """What names another place is there. Fetched is only what stands first, with no other place among all the words."""
    shell, place = call.shell, does.place or Place.HOST
    if len(words) < 2 or not _ELSEWHERE.match(words[0]) or any(map(_ELSEWHERE.match, words[1:])):
        because = entry.because[EffectKind.SEND]
        shell.give(EffectKind.SEND, because, place=_sent(place, words, call), target=" ".join(words[:2]))
        return OUTPUT
    source, target = words[:2]
    shell.give(EffectKind.DOWNLOAD, entry.because[EffectKind.DOWNLOAD], place=place, target=source)
    if target == "-":
        return NET
    shell.touch(EffectKind.WRITE, target, entry.because[EffectKind.WRITE])
    shell.store(target, NET)
    shell.fill(target)
    return OUTPUT


def _tail(select: str, args: Sequence[str], flags: Flags) -> Sequence[str]:
    """The words from the n-th that is no option, with the options after it."""
    if select == "--":
        return args[args.index("--") + 1 :] if "--" in args else ()
    count = int(select)
    if len(flags.words) < count:
        return ()
    word = flags.words[count - 1]
    before = sum(1 for one in flags.words[: count - 1] if one == word)
    for at, arg in enumerate(args):
        if arg == word:
            if before == 0:
                return args[at:]
            before -= 1
    return flags.words[count - 1 :]


def _against_defences(shell: Shell, start: int, entry: Program, args: Sequence[str]) -> None:
    """What ends, deletes or changes something whose name is that of a defence disables it."""
    for one in shell.effects[start:]:
        if one.kind is EffectKind.DISCOVER and one.place is Place.NOTHING and _DEFENCES.search(" ".join(args[:12])):
            shell.give(
                EffectKind.DISCOVER, f"{entry.name} looks for what guards the machine", place=Place.SYSTEM, target=one.target
            )
            return
        if one.kind in _ENDS and _DEFENCES.search(" ".join(args[:12])):
            shell.give(
                EffectKind.EVADE, f"{entry.name} on what guards or watches the machine", place=Place.NOTHING, target=one.target
            )
            return
