"""Where a path or a host lies: in the working folder, among the system's files, among somebody's keys.

Decided here, from the text of a path alone: nothing is looked up on a disk. A part of a path that is not known (a variable, a
command's output) is a `HOLE`; what is known around it decides. A path with wildcards counts as the gravest place that they can
reach among those named here. `file_effects` adds what follows from the place: a profile that is written runs again by itself, a
log that is deleted hides traces. Windows paths and registry keys are left to `windows_places`.

Sources: Filesystem Hierarchy Standard 3.0, `hier(7)`, Apple's File System Programming Guide; MITRE ATT&CK T1552 (unsecured
credentials), T1555 (password stores), T1546, T1053, T1543, T1547 (persistence), T1070 (indicator removal), T1562 (impaired defences).
"""

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import lru_cache
from ipaddress import ip_address

from freehold.core.effects import Effect, EffectKind, Place
from freehold.guard.effects.windows_places import windows_place_of

HOLE = "\ue000"  # private use: stands in a text for what is not known of it
LAST_MARK = "\ue005"  # a shell's walk has other such signs, up to this one, for where a text came from
LIMIT_CHARS = 4_096  # PATH_MAX of Linux: what is longer is no path, and its beginning decides

_WILD = re.compile(r"[*?\[]")
_WINDOWS = re.compile(r"[A-Za-z]:(?:[\\/]|$)|\\\\|HK(?:LM|CU|CR|U|CC|EY_)|Registry::|%\w+%|\$env:|\\[A-Za-z]", re.IGNORECASE)
_HOME_NAME = re.compile(r"^\$(?:HOME\b|\{HOME\})")
_TEMP_NAME = re.compile(r"^\$(?:TMPDIR\b|\{TMPDIR\}|TMP\b|TEMP\b)")
_ROOTS = frozenset("bin boot dev etc home lib lib32 lib64 media mnt opt proc root run sbin srv sys tmp usr var Users private".split())

