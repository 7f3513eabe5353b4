"""What a file of commands in YAML does when it is put to use: CI workflows, compose files, manifests, playbooks, cloud-init.

Decided here: what kind of file it is, by its members; where its commands are and for which shell; what a container is given of
its machine; where a stranger's text becomes a command. What the commands do is left to the analysers of their languages.

Sources: GitHub's "Security hardening for GitHub Actions" and "Events that trigger workflows"; the references of GitLab CI/CD,
Azure Pipelines, CircleCI, Compose; Kubernetes' "Pod Security Standards"; Ansible's collection index; cloud-init's module
reference.
"""

import re
import shlex
import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from importlib.resources import files

from freehold.core.effects import Effect, EffectKind, Place
from freehold.guard.effects.places import file_effects, host_of
from freehold.guard.effects.scene import Scene, unknown
from freehold.guard.effects.workflow_yaml import Value, documents, mappings, member, texts
from freehold.guard.syntax import Language

LIMIT_STEPS = 2_000  # members looked at, of all documents: aliases may make few lines long

_EXPRESSION = re.compile(r"\$\{\{.{0,400}?\}\}", re.DOTALL)
_STRANGERS = re.compile(
    r"\$\{\{[^}]{0,200}?(?:github\.head_ref|github\.event\.(?:issue|pull_request|comment|review|review_comment|discussion|head_commit"
    r"|commits|pages|workflow_run|client_payload)\b)[^}]{0,200}\}\}"
)
_HARMLESS = re.compile(r"\.(?:number|id|sha|node_id|html_url|url|draft|merged|state|created_at|action)\s*\}\}$")
_SECRET = re.compile(
    r"\$\{\{[^}]{0,80}(?:secrets\.|github\.token)|\$(?:CI_JOB_TOKEN|GITHUB_TOKEN|CI_REGISTRY_PASSWORD)|\$\{(?:GITHUB_TOKEN|CI_JOB_TOKEN)"
)
_OPEN_TO_STRANGERS = frozenset(("pull_request_target", "workflow_run", "issue_comment", "issues", "discussion_comment"))
_SHELLS = {
    "pwsh": Language.POWERSHELL,
    "powershell": Language.POWERSHELL,
    "cmd": Language.BATCH,
    "python": Language.PYTHON,
    "node": Language.JAVASCRIPT,
}


def workflow(text: str, scene: Scene) -> list[Effect]:
    """The analyser of `Language.YAML`. A file that holds no commands does nothing."""
    read = documents(text)
    if read is None:
        return [unknown("YAML that can't be read")]
    walk = _Walk(scene)
    for document in read:
        walk.document(document, text)
    return walk.found


