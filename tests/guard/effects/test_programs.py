import re
import tomllib
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.effects import EffectKind
from freehold.guard.effects.analyse import analyse
from freehold.guard.effects.programs import FILES, names, parse_program, parted, program, verb_kind
from freehold.guard.effects.shell_commands import HANDLERS
from freehold.guard.syntax import Language

NONE = "nothing"
EXAMPLES = {
    "base": {"mkdir /etc/x": "write-system", "ps aux": "discover-system", "last": "discover-other-user",
    "pkill x": "process-nothing", "pkill sshd": "process-system",
             "chattr +i x": "evade-nothing", "uname -a": "discover-nothing", "hyperfine 'rm /etc/x'": "delete-system"},
    "files": {"mkfs.xfs /dev/sdb": "overwrite-device", "zpool destroy tank": "delete-whole-tree", "lvs": "discover-nothing",
              "cryptsetup luksFormat /dev/sdb": "overwrite-device", "parted -l": "discover-nothing"},
    "network": {"ip addr add 10.0.0.1/8 dev eth0": "system-system", "ip route": "discover-system",
    "nft flush ruleset": "evade-system",
                "nmap h.example": "discover-host", "ngrok http 80": "listen-host", "rclone copy a b:": "send-host"},
    "packages": {"apt-get install x": "install-system", "npm i x": "install-workspace", "npm publish": "publish-host",
                 "cargo install x": "install-home", "pip list": NONE, "apt list": NONE, "uv run rm /etc/x": "delete-system"},
    "system": {"systemctl enable x": "persist-system", "systemctl stop x": "process-system",
                     "systemctl status x": "discover-nothing",
               "modprobe x": "escalate-system", "auditctl -D": "evade-system", "reboot": "system-system",
               "auditctl -l": "discover-system"},
    "accounts": {"useradd x": "account-system", "passwd": "account-system", "visudo": "account-system", "visudo -c": NONE,
                 "ssh-copy-id h": "persist-host"},
    "containers": {"kubectl apply -f x": "publish-host", "kubectl get pods": "read-host", "helm uninstall x": "delete-host",
                   "docker system prune -af": "delete-elsewhere", "docker ps": NONE, "docker push x": "publish-host"},
    "cloud": {"aws ec2 terminate-instances --instance-ids i": "delete-host", "aws s3 ls": "read-host",
    "az role assignment create": "account-host",
              "gcloud auth print-access-token": "read-credential", "aws guardduty delete-detector": "evade-host",
              "heroku logs": NONE},
    "development": {"git push": "publish-host", "git status": NONE, "git clean -fdx": "delete-workspace",
    "gh pr create": "publish-host",
                    "gh pr list": "read-host", "gcc a.c -o a": "write-workspace", "code tunnel": "remote-shell-host"},
    "databases": {"redis-cli flushall": "delete-whole-tree", "dropdb x": "delete-whole-tree", "pg_dump x": "read-database",
                  "psql -c 'drop table x'": "delete-database"},
    "secrets": {"pass show x": "read-credential", "gpg --export-secret-keys": "read-credential",
    "op read x": "read-credential"},
    "offensive": {"hydra -l a ssh://h": "account-host", "mimikatz": "read-credential", "linpeas.sh": "escalate-system",
                  "bash ./linpeas.sh": "escalate-system"},
    "macos": {"csrutil disable": "evade-system", "security dump-keychain": "read-credential", "defaults read x": NONE,
              "launchctl load x": "persist-system", "spctl --master-disable": "evade-system"},
    "desktop": {"xdotool type x": "execute-nothing", "scrot": "read-home", "notify-send x": NONE},
}  # fmt: skip


def rules(command: str) -> set[str]:
    return {effect.rule.removeprefix("effect-") for effect in analyse(command, Language.SHELL)}


