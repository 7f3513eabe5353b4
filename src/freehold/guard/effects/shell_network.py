"""Programs that talk to a network: what they bring, what they send, and to whom; shells that they give away.

Sources: curl(1), wget(1), nc(1), ncat(1), socat(1), ssh(1), ssh_config(5), scp(1), sftp(1), rsync(1), openssl(1), dig(1).
"""

import re

from freehold.core.effects import EffectKind, Place
from freehold.guard.effects.places import host_of, host_place
from freehold.guard.effects.programs import Flags
from freehold.guard.effects.shell_call import Call, Handler
from freehold.guard.effects.shell_names import named
from freehold.guard.effects.shell_state import DECODED, LIMIT_VALUE, LOCAL, NET, OUTPUT, SECRET, filtered, marks_of
from freehold.guard.effects.shell_wrappers import after_options

TALKERS = named("talkers")

_CURL_TAKES = named("curl-takes")
_CURL_SENDS = (
    "-d",
    "--data",
    "--data-raw",
    "--data-binary",
    "--data-urlencode",
    "--data-ascii",
    "--json",
    "-F",
    "--form",
    "--form-string",
    "-T",
    "--upload-file",
    "--mail-from",
    "--url-query",
)
_WGET_TAKES = named("wget-takes")
_WHERE_AM_I = named("address-hosts")
_LONG_NAME = re.compile(r"[A-Za-z0-9_-]{30,}")  # of a host's label: data more likely than a name


_CURL_SETTING = re.compile(r"^[ \t]*-*([\w-]+)[ \t]*[=:]?[ \t]*(?:\"(.*)\"|(\S*))", re.MULTILINE)
_INPUTS = named("inputs")


def _curl_settings(text: str) -> list[str]:
    """curl(1), `--config`: an option a line, with or without its hyphens."""
    words: list[str] = []
    for found in _CURL_SETTING.finditer(text[:LIMIT_VALUE]):
        words.append(("--" if len(found[1]) > 1 else "-") + found[1])
        words += [value] if (value := found[2] or found[3]) else []
    return words


def curl(call: Call) -> str:
    flags = call.flags(_CURL_TAKES)
    if flags.has("--help", "--version", "-V", "--manual"):
        return OUTPUT
    for path in (*flags.values.get("-K", ()), *flags.values.get("--config", ())):
        text = call.stdin if path in _INPUTS else call.shell.content(path)
        if not marks_of(text):
            flags = Call(shell=call.shell, name=call.name, args=[*_curl_settings(text), *call.args], stdin="").flags(_CURL_TAKES)
        elif not flags.words:
            call.shell.unknown("settings of curl that are not known")
    urls = flags.words + flags.values.get("--url", [])
    hosts = [host_of(url) or url.split("/")[0] for url in urls]
    sent = [value for option in _CURL_SENDS for value in flags.values.get(option, ())]
    secrets = [value for option in ("-H", "--header", "-u", "--user", "-b", "--cookie") for value in flags.values.get(option, ())]
    files = [part.split(";")[0] for value in sent for part in re.findall(r"(?:^|[=])[@<]([^,]+)", value)]
    files += flags.values.get("-T", []) + flags.values.get("--upload-file", [])
    flow = "".join(urls + sent + secrets) + (call.stdin if any(part in ("-", ".") for part in files) else "")
    for path in [*files, *flags.values.get("-K", []), *flags.values.get("--config", [])]:
        if path not in ("-", "."):
            call.shell.touch(EffectKind.READ, path, "curl sends what a file holds, or does what it says")
    method = flags.value("-X", "--request").upper()
    changes = method not in ("", "GET", "HEAD", "OPTIONS")
    for host in hosts:
        if sent or changes or SECRET in flow or LOCAL in flow or OUTPUT in "".join(urls):
            call.sends(
                host,
                "curl sends data" if sent else "curl asks for a change",
                flow=flow + "".join(map(call.shell.content, files)),
                files=files,
            )
        elif host in _WHERE_AM_I:
            call.shell.give(EffectKind.DISCOVER, "asks by which address this machine is seen", place=Place.HOST, target=host)
        else:
            call.downloads(host, "curl brings something from a network")
        if method == "DELETE" and host_place(host) is Place.HOST:
            call.shell.give(EffectKind.DELETE, "curl asks for a deletion", place=Place.HOST, target=host)
    socket = flags.value("--unix-socket")
    if socket.endswith("docker.sock"):
        call.shell.give(EffectKind.ESCALATE, "asks the container daemon, which may do anything", place=Place.SYSTEM)
    return _curl_output(call, flags, urls)