class _Walk:
    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.found: list[Effect] = []
        self.steps = 0

    def does(self, kind: EffectKind, place: Place, because: str, target: str = "") -> None:
        self.found.append(Effect(kind=kind, place=place, target=target, because=because))

    def spends(self) -> bool:
        self.steps += 1
        if self.steps == LIMIT_STEPS:
            self.found.append(unknown("more steps than are looked at"))
        return self.steps < LIMIT_STEPS

    def command(self, text: str, language: Language = Language.SHELL) -> None:
        """A piece of script. What a CI system puts in the place of its expressions is not known."""
        if not text.strip() or not self.spends():
            return
        name = "$env:EXPRESSION" if language is Language.POWERSHELL else "$EXPRESSION"
        found = self.scene.inside(language, _EXPRESSION.sub(name, text))
        self.found += found
        if _SECRET.search(text) and any(effect.kind is EffectKind.SEND for effect in found):
            self.does(EffectKind.SEND, Place.CREDENTIAL, "sends a secret of the CI system to a host")
        for expression in _STRANGERS.finditer(text):
            if not _HARMLESS.search(expression[0]):
                self.does(EffectKind.EXECUTE, Place.NOTHING, "puts text that a stranger may write into a command")
                break

    def document(self, document: Value, text: str) -> None:
        if isinstance(document, list):
            return self.playbook(document)
        if not isinstance(document, dict):
            return None
        if "apiVersion" in document and "kind" in document:
            self.manifest(document)
        elif text.startswith("#cloud-config"):
            self.cloud_init(document)
        elif "services" in document and isinstance(document["services"], dict):
            for service in mappings(document["services"]):
                self.service(service)
        else:
            self.pipeline(document)
        return None

    # ---- CI --------------------------------------------------------------------------------------

    def pipeline(self, document: dict[str, Value]) -> None:
        events = self.events(document)
        shell = _SHELLS.get(str(member(document, "defaults", "run", "shell") or ""), Language.SHELL)
        if "schedule" in events or "schedules" in document:
            self.does(EffectKind.PERSIST, Place.WORKSPACE, "runs by itself at set times")
        if member(document, "permissions") == "write-all":
            self.does(EffectKind.ACCOUNT, Place.NOTHING, "lets every step change everything in the repository")
        before = len(self.found)
        self.search(document, shell)
        if not events & _OPEN_TO_STRANGERS:  # a stranger's code runs with a stranger's rights then
            self.found[before:] = [effect for effect in self.found[before:] if effect.because != _STRANGERS_CODE]

    @staticmethod
    def events(document: dict[str, Value]) -> set[str]:
        on = document.get("on", document.get("true"))
        return set(on) if isinstance(on, dict) else set(texts(on))

    def search(self, value: Value, shell: Language, depth: int = 0) -> None:
        """Every member that holds commands, wherever it lies."""
        if not self.spends() or depth > 12:
            return
        if isinstance(value, list):
            for one in value:
                if not isinstance(one, str):
                    self.search(one, shell, depth + 1)
            return
        if not isinstance(value, dict):
            return
        self.step(value, shell)
        for key, one in value.items():
            if key not in _COMMANDS and not isinstance(one, str):
                self.search(one, shell, depth + 1)

    def step(self, step: dict[str, Value], shell: Language) -> None:
        own = _SHELLS.get(str(step.get("shell", "")).split(" ")[0])
        for key, language in _COMMANDS.items():
            value = step.get(key)
            if isinstance(value, dict):  # CircleCI: run: {command: …}
                value = member(value, "command")
            for text in texts(value):
                self.command(text, own or language or shell)
        uses = step.get("uses")
        if (
            isinstance(uses, str)
            and uses.startswith("actions/checkout")
            and _STRANGERS_REF.search(str(member(step, "with", "ref") or ""))
        ):
            self.does(EffectKind.EXECUTE, Place.HOST, _STRANGERS_CODE)
        if isinstance(uses, str) and uses.startswith("actions/github-script"):
            for text in texts(member(step, "with", "script")):
                self.command(text, Language.JAVASCRIPT)

    # ---- containers ------------------------------------------------------------------------------

    def service(self, service: dict[str, Value]) -> None:
        """One container of a compose file."""
        if not self.spends():
            return
        if str(service.get("privileged", "")).lower() in ("true", "yes", "on"):
            self.does(EffectKind.ESCALATE, Place.SYSTEM, "a container with all rights of its machine")
        self.capabilities(texts(service.get("cap_add")))
        for key in ("pid", "network_mode", "ipc", "userns_mode"):
            if service.get(key) == "host":
                self.does(EffectKind.ESCALATE, Place.NOTHING, "a container that shares its machine's processes or network")
        for volume in service.get("volumes") or []:
            source = volume.split(":")[0] if isinstance(volume, str) else str(member(volume, "source") or "")
            self.mounts(source)
        for device in texts(service.get("devices")):
            self.does(EffectKind.WRITE, Place.DEVICE, "a container that is given a device of its machine", device)
        if service.get("ports"):
            self.does(EffectKind.LISTEN, Place.NOTHING, "opens ports of its machine")
        for key in ("command", "entrypoint"):
            self.words(service.get(key))

    def capabilities(self, names: list[str]) -> None:
        if any(name.upper().removeprefix("CAP_") in _CAPABILITIES for name in names):
            self.does(EffectKind.ESCALATE, Place.SYSTEM, "a container with rights by which it can leave itself")

    def mounts(self, source: str) -> None:
        """A folder of the machine in a container."""
        if not source.startswith(("/", "~", "$HOME", "C:")):
            return
        if source.rstrip("/") == "" or source.endswith(("docker.sock", "containerd.sock", "crio.sock", "podman.sock")):
            self.does(EffectKind.ESCALATE, Place.SYSTEM, "gives a container the whole of its machine", source)
            return
        self.found += file_effects(
            EffectKind.WRITE, source, "gives a container a folder of its machine", folder=self.scene.folder
        )

    def words(self, value: Value | None) -> None:
        """A command as text or as a list of words; `sh -c` is a script."""
        if isinstance(value, str):
            self.command(value)
        elif isinstance(value, list):
            self.command(shlex.join(texts(value)))

    # ---- Kubernetes ------------------------------------------------------------------------------

    def manifest(self, document: dict[str, Value]) -> None:
        kind = str(document["kind"])
        if kind == "List":
            for item in mappings(document.get("items")):
                if "kind" in item:
                    self.manifest(item)
            return
        if kind in ("ClusterRoleBinding", "RoleBinding") and str(member(document, "roleRef", "name")) in (
            "cluster-admin",
            "admin",
            "edit",
        ):
            self.does(EffectKind.ACCOUNT, Place.SYSTEM, "gives somebody all rights in a cluster")
        for rule in mappings(document.get("rules")) if kind in ("ClusterRole", "Role") else []:
            if "*" in texts(rule.get("verbs")) and "*" in texts(rule.get("resources")):
                self.does(EffectKind.ACCOUNT, Place.SYSTEM, "a role with all rights")
        if kind == "Service" and str(member(document, "spec", "type")) in ("NodePort", "LoadBalancer"):
            self.does(EffectKind.LISTEN, Place.NOTHING, "opens a port of a cluster")
        if kind in ("CronJob", "DaemonSet"):
            self.does(EffectKind.PERSIST, Place.HOST, "runs by itself in a cluster")
        if kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
            self.does(EffectKind.EVADE, Place.NOTHING, "looks at or changes all that is sent to a cluster")
        self.pods(document, 0)

    def pods(self, value: Value, depth: int) -> None:
        if not self.spends() or depth > 12 or not isinstance(value, dict):
            return
        if isinstance(value.get("containers"), list):
            self.pod(value)
        for one in value.values():
            self.pods(one, depth + 1)

    def pod(self, spec: dict[str, Value]) -> None:
        for key in ("hostPID", "hostNetwork", "hostIPC"):
            if spec.get(key) == "true":
                self.does(EffectKind.ESCALATE, Place.NOTHING, "a container that shares its machine's processes or network")
        for volume in mappings(spec.get("volumes")):
            path = member(volume, "hostPath", "path")
            if isinstance(path, str):
                self.mounts(path)
        for container in [*mappings(spec.get("initContainers")), *mappings(spec.get("containers"))]:
            security = member(container, "securityContext")
            if member(security, "privileged") == "true":
                self.does(EffectKind.ESCALATE, Place.SYSTEM, "a container with all rights of its machine")
            self.capabilities(texts(member(security, "capabilities", "add")))
            self.words([*texts(container.get("command")), *texts(container.get("args"))] or None)

    # ---- playbooks and first starts --------------------------------------------------------------

    def playbook(self, plays: list[Value]) -> None:
        for play in mappings(plays):
            if not self.spends():
                return
            if "hosts" in play and play["hosts"] not in ("localhost", "127.0.0.1"):
                self.does(EffectKind.PUBLISH, Place.HOST, "changes other machines")
            self.task(play)
            for key in ("tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always"):
                nested = play.get(key)
                if isinstance(nested, list):
                    self.playbook(nested)

    def task(self, task: dict[str, Value]) -> None:
        for key, given in task.items():
            module = key.rpartition(".")[2]
            if module in _SCRIPTS:
                given = member(given, "cmd") or member(given, "_raw_params") or given if isinstance(given, dict) else given
                self.words(given) if not isinstance(given, str) else self.command(given, _SCRIPTS[module])
            elif (does := _modules().get(module)) is not None:
                self.found += does(given, self.scene)

    def cloud_init(self, document: dict[str, Value]) -> None:
        for key in ("bootcmd", "runcmd"):
            for one in document.get(key) or []:
                self.words(one)
        for file in mappings(document.get("write_files")):
            self.found += file_effects(EffectKind.WRITE, str(file.get("path", "")), "writes a file at the first start")
        if document.get("ssh_authorized_keys") or "ssh_import_id" in document:
            self.does(EffectKind.PERSIST, Place.CREDENTIAL, "lets others log on")
        if document.get("users") or document.get("chpasswd"):
            self.does(EffectKind.ACCOUNT, Place.SYSTEM, "makes users or sets passwords")
        if document.get("packages"):
            self.does(EffectKind.INSTALL, Place.SYSTEM, "installs packages")