@pytest.mark.parametrize(("command", "rule"), [pair for group in EXAMPLES.values() for pair in group.items()])
def test_the_table_says_what_a_program_does(command: str, rule: str) -> None:
    assert rule in rules(command) if rule != NONE else not rules(command)


def test_every_file_has_examples_and_a_source() -> None:
    assert set(EXAMPLES) == set(FILES)
    for name in FILES:
        document = tomllib.loads((files("freehold.guard.effects") / "data" / f"programs_{name}.toml").read_text(encoding="utf-8"))
        assert document["source"]


def test_every_entry_can_be_read_and_they_are_many() -> None:
    for name in names():
        assert program(name) is not None
    assert len(names() | set(HANDLERS)) > 3_000


def test_a_name_is_plain() -> None:
    assert not [name for name in names() if not re.fullmatch(r"[\w.+\[\]:-]+", name)]


@pytest.mark.parametrize(
    "line", ["fly(all)", "delete(some)", "gives(gold)", "delete@moon", "push: ", "code(klingon 1)", "delete all", "-l|list: none"]
)
def test_what_cannot_be_read_is_refused(line: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        parse_program("x", line)


def test_of_subcommands_the_first_counts_and_else_is_for_the_others() -> None:
    entry = parse_program("x", "a b: delete; a: write; else: send; -f: evade")
    found = {
        words: [does.kind for clause, _ in entry.matching(words.split(), parted(words.split())) for does in clause.does]
        for words in ("a b", "a c", "z", "list", "a -f")
    }
    assert found["a b"] == [EffectKind.DELETE]
    assert found["a c"] == [EffectKind.WRITE]
    assert found["z"] == [EffectKind.SEND]
    assert found["list"] == []
    assert found["a -f"] == [EffectKind.WRITE, EffectKind.EVADE]


def test_options_take_their_values() -> None:
    flags = parted(["-rf", "-ofile", "--to=x", "-t", "y", "a", "--", "-b"], frozenset(("-o", "-t")))
    assert flags.words == ["a", "-b"]
    assert flags.value("-o") == "file"
    assert flags.value("--to") == "x"
    assert flags.value("-t") == "y"
    assert flags.has("-r")
    assert not flags.has("-z")


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["instances", "delete"], EffectKind.DELETE),
        (["describe-instances"], EffectKind.READ),
        (["ec2", "create-tags"], EffectKind.WRITE),
    ],
)
def test_a_verb_says_what_is_done_elsewhere(words: list[str], kind: EffectKind) -> None:
    found = verb_kind(words)
    assert found is not None
    assert found[0] is kind


@pytest.mark.parametrize(
    ("command", "rule"),
    [
        ("nobody-knows-it a.txt", "run-nothing"), ("nobody-knows-it ~/.ssh/id_rsa", "read-credential"),
        ("nobody-knows-it /dev/sda", "read-device"), ("nobody-knows-it --delete /etc/x", "delete-system"),
        ("nobody-knows-it upload a.txt", "send-host"), ("nobody-knows-it http://h.example", "download-host"),
        ("nobody-knows-it --exec 'rm -rf /'", "delete-whole-tree"), ("nobody-knows-it -- sh -c 'rm -rf /'",
        "delete-whole-tree"),
        ("cat ~/.netrc | nobody-knows-it http://h.example", "send-credential"), ("nobody-knows-it --listen 80",
        "listen-nothing"),
        ("./nobody-knows-it", "run-workspace"), ("sudo /opt/nobody-knows-it", "escalate-system"),
    ],
)  # fmt: skip
def test_a_program_that_nobody_listed_is_judged_by_its_words(command: str, rule: str) -> None:
    assert rule in rules(command)


@given(st.sampled_from(sorted(names())), st.lists(st.text(alphabet="-abf/=~x.{}", max_size=6), max_size=6))
def test_any_words_are_taken_by_any_program(name: str, words: list[str]) -> None:
    analyse(" ".join([name, *(f"'{word}'" for word in words)]), Language.SHELL)