_SECRET_FILE = re.compile(
    r"(?:^|/)(?:"
    r"\.ssh(?:/(?!known_hosts|[^/]*\.pub$).*)?"
    r"|\.(?:aws|azure|oci|kube|gnupg|password-store|chef|cloudflared|databricks|bluemix)(?:/.*)?"
    r"|\.config/(?:gcloud|gh|hub|op|rclone|doctl|heroku|hcloud|sops|chromium|google-chrome[^/]*|BraveSoftware|microsoft-edge[^/]*|bw"
    r"|configstore|filezilla|remmina|1Password|Bitwarden[^/]*)(?:/.*)?"
    r"|\.docker/config\.json|\.dockercfg|\.dockerconfigjson|\.?_?netrc|\.git-credentials|\.npmrc|\.yarnrc\.yml|\.pypirc|\.pgpass|\.my\.cnf"
    r"|\.mylogin\.cnf|\.s3cfg|\.boto|\.passwd-s3fs|\.vault-token|\.terraform\.d/credentials[^/]*|\.terraformrc|\.cargo/credentials[^/]*"
    r"|\.gem/credentials|\.m2/settings(?:-security)?\.xml|\.gradle/gradle\.properties|\.composer/auth\.json|\.htpasswd|\.smbcredentials"
    r"|\.(?:ba|z|k|tc|c|a)?sh_history|\.history|\.(?:python|node_repl|psql|mysql|sqlite|rediscli|irb|lesshst)_?history"
    r"|\.local/share/(?:keyrings|kwalletd|fish/fish_history)(?:/.*)?|\.fish_history"
    r"|Library/(?:Keychains|Cookies)(?:/.*)?|Library/Application Support/(?:Google/Chrome|Firefox|BraveSoftware|Chromium|Microsoft Edge)(?:/.*)?"
    r"|\.mozilla(?:/firefox(?:/.*)?)?|\.thunderbird(?:/.*)?|\.electrum(?:/.*)?|\.ethereum(?:/.*)?|\.bitcoin(?:/.*)?|wallet\.dat|\.pki(?:/.*)?"
    r"|Login Data[^/]*|Cookies(?:\.binarycookies)?|logins\.json|key[34]\.db|cookies\.sqlite|signons\.sqlite|Web Data"
    r"|\.env(?:\.(?!example|sample|template|dist|defaults?|test|schema)[^/]*)?|\.envrc"
    r"|id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?|identity\.key|ssh_host_[a-z0-9]+_key"
    r"|[^/]*\.(?:p12|pfx|pkcs12|jks|keystore|kdbx?|keytab|ppk|ovpn|agekey|keychain(?:-db)?)|[^/]*(?:private|secret|server|client|ssl|tls|ca|priv)[-_.]?key[^/]*\.(?:pem|key)"
    r"|(?:secrets?|credentials?|service[-_]account[^/]*|client_secret[^/]*)\.(?:ya?ml|json|toml|ini|txt|env|conf|cfg|xml)"
    r"|credentials|passwords?\.(?:txt|csv|xlsx?|kdbx?)|shadow-?|gshadow-?|master\.passwd|opasswd"
    r")/?$"
)
_SECRET_PEM = re.compile(r"(?:^|/)(?:[^/]*\.(?:pem|key))$")
_NOT_SECRET_PEM = re.compile(r"(?:pub|cert|chain|bundle|root|crt|csr|ca)[^/]*\.(?:pem|key)$", re.IGNORECASE)
_SECRET_SYSTEM = re.compile(
    r"^(?:/private)?/(?:etc/(?:shadow|gshadow|master\.passwd|security/opasswd|krb5\.keytab|ppp/(?:chap|pap)-secrets|ipsec\.secrets|ssl/private"
    r"|pki/tls/private|letsencrypt/(?:live|archive|accounts)|kubernetes/(?:pki|.*\.conf)|wireguard|openvpn|NetworkManager/system-connections"
    r"|wpa_supplicant|rancher|docker/key\.json|spwd\.db|sssd)"
    r"|var/(?:run/secrets|lib/(?:sss/secrets|kubelet/pki|etcd|samba/private|docker/swarm)|db/dslocal|lib/cloud/instance/user-data)"
    r"|run/secrets|proc/(?:\d+|self|\*|\ue000)/(?:environ|mem|maps|root|cwd|fd)|dev/shm/pam|Library/Keychains|System/Library/Keychains)(?:/|$)"
)
_DEVICE = re.compile(
    r"^/dev/(?:sd|hd|vd|xvd|nvme|mmcblk|disk|rdisk|dm-|mapper|md\d|loop|ram|sr\d|cdrom|mem|kmem|port|nvram|mtd|ada|da\d|nbd|zvol|block|bus"
    r"|watchdog|input|uinput|video|snd|fb\d|kmsg|kvm|raw|sg\d|tty[SUA]|usb|tpm|gpio|i2c|spi|fuse|net|pts/\d|\ue000)"
)
_NO_DEVICE = re.compile(r"^/dev/(?:null|zero|full|random|urandom|stdin|stdout|stderr|fd|tty|ptmx|console$)")
_DEVICE_MEMORY = re.compile(r"^/(?:proc/(?:kcore|sysrq-trigger|kmem)|sys/firmware/efi/efivars|sys/kernel/debug|sys/fs/bpf)")
_TEMP = re.compile(r"^(?:/private)?/(?:tmp|var/tmp|var/folders|dev/shm|run/shm)(?:/|$)")
_SYSTEM = re.compile(
    r"^/(?:etc|usr|bin|sbin|lib|lib32|lib64|libx32|boot|var|proc|sys|run|opt|nix|snap|System|Library|Applications|private/(?:etc|var)|cores"
    r"|efi|lost\+found|selinux|cgroup)(?:/|$)"
)
_HOMES = re.compile(r"^/(?:home|Users|usr/home|export/home|var/home)/([^/]+)")
_TREE = frozenset(
    "/ /home /Users /root /etc /usr /var /bin /sbin /lib /lib64 /boot /opt /System /Library /Applications /dev /sys /proc /usr/bin"
    " /usr/lib /usr/local /var/lib /nix /mnt /media /srv /home/* /Users/* /* ~ ~/* /var/*/* /export/home".split()
)
# What wildcards are tried against: one of each kind above.
_NOTABLE = (
    "/etc/shadow", "/etc/passwd", "/etc/sudoers", "/root/.ssh/id_rsa", "~/.ssh/id_rsa", "~/.ssh/authorized_keys", "~/.aws/credentials",
    "~/.netrc", "~/.git-credentials", "~/.bash_history", "~/.kube/config", "~/.docker/config.json", "~/.config/gcloud/credentials.db",
    ".env", ".ssh/id_rsa", ".aws/credentials", "/dev/sda", "/dev/nvme0n1", "/home/user/.ssh/id_rsa", "/home/user/.bash_history",
)  # fmt: skip