_COMMANDS: Mapping[str, Language | None] = {  # None: the shell that the file sets
    "run": None,
    "script": None,
    "before_script": None,
    "after_script": None,
    "commands": None,
    "install": None,
    "before_install": None,
    "after_success": None,
    "bash": Language.SHELL,
    "sh": Language.SHELL,
    "powershell": Language.POWERSHELL,
    "pwsh": Language.POWERSHELL,
    "inlineScript": None,
    "entry": None,
}
_STRANGERS_CODE = "runs what a stranger's pull request brings, with this repository's rights"
_STRANGERS_REF = re.compile(r"github\.(?:event\.(?:pull_request\.head|workflow_run\.head)|head_ref)|refs/pull/")
_CAPABILITIES = frozenset(("ALL", "SYS_ADMIN", "SYS_PTRACE", "SYS_MODULE", "SYS_RAWIO", "DAC_READ_SEARCH", "NET_ADMIN", "BPF"))
_SCRIPTS: Mapping[str, Language] = {
    "shell": Language.SHELL,
    "command": Language.SHELL,
    "raw": Language.SHELL,
    "script": Language.SHELL,
    "win_shell": Language.POWERSHELL,
    "win_command": Language.BATCH,
}

Module = Callable[[Value, Scene], Iterator[Effect]]