def _curl_output(call: Call, flags: Flags, urls: list[str]) -> str:
    targets = flags.values.get("-o", []) + flags.values.get("--output", [])
    if flags.has("-O", "--remote-name", "--remote-name-all", "-J"):
        folder = flags.value("--output-dir")
        targets = [(f"{folder}/" if folder else "") + _name_in(url) for url in urls]
    written = [path for path in targets if path not in ("-", "/dev/stdout", "/dev/null")]
    for path in written:
        call.shell.touch(EffectKind.OVERWRITE, path, "curl writes what it brings to a file")
        call.shell.store(path, NET)
    if "file:" in "".join(urls):
        for url in urls:
            if url.lower().startswith("file:"):
                call.shell.touch(EffectKind.READ, url, "curl reads a file")
    return "" if written or "/dev/null" in targets else NET


def _name_in(url: str) -> str:
    return url.split("?")[0].rstrip("/").rpartition("/")[2] or "index.html"


def wget(call: Call) -> str:
    flags = call.flags(_WGET_TAKES)
    if flags.has("--help", "--version", "-V"):
        return OUTPUT
    urls = flags.words
    sent = [value for option in ("--post-data", "--body-data") for value in flags.values.get(option, ())]
    files = [value for option in ("--post-file", "--body-file") for value in flags.values.get(option, ())]
    flow = "".join(urls + sent + flags.values.get("--header", []))
    for path in files:
        call.shell.touch(EffectKind.READ, path, "wget sends what a file holds")
    for url in urls:
        host = host_of(url) or url.split("/")[0]
        if sent or files or flags.value("--method").upper() not in ("", "GET", "HEAD") or SECRET in flow or LOCAL in flow:
            call.sends(host, "wget sends data", flow=flow + "".join(map(call.shell.content, files)), files=files)
        else:
            call.downloads(host, "wget brings something from a network")
    if flags.value("--use-askpass"):
        call.shell.nested(flags.value("--use-askpass"))
    target = flags.value("-O", "--output-document")
    if target in ("-", "/dev/stdout") or "O-" in "".join(call.args):
        return NET
    folder = flags.value("-P", "--directory-prefix")
    for path in [target] if target else [(f"{folder}/" if folder else "") + _name_in(url) for url in urls]:
        if path != "/dev/null":
            call.shell.touch(EffectKind.OVERWRITE, path, "wget writes what it brings to a file")
            call.shell.store(path, NET)
    return ""


_NC_TAKES = named("nc-takes")


def netcat(call: Call) -> str:
    flags = call.flags(_NC_TAKES)
    shell = call.shell
    runs = flags.value("-e", "-c", "--exec", "--sh-exec", "--lua-exec")
    host = flags.words[0] if flags.words else ""
    if runs:
        shell.give(EffectKind.REMOTE_SHELL, "gives a network the words of a program", place=Place.HOST, target=host)
    if flags.has("-l", "--listen"):
        shell.give(EffectKind.LISTEN, "waits for others to connect", target=flags.value("-p"))
        if SECRET in call.stdin or LOCAL in call.stdin:
            call.sends("", "gives what a file holds to whoever connects", flow=call.stdin)
        return NET
    if flags.has("-z") and host:
        shell.give(EffectKind.DISCOVER, "looks which ports of a host are open", place=Place.HOST, target=host)
        return OUTPUT
    if host:
        call.sends(host, "sends its input to a host", flow=call.stdin)
    return NET


_SOCAT_RUNS = re.compile(r"^(?:EXEC|SYSTEM|SHELL)\b:?(.*)", re.IGNORECASE | re.DOTALL)
_SOCAT_LISTENS = re.compile(r"^(?:[A-Z0-9]+-(?:LISTEN|RECV\w*|L)|TCP4?6?-L\w*|UDP4?6?-L\w*):?", re.IGNORECASE)
_SOCAT_TALKS = re.compile(
    r"^(?:TCP|UDP|OPENSSL|SSL|SOCKS\w*|PROXY|SCTP)[46]?(?:-CONNECT|-SENDTO|-DATAGRAM)?:([^:,]+)", re.IGNORECASE
)


