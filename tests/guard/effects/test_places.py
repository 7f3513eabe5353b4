import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.effects import EffectKind, Place
from freehold.guard.effects.places import HOLE, file_effects, host_of, host_place, normal, place_of

BOB, EVE = "/home/" + "bob", "/home/" + "eve"  # no path of any one machine

PLACES = {
    Place.NOTHING: ["", "-", "/dev/null", "/dev/stdin", "/dev/tty", "/dev/urandom"],
    Place.TEMP: ["/tmp/x", "/var/tmp/x", "$TMPDIR/x", "/private/tmp/x", "/dev/shm/x", "/var/folders/a/b"],
    Place.WORKSPACE: ["x", "tls/server.pem", "./x", "a/../b", "src/a.py", "path/to/file", ".", "*", "key.pub", ".env.example",
    "docs/ca-cert.pem", "..."],
    Place.HOST: ["/dev/tcp/h.example/80"],
    Place.HOME: ["~/x", "$HOME/x", "${HOME}/.config/app", "~/.ssh/known_hosts", "~/.ssh/id_rsa.pub", f"{BOB}/x",
    f"{BOB}/y"],
    Place.ELSEWHERE: ["/data/x", "/srv/x", "../x", "/mnt/x", HOLE, f"{HOLE}/x"],
    Place.OTHER_USER: ["/root/x", "~alice/x", "/home/*/x"],
    Place.SYSTEM: ["/etc/hosts", "/usr/bin/x", "/bin/sh", "/var/log/x", "/opt/app/x", "/Library/x", "/boot/vmlinuz",
    "/proc/1/status"],
    Place.CREDENTIAL: [
        "~/.ssh/id_rsa", "~/.ssh", ".ssh/config", "~/.aws/credentials", "~/.netrc", ".env", "a/.env.production", "~/x/server.pem",
        "/srv/tls/server.key",
        "/etc/shadow", "/etc/sh*dow", "/e??/shadow", "~/.config/gcloud/x", "~/.kube/config", "~/.docker/config.json",
        "~/.npmrc",
        "~/.bash_history", "id_ed25519", "secrets.yml", "vault.kdbx", "/proc/self/environ", "/etc/ssl/private/x", "~/.gnupg/x",
        "~/Library/Keychains/login.keychain-db", "~/.mozilla/firefox/a/logins.json", "/etc/kubernetes/admin.conf",
        f"{HOLE}/.ssh/id_rsa",
        "private-key.pem", "~/.git-credentials", f"{BOB}/.ssh/id_rsa", "/var/run/secrets/x", "file:///etc/shadow",
    ],
    Place.DEVICE: ["/dev/sda", "/dev/nvme0n1p1", "/dev/mem", "/dev/mapper/x", "/proc/sysrq-trigger", "/dev/disk/by-id/x"],
    Place.WHOLE_TREE: ["/", "//", "/*", "~", "~/", "$HOME", "~/*", "/home", "/etc", "/usr/", "/tmp/..", "/etc/../", "/home/*"],
}  # fmt: skip


@pytest.mark.parametrize(("place", "path"), [(place, path) for place, paths in PLACES.items() for path in paths])
def test_a_path_has_its_place(place: Place, path: str) -> None:
    assert place_of(path) is place


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (f"{BOB}/build/a", Place.WORKSPACE), (f"{BOB}/build", Place.WORKSPACE), (f"{BOB}/other", Place.HOME),
        (f"{EVE}/x", Place.OTHER_USER), ("../x", Place.HOME), ("../../../etc/passwd", Place.SYSTEM), ("a/../../x",
        Place.HOME),
        (f"{BOB}/build/.env", Place.CREDENTIAL), ("../../..", Place.WHOLE_TREE), (f"{BOB}/builds", Place.HOME),
    ],
)  # fmt: skip
def test_the_working_folder_says_whose_a_path_is(path: str, place: Place) -> None:
    assert place_of(path, folder=f"{BOB}/build") is place


def test_a_path_that_leaves_by_many_steps_is_taken_from_the_root() -> None:
    assert place_of("../../../../etc/shadow") is Place.CREDENTIAL


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("https://u:p@H.example:8080/x?y", "h.example"), ("ssh://git@h.example/x", "h.example"), ("bob@h.example:x/y",
        "h.example"),
        ("h.example:443", "h.example"), ("127.0.0.1", "127.0.0.1"), ("10.0.0.1:80", "10.0.0.1"), ("[::1]:80", "::1"),
        ("fe80::1", "fe80::1"), ("localhost:3000", "localhost"), ("a/b", None), ("file.txt", None), ("", None), ("x:y:z", None),
    ],
)  # fmt: skip
def test_a_host_is_read_off_what_names_it(text: str, host: str | None) -> None:
    assert host_of(text) == host


def test_this_machine_is_no_place_and_metadata_is_keys() -> None:
    assert host_place("localhost") is host_place("127.0.0.9") is Place.NOTHING
    assert host_place("169.254.169.254") is Place.CREDENTIAL
    assert host_place("h.example") is Place.HOST


@pytest.mark.parametrize(
    ("kind", "path", "follows"),
    [
        (EffectKind.WRITE, "~/.bashrc", EffectKind.PERSIST), (EffectKind.OVERWRITE, "/etc/cron.d/x", EffectKind.PERSIST),
        (EffectKind.WRITE, ".git/hooks/pre-commit", EffectKind.PERSIST), (EffectKind.WRITE, "~/.ssh/authorized_keys",
        EffectKind.PERSIST),
        (EffectKind.WRITE, "/Library/LaunchDaemons/x.plist", EffectKind.PERSIST), (EffectKind.DELETE, "/var/log/auth.log",
        EffectKind.EVADE),
        (EffectKind.OVERWRITE, "~/.zsh_history", EffectKind.EVADE), (EffectKind.WRITE, "/etc/audit/auditd.conf",
        EffectKind.EVADE),
        (EffectKind.WRITE, "/etc/sudoers.d/x", EffectKind.ACCOUNT), (EffectKind.READ, "/etc/passwd", EffectKind.DISCOVER),
    ],
)  # fmt: skip
def test_what_follows_from_a_place_is_said(kind: EffectKind, path: str, follows: EffectKind) -> None:
    assert follows in {effect.kind for effect in file_effects(kind, path, "a test")}


@pytest.mark.parametrize("path", ["src/a.py", "/tmp/x", "~/notes.txt", "build/.bashrc.d"])
def test_other_paths_have_no_such_consequence(path: str) -> None:
    assert [effect.kind for effect in file_effects(EffectKind.WRITE, path, "a test")] == [EffectKind.WRITE]


def test_writing_into_a_root_is_not_writing_over_all_of_it() -> None:
    assert file_effects(EffectKind.OVERWRITE, "~", "a test")[0].place is Place.HOME
    assert file_effects(EffectKind.DELETE, "~", "a test")[0].place is Place.WHOLE_TREE


@given(st.text(max_size=80), st.text(max_size=20))
def test_any_text_has_a_place(path: str, folder: str) -> None:
    assert place_of(path, folder) in Place
    assert normal(normal(path)) == normal(path)
    host_of(path)
    list(file_effects(EffectKind.WRITE, path, "a test", folder=folder))