_PERSIST = re.compile(
    r"^(?:/private)?/(?:etc/(?:cron(?:tab|\.[a-z]+)?(?:/|$)|anacrontab|at\.(?:allow|deny)|init\.d|init/|rc\.|rc\d?\.d|rc\.local|inittab|systemd|profile|bash\.?|zsh|zprofile|zshrc|zlogin|csh|environment"
    r"|ld\.so\.preload|ld\.so\.conf|modules|modules-load\.d|modprobe\.d|update-motd\.d|xdg/autostart|udev|apt/apt\.conf|yum|dnf|dbus-1|emond|periodic|launchd"
    r"|pam\.d|X11/xinit|NetworkManager/dispatcher|network/if-|ppp/ip-|dhcp/dhclient|kernel/|grub|default/grub|skel|logrotate\.d|acpi|sv/|runit|local\.d|conf\.d|supervisor|xinetd|inetd\.conf)"
    r"|usr/(?:lib|local/lib|share)/(?:systemd|udev|dbus-1|polkit)|lib/(?:systemd|udev|modules)|run/systemd|usr/lib/modules|var/(?:spool/(?:cron|at|anacron)|at/)"
    r"|usr/local/etc/(?:rc\.d|periodic|cron)|boot/|efi/|Library/(?:LaunchDaemons|LaunchAgents|StartupItems|Security|Extensions|ScriptingAdditions|QuickLook|Preferences/com\.apple\.loginwindow)|System/Library/Launch"
    r"|var/db/emond|usr/lib/python[^/]*/|usr/local/lib/python[^/]*/)"
    r"|(?:^|/)\.(?:bashrc|bash_profile|bash_login|bash_logout|bash_aliases|profile|zshrc|zprofile|zshenv|zlogin|zlogout|kshrc|cshrc|tcshrc|login|logout|inputrc|xinitrc|xsession|xsessionrc|xprofile|vimrc|emacs|gdbinit|pythonrc|pam_environment|screenrc|tmux\.conf|exrc|nanorc|curlrc|wgetrc|gitconfig)$"
    r"|(?:^|/)\.config/(?:autostart|systemd|fish|environment\.d|nvim|git|plasma-workspace|upstart|openbox|i3|sway|hypr)(?:/|$)"
    r"|(?:^|/)\.ssh/(?:authorized_keys2?|rc|environment|config)$|(?:^|/)\.local/share/(?:systemd|dbus-1|applications)/"
    r"|(?:^|/)Library/(?:LaunchAgents|LaunchDaemons|StartupItems|Services|Preferences/(?:ByHost/)?com\.apple\.(?:loginitems|loginwindow|dock))"
    r"|(?:^|/)\.git/(?:hooks(?:/|$)|config$)|(?:^|/)\.husky/|(?:user|site)customize\.py$|(?:^|/)site-packages/.*\.pth$"
)
_DEFENCE = re.compile(
    r"^(?:/private)?/(?:etc/(?:audit|auditd|audisp|libaudit|selinux|apparmor|rsyslog|syslog|fail2ban|clamav|ossec|snort|suricata|aide|tripwire|ufw|iptables|nftables|firewalld|hosts\.(?:allow|deny)|hosts$"
    r"|falco|osquery|security/|sysctl|pf\.|sysconfig/(?:iptables|auditd|selinux)|default/(?:ufw|grub)|crowdsec|sysmon|docker/daemon\.json|resolv\.conf)"
    r"|var/ossec|opt/(?:CrowdStrike|sentinelone|carbonblack|microsoft/mdatp|sysmon|osquery|nessus)|usr/local/etc/(?:syslog|audit)|proc/sys/kernel/(?:kptr|yama|randomize|perf|dmesg|modules|core_pattern|sysrq)"
    r"|sys/fs/(?:selinux|cgroup/release_agent)|sys/kernel/security|sys/module/)"
)
_TRACES = re.compile(
    r"^(?:/private)?/(?:var/(?:log|run/utmp|adm|audit|lib/docker/containers|mail|spool/mail|account|db/diagnostics|crash)|run/utmp|run/log|Library/Logs|etc/utmp|proc/\d+/comm)(?:/|$)"
    r"|(?:^|/)\.(?:ba|z|k|tc|c|a)?sh_history$|(?:^|/)\.history$|(?:^|/)\.(?:python|mysql|psql|lesshst)_?history$|fish_history$|(?:^|/)Library/Logs(?:/|$)|/wtmp$|/btmp$|/lastlog$"
)
_RIGHTS = re.compile(r"^(?:/private)?/(?:usr/local/)?/?etc/(?:sudoers|doas\.conf|polkit-1|pam\.d|pam\.conf|security|passwd|group|shadow|gshadow|subuid|ssh/|login\.defs|shells$|nsswitch|master\.passwd|authorization|krb5)")
_RECON = re.compile(
    r"^(?:/private)?/(?:usr/local/)?(?:/?etc/(?:passwd|group|sudoers|pam\.d|security|login\.defs|hosts$|hosts\.|fstab|mtab|crontab|cron|exports|shells|ssh|master\.passwd|audit|selinux|rsyslog|syslog|resolv\.conf|issue|ld\.so|krb5|ldap|samba|mysql|my\.cnf|apache2?|nginx|environment|profile|iptables|nsswitch)"
    r"|proc(?:/|$)|sys/(?:class|hypervisor|firmware|devices|module|kernel)|var/(?:log|spool|mail|lib/dpkg|lib/rpm)|boot/)"
)