def socat(call: Call) -> str:
    shell = call.shell
    words = [arg for arg in call.args if not arg.startswith("-") or arg == "-"]
    listens = any(_SOCAT_LISTENS.match(word) for word in words)
    runs = [found.group(1) for word in words if (found := _SOCAT_RUNS.match(word))]
    hosts = [found.group(1) for word in words if (found := _SOCAT_TALKS.match(word)) and not _SOCAT_LISTENS.match(word)]
    if runs and (listens or hosts):
        shell.give(
            EffectKind.REMOTE_SHELL, "gives a network the words of a program", place=Place.HOST, target=hosts[0] if hosts else ""
        )
    for text in runs:
        shell.nested(re.split(r",(?:pty|stderr|setsid|sigint|sane|fork|su|ctty)", text.strip("'\""))[0])
    if listens:
        shell.give(EffectKind.LISTEN, "waits for others to connect")
    for host in hosts:
        call.sends(host, "sends its input to a host", flow=call.stdin)
    for word in words:
        kind, _, path = word.partition(":")
        if kind.upper() in ("FILE", "OPEN", "GOPEN", "CREATE"):
            shell.touch(
                EffectKind.READ if kind.upper() != "CREATE" else EffectKind.WRITE, path.split(",")[0], "socat opens a file"
            )
    return NET if hosts or listens else OUTPUT


_SSH_TAKES = named("ssh-takes")


def ssh(call: Call) -> str:
    shell = call.shell
    rest = after_options(call.args, _SSH_TAKES)
    options = call.args[: len(call.args) - len(rest)]
    flags = call.flags(_SSH_TAKES)
    _ssh_options(call, flags.values.get("-o", []))
    if flags.has("-V", "-Q") or not rest:
        return OUTPUT
    host = rest[0].rpartition("@")[2]
    if "-R" in options or flags.value("-R"):
        shell.give(EffectKind.LISTEN, "opens a port elsewhere that leads here", place=Place.HOST, target=host)
    if flags.value("-D") or flags.value("-L") or flags.value("-w"):
        shell.give(EffectKind.LISTEN, "opens a tunnel to a host", place=Place.HOST, target=host)
    if len(rest) > 1:
        shell.give(EffectKind.EXECUTE, "runs a command on another machine", place=Place.HOST, target=host)
        inner = shell.child()
        inner.folder, inner.files = "~", {}
        inner.nested(" ".join(rest[1:]), call.stdin if not marks_of(call.stdin) else "")
        if marks_of(call.stdin):
            call.sends(host, "sends its input to a host", flow=call.stdin)
        return NET
    if call.stdin and not marks_of(call.stdin):
        shell.give(EffectKind.EXECUTE, "runs commands on another machine", place=Place.HOST, target=host)
        shell.child().nested(call.stdin)
        return NET
    shell.give(EffectKind.SEND, "opens a session on another machine", place=host_place(host), target=host)
    if call.stdin:
        call.sends(host, "sends its input to a host", flow=call.stdin)
    return NET


def _ssh_options(call: Call, values: list[str]) -> None:
    """Some of ssh's settings run commands here."""
    for value in values:
        name, _, text = value.replace("=", " ", 1).partition(" ")
        if name.lower() in ("proxycommand", "localcommand", "knownhostscommand", "match") and text not in ("none", ""):
            call.shell.nested(text.strip())


_COPY_TAKES = named("copy-takes")


def scp(call: Call) -> str:
    """scp and rsync: from here to a host, or from there."""
    takes = _COPY_TAKES if call.name == "scp" else named("rsync-takes")
    flags = call.flags(takes)
    if flags.has("--help", "--version", "--dry-run") or (call.name == "rsync" and flags.has("-n")):
        return OUTPUT
    shell = call.shell
    _ssh_options(call, flags.values.get("-o", []) if call.name == "scp" else [])
    for text in [value for option in ("-e", "--rsh", "-S", "--rsync-path") for value in flags.values.get(option, ())]:
        if text.split()[:1] not in ([], ["ssh"], ["rsh"]):
            shell.nested(text)
    words = flags.words
    if len(words) < 2:
        return OUTPUT
    *sources, target = words
    remote = _remote(target)
    local = [path for path in sources if _remote(path) is None]
    for path in local:
        shell.touch(EffectKind.READ, path, "copies a file")
    if remote is not None:
        call.sends(
            remote,
            "copies files to another machine",
            flow="".join(map(shell.content, local)) if any(shell.place(path) is Place.CREDENTIAL for path in local) else "",
            files=local,
        )
    else:
        for path in sources:
            host = _remote(path)
            if host is not None:
                call.downloads(host, "copies files from another machine")
        shell.touch(EffectKind.WRITE, target, "copies files there")
        shell.store(target, NET if len(local) < len(sources) else filtered("".join(map(shell.content, local))))
        if len(local) < len(sources):
            shell.fill(target)
        if flags.has("--delete") or any(option.startswith("--delete") for option in flags.values):
            shell.touch(EffectKind.DELETE, target, "rsync --delete deletes what the source has not")
    if flags.has("--remove-source-files"):
        for path in local:
            shell.touch(EffectKind.DELETE, path, "rsync deletes what it has copied")
    return OUTPUT