def _plain(kind: EffectKind, place: Place, because: str, _given: Value, _scene: Scene) -> Iterator[Effect]:
    yield Effect(kind=kind, place=place, because=because)


def _path_of(given: Value, *names: str) -> str:
    if isinstance(given, str):  # "dest=/etc/x mode=0644"
        found = re.search(r"\b(?:" + "|".join(names) + r")=(\S+)", given)
        return found[1] if found else ""
    return next((text for name in names if isinstance(text := member(given, name), str)), "")


def _file(given: Value, scene: Scene) -> Iterator[Effect]:
    path = _path_of(given, "path", "dest", "name")
    absent = member(given, "state") == "absent" or (isinstance(given, str) and "state=absent" in given)
    yield from file_effects(
        EffectKind.DELETE if absent else EffectKind.WRITE, path, "a task makes or deletes a file", folder=scene.folder
    )


def _fetch(given: Value, scene: Scene) -> Iterator[Effect]:
    url = _path_of(given, "url", "repo", "src")
    if host_of(url) is not None or "://" in url:
        yield Effect(kind=EffectKind.DOWNLOAD, place=Place.HOST, target=url, because="a task fetches from a host")
    yield from _file(given, scene)


def _request(given: Value, _scene: Scene) -> Iterator[Effect]:
    sends = str(member(given, "method") or "GET").upper() not in ("GET", "HEAD")
    kind = EffectKind.SEND if sends else EffectKind.DOWNLOAD
    yield Effect(kind=kind, place=Place.HOST, target=_path_of(given, "url"), because="a task asks a host")


_KINDS: Mapping[str, Module] = {
    "installs": partial(_plain, EffectKind.INSTALL, Place.SYSTEM, "a task installs software"),
    "services": partial(_plain, EffectKind.PROCESS, Place.SYSTEM, "a task starts or stops services"),
    "users": partial(_plain, EffectKind.ACCOUNT, Place.SYSTEM, "a task changes users or groups"),
    "times": partial(_plain, EffectKind.PERSIST, Place.SYSTEM, "a task makes something run by itself, or lets others in"),
    "guards": partial(_plain, EffectKind.EVADE, Place.NOTHING, "a task changes what protects the machine"),
    "machine": partial(_plain, EffectKind.SYSTEM, Place.SYSTEM, "a task changes the machine"),
    "files": _file,
    "fetches": _fetch,
    "asks": _request,
}


@cache
def _modules() -> Mapping[str, Module]:
    document = tomllib.loads((files("freehold.guard.effects") / "data" / "workflow_modules.toml").read_text())
    return {name: _KINDS[kind] for kind, names in document.items() for name in names.split()}