def place_of(path: str, folder: str = "", user: str = "") -> Place:
    """`folder` is the working folder if it is known, `user` the caller's name; both absolute and plain, or empty."""
    path = path[:LIMIT_CHARS]
    if "\\" in path or ":" in path or "%" in path or "$" in path:
        if _WINDOWS.match(path):
            place = windows_place_of(path)
            if place is not None:
                return place
        path = _HOME_NAME.sub("~", path)
        path = _TEMP_NAME.sub("/tmp", path)
        if path.lower().startswith("file:"):
            path = "/" + path[5:].lstrip("/")
    return _place(path, folder, user)


@lru_cache(maxsize=4096)
def _place(path: str, folder: str, user: str) -> Place:
    if not path or path == "-":
        return Place.NOTHING
    plain = normal(path)
    if HOLE <= plain[0] <= LAST_MARK:
        return Place.CREDENTIAL if _is_secret(plain) else Place.ELSEWHERE  # nothing is known of where it begins
    if plain.startswith("../") or plain == "..":
        plain = _above(plain, folder)
    elif folder and plain[0] not in "/~" and folder[0] == "/":
        plain = normal(f"{folder}/{plain}")
    place = _gravest(plain, folder, user)
    if _WILD.search(plain) and place is not Place.WHOLE_TREE:
        for one in _NOTABLE:
            if one.count("/") == plain.count("/") and fnmatchcase(one, plain) and not plain.endswith("/*"):
                place = max(place, _gravest(one, folder, user), key=_RANK.__getitem__)
    return place


_RANK = {place: rank for rank, place in enumerate(Place)}


def graver(one: Place, other: Place) -> Place:
    """The later of the two in `Place`: where several hold, it counts."""
    return one if _RANK[one] >= _RANK[other] else other


def _gravest(path: str, folder: str, user: str) -> Place:
    if path in _TREE:
        return Place.WHOLE_TREE
    if path.startswith("/dev/") or path.startswith(("/proc/", "/sys/")):
        if _NO_DEVICE.match(path):
            return Place.NOTHING
        if path.startswith(("/dev/tcp/", "/dev/udp/")):
            return Place.HOST
        if _DEVICE_MEMORY.match(path) or _DEVICE.match(path):
            return Place.DEVICE
    if _is_secret(path):
        return Place.CREDENTIAL
    if _TEMP.match(path):
        return Place.TEMP
    if folder and folder != "/" and (path == folder or path.startswith(folder.rstrip("/") + "/")):
        return Place.WORKSPACE
    if path.startswith("~"):
        return Place.HOME if path == "~" or path[1] == "/" or path[1:].split("/")[0] == user else Place.OTHER_USER
    home = _HOMES.match(path)
    if home:
        return _of_whom(home.group(1), folder, user)
    if path.startswith("/root"):
        return Place.HOME if user == "root" else Place.OTHER_USER
    if _SYSTEM.match(path):
        return Place.SYSTEM
    return Place.ELSEWHERE if path.startswith(("/", "../")) or path == ".." else Place.WORKSPACE


def _of_whom(owner: str, folder: str, user: str) -> Place:
    if not user and folder:
        mine = _HOMES.match(folder)
        user = mine.group(1) if mine else ""
    if _WILD.search(owner) or (user and owner != user) or owner == HOLE:
        return Place.OTHER_USER
    return Place.HOME