def _remote(word: str) -> str | None:
    """The host of `user@host:path`, `host:path` or `rsync://host/path`."""
    if "://" in word:
        return host_of(word)
    head, colon, _ = word.partition(":")
    return head.rpartition("@")[2] if colon and "/" not in head and head and len(head) > 1 else None


def sftp(call: Call) -> str:
    """sftp and ftp: what comes in are commands; `!` runs one here."""
    flags = call.flags(named("sftp-takes"))
    shell = call.shell
    host = flags.words[0].rpartition("@")[2].split(":")[0] if flags.words else ""
    host = host_of(flags.words[0]) or host if flags.words else ""
    lines = [line for line in call.stdin.split("\n") if line] if not marks_of(call.stdin) else []
    lines += flags.value("-e", "-c").split(";") if call.name in ("lftp", "ncftp") else []
    if call.name == "tftp" and "-c" in call.args:
        lines.append(" ".join(call.args[call.args.index("-c") + 1 :]))
    for line in lines[:40]:
        words = line.split()
        if words[:1] and words[0].startswith("!"):
            shell.nested(line.strip()[1:])
        elif words[:1] and words[0].lower() in ("put", "mput", "reput", "send", "mirror"):
            call.sends(host, "puts files on another machine", files=words[1:])
        elif words[:1] and words[0].lower() in ("get", "mget", "reget", "recv"):
            call.downloads(host, "gets files from another machine")
    if "-u" in flags.values:
        call.sends(host, "puts files on another machine")
    if host and not lines:
        shell.give(EffectKind.DOWNLOAD, "opens a session for files on another machine", place=host_place(host), target=host)
    return NET


def lookup(call: Call) -> str:
    """dig, host, nslookup, ping: a name that holds data takes it out."""
    words = [arg for arg in call.args if not arg.startswith(("-", "+"))]
    flow = "".join(words)
    data = SECRET in flow or LOCAL in flow or DECODED in flow or OUTPUT in flow or any(_LONG_NAME.search(word) for word in words)
    if data:
        call.sends(words[-1] if words else "", "asks for a name that holds data", flow=flow)
    elif call.name == "ping" and any(arg in ("-f", "--flood") for arg in call.args):
        call.shell.give(EffectKind.SEND, "floods a host", place=Place.HOST)
    elif any(arg.lower() in ("axfr", "any", "ixfr") for arg in words) or ("-l" in call.args and call.name == "host"):
        call.shell.give(EffectKind.DISCOVER, "asks for all names of a domain", place=Place.HOST)
    elif words and call.name.startswith("ping") and call.shell.turns > 1:
        call.shell.give(EffectKind.DISCOVER, "looks which hosts answer", place=host_place(words[-1]), target=words[-1])
    elif words:
        call.shell.give(EffectKind.DOWNLOAD, "asks a host or a name server", place=Place.HOST, target=words[0])
    return NET if "txt" in flow.lower() else OUTPUT


_OPENSSL_TAKES = named("openssl-takes")


def openssl(call: Call) -> str:
    flags = call.flags(_OPENSSL_TAKES, single=True)
    shell, verb = call.shell, flags.words[0] if flags.words else ""
    if verb == "s_client":
        shell.ran.append("nc")
        host = flags.value("-connect", "-host") or (flags.words[1] if len(flags.words) > 1 else "")
        if call.stdin in ("", "\n", "Q\n"):
            shell.give(EffectKind.DOWNLOAD, "talks to a host", place=host_place(host.split(":")[0]), target=host)
        else:
            call.sends(host.split(":")[0], "sends its input to a host", flow=call.stdin)
        return NET
    if verb == "s_server":
        shell.give(EffectKind.LISTEN, "openssl s_server waits for others")
        return NET
    if flags.value("-engine") and "/" in flags.value("-engine"):
        shell.give(EffectKind.EXECUTE, "loads an engine, which is code", place=shell.place(flags.value("-engine")))
    source = [path for path in (flags.value("-in"), flags.value("-inkey"), flags.value("-key")) if path]
    for path in source:
        shell.touch(EffectKind.READ, path, "openssl reads a file")
    flow = "".join(map(shell.content, source)) or call.stdin
    out = _openssl_output(call, flags, verb, flow)
    for path in (flags.value("-out"), flags.value("-keyout")):
        if path:
            shell.touch(EffectKind.OVERWRITE, path, "openssl writes a file")
            shell.store(path, out)
    return "" if flags.value("-out") else out


def _openssl_output(call: Call, flags: Flags, verb: str, flow: str) -> str:
    decodes = flags.has("-d", "-decrypt")
    ciphers = verb not in ("base64",) and not (
        verb == "enc" and flags.has("-base64", "-a", "-A") and len(flags.values) < 5 and not flags.value("-k")
    )
    if verb in ("base64", "enc") and decodes and not ciphers:
        return call.shell.execute(call.shell, ["base64", "-d"], flow)
    if decodes:
        return marks_of(flow) + DECODED
    return (
        filtered(flow)[:LIMIT_VALUE]
        if verb in ("enc", "base64", "smime", "cms", "rsautl", "pkeyutl") or verb.startswith(("aes", "des"))
        else OUTPUT
    )


def telnet(call: Call) -> str:
    words = [arg for arg in call.args if not arg.startswith("-")]
    if words:
        call.sends(words[0], "opens a session on another machine", flow=call.stdin)
    return NET


def mail(call: Call) -> str:
    """mail, sendmail and the others."""
    words = call.flags(named("mail-takes")).words
    files = call.flags(frozenset(("-a", "-A", "--attach"))).values
    attached = [path for values in files.values() for path in values if path]
    if not words and "-t" not in call.args:
        call.shell.give(EffectKind.READ, "opens a mailbox", place=Place.HOME)
        return OUTPUT
    call.sends(words[-1] if words else "", "sends a mail", flow=call.stdin, files=attached)
    if "-be" in call.args or "-oQ" in "".join(call.args):
        call.shell.unknown("settings of a mail program that run commands")
    return OUTPUT


_HTTPIE_ITEM = re.compile(r"^[\w.\[\]-]+(?::=@?|==|=@?|@)(.*)", re.DOTALL)


def httpie(call: Call) -> str:
    words = call.flags(frozenset(("-a", "--auth", "-o", "--output", "--session", "--proxy", "--verify", "--timeout"))).words
    methods = [word for word in words if word in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")]
    rest = [word for word in words if word not in methods]
    host = host_of(rest[0]) or rest[0].split("/")[0] if rest else ""
    items = [found.group(1) for word in rest[1:] if (found := _HTTPIE_ITEM.match(word))]
    if items or call.stdin or (methods and methods[0] not in ("GET", "HEAD", "OPTIONS")):
        call.sends(host, "sends data", flow="".join(items) + call.stdin, files=[item for item in items if "/" in item])
    elif host:
        call.downloads(host, "brings something from a network")
    return NET


NETWORK_PROGRAMS: dict[str, Handler] = {
    **dict.fromkeys(("curl", "curlie"), curl),
    **dict.fromkeys(("wget", "wget2"), wget),
    **dict.fromkeys(("nc", "ncat", "netcat", "nc.traditional", "nc.openbsd", "pwncat", "cryptcat", "sbd"), netcat),
    **dict.fromkeys(("ssh", "autossh", "mosh", "slogin", "dbclient"), ssh),
    **dict.fromkeys(("scp", "rsync", "pscp"), scp),
    **dict.fromkeys(("sftp", "ftp", "lftp", "ncftp", "tftp", "psftp"), sftp),
    **dict.fromkeys(("dig", "host", "nslookup", "ping", "ping6", "drill", "kdig", "delv", "doggo"), lookup),
    **dict.fromkeys(("mail", "mailx", "sendmail", "mutt", "msmtp", "swaks", "exim", "s-nail", "neomutt", "ssmtp"), mail),
    **dict.fromkeys(("http", "https", "xh", "xhs"), httpie),
    "socat": socat,
    "openssl": openssl,
    "telnet": telnet,
    "rlogin": telnet,
}  # fmt: skip