def _is_secret(path: str) -> bool:
    if _SECRET_FILE.search(path) or _SECRET_SYSTEM.match(path):
        return True
    return _SECRET_PEM.search(path) is not None and not _NOT_SECRET_PEM.search(path)


def normal(path: str) -> str:
    """Without `.`, doubled `/` and what `..` takes back. "." for the working folder itself."""
    if "//" not in path and "./" not in path and not path.endswith(("/", ".")):
        return path
    parts: list[str] = []
    rooted = path.startswith("/")
    for part in path.split("/"):
        if part in ("", "."):
            continue
        if part == ".." and parts and parts[-1] != ".." and parts[-1] != "~":
            parts.pop()
        elif part != ".." or not rooted:
            parts.append(part)
    whole = "/".join(parts)
    return f"/{whole}" if rooted else whole or "."


def _above(path: str, folder: str) -> str:
    """A relative path that leaves the working folder, as an absolute one where that can be told."""
    if folder.startswith("/"):
        return normal(f"{folder}/{path}")
    rest = path.lstrip("./")
    return f"/{rest}" if rest.split("/")[0] in _ROOTS and path.count("../") > 1 else path


_URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/@\s]*@)?(\[[0-9A-Fa-f:.]+\]|[^/:?#\s]+)")
_REMOTE = re.compile(r"^(?:[\w.+-]+@)(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::.*)?$")
_PORT = re.compile(r"^([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+|localhost|\[[0-9A-Fa-f:]+\]):(\d{1,5}|[/~].*)?(?:/.*)?$")
_ADDRESS = re.compile(r"^(\d{1,3}(?:\.\d{1,3}){3})(?:[:/].*)?$")
_METADATA = frozenset(
    "169.254.169.254 169.254.170.2 169.254.170.23 metadata.google.internal metadata.goog metadata 100.100.100.200 192.0.0.192"
    " fd00:ec2::254 instance-data".split()
)
_LOOPBACK = frozenset("localhost ::1 0.0.0.0 127.0.0.1 ip6-localhost host.docker.internal".split())


def host_of(text: str) -> str | None:
    """The host that a URL, `user@host:path`, `host:port` or an address names, in lower case; None where it names none."""
    text = text[:LIMIT_CHARS]
    for form in (_URL, _REMOTE, _ADDRESS, _PORT):
        found = form.match(text)
        if found:
            return found.group(1).strip("[]").lower()
    if text.count(":") > 1:
        try:
            return str(ip_address(text))
        except ValueError:
            return None
    return None


def host_place(host: str) -> Place:
    """NOTHING for this machine itself; CREDENTIAL for the addresses at which clouds hand out keys; HOST for all others."""
    host = host.lower().rstrip(".")
    if host in _METADATA:
        return Place.CREDENTIAL
    return Place.NOTHING if host in _LOOPBACK or host.startswith("127.") else Place.HOST


_CHANGES = (EffectKind.WRITE, EffectKind.OVERWRITE, EffectKind.DELETE, EffectKind.PERMISSION)
_RECON_BECAUSE = "reads accounts, settings or state of the machine"


def file_effects(kind: EffectKind, path: str, because: str, *, folder: str = "", user: str = "") -> Iterator[Effect]:
    """What is done at `path`, and what follows from where that is."""
    place = place_of(path, folder, user)
    if place is Place.NOTHING:
        return
    yield Effect(kind=kind, place=place, target=path, because=because)
    whole = normal(path)
    if whole[0] not in "/~" and folder.startswith("/"):
        whole = normal(f"{folder}/{whole}")
    if kind is EffectKind.READ:
        if _RECON.match(whole) and place is not Place.CREDENTIAL:
            yield Effect(kind=EffectKind.DISCOVER, place=Place.SYSTEM, target=path, because=_RECON_BECAUSE)
        return
    if kind not in _CHANGES:
        return
    if kind in (EffectKind.WRITE, EffectKind.OVERWRITE) and _PERSIST.search(whole):
        yield Effect(kind=EffectKind.PERSIST, place=place, target=path, because="what is written there runs again by itself")
    if _DEFENCE.match(whole):
        yield Effect(kind=EffectKind.EVADE, place=place, target=path, because="changes what guards or watches the machine")
    if _TRACES.search(whole) and kind is not EffectKind.WRITE:
        yield Effect(kind=EffectKind.EVADE, place=place, target=path, because="logs and histories are traces")
    if _RIGHTS.match(whole):
        yield Effect(kind=EffectKind.ACCOUNT, place=place, target=path, because="decides who may do what on the machine")
