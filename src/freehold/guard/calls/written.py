"""What it does to write a text into a file: where that lies, who will run it, and what it says.

What a script does that is only written is *noted*, as nobody runs it yet. It counts as done where the file runs by itself later:
a profile, a job of cron, a hook of git. Weaknesses of written code are looked for by whoever asks: here it is only handed on.
"""

import re
from dataclasses import dataclass, field
from posixpath import basename

from freehold.core.effects import Effect, EffectKind, Place
from freehold.guard.effects.analyse import analyse
from freehold.guard.effects.places import file_effects
from freehold.guard.effects.scene import unknown
from freehold.guard.effects.windows_places import change_of
from freehold.guard.syntax import Language

LIMIT_ANALYSED_CHARS = 32 << 10  # of a script that is only written: 15 ms

# By ending: what carries commands. Programs are looked at for weaknesses; what they would do is their business until they run.
_SCRIPTS = {
    ".sh": Language.SHELL, ".bash": Language.SHELL, ".zsh": Language.SHELL, ".ksh": Language.SHELL, ".command": Language.SHELL,
    ".ps1": Language.POWERSHELL, ".psm1": Language.POWERSHELL, ".bat": Language.BATCH, ".cmd": Language.BATCH,
    ".sql": Language.SQL,
}  # fmt: skip
_PROGRAMS = {
    ".py": Language.PYTHON, ".pyw": Language.PYTHON, ".js": Language.JAVASCRIPT, ".mjs": Language.JAVASCRIPT,
    ".cjs": Language.JAVASCRIPT, ".jsx": Language.JAVASCRIPT, ".ts": Language.TYPESCRIPT, ".tsx": Language.TSX,
    ".java": Language.JAVA, ".go": Language.GO, ".rb": Language.RUBY, ".php": Language.PHP, ".c": Language.C, ".h": Language.C,
    ".cc": Language.CPP, ".cpp": Language.CPP, ".cxx": Language.CPP, ".hpp": Language.CPP, ".cs": Language.CSHARP,
    ".pl": Language.PERL,
}  # fmt: skip
_WORKFLOW = re.compile(
    r"(?:^|/)(?:\.(?:github|gitea|forgejo)/workflows/[^/]+\.ya?ml|\.gitlab-ci\.ya?ml|\.circleci/config\.ya?ml|azure-pipelines\.ya?ml|\.travis\.ya?ml"
    r"|bitbucket-pipelines\.ya?ml|\.drone\.ya?ml|\.woodpecker(?:\.ya?ml|/.+)|buildspec\.ya?ml|cloudbuild\.ya?ml|\.buildkite/.+|appveyor\.ya?ml"
    r"|action\.ya?ml)$"
)
_COMPOSE = re.compile(r"(?:^|/)(?:docker-)?compose(?:\.[\w-]+)?\.ya?ml$")
_DOCKERFILE = re.compile(r"(?:^|/)(?:Docker|Container)file(?:\.[\w-]+)?$|\.dockerfile$")
_SHELL_NAMES = re.compile(
    r"(?:^|/)(?:\.(?:bash|zsh|k)?(?:rc|profile|_profile|_login|_logout|shrc|env)|\.profile|\.bashrc|\.zshrc|\.envrc|\.git/hooks/[\w-]+|\.husky/[\w-]+"
    r"|(?:etc|spool)/cron[^/]*/.*|crontab|rc\.local)$"
)
_BY_ITSELF: tuple[tuple[re.Pattern[str], EffectKind, str], ...] = (
    (_WORKFLOW, EffectKind.PERSIST, "a CI service runs what is written there by itself, with the repository's rights"),
    (
        re.compile(r"(?:^|/)(?:Jenkinsfile|lefthook\.ya?ml|\.pre-commit-config\.ya?ml)$"),
        EffectKind.PERSIST,
        "runs at every commit or push",
    ),
    (
        re.compile(
            r"(?:^|/)(?:\.vscode/(?:tasks|launch|settings)\.json|\.devcontainer/.+|\.devcontainer\.json|\.idea/.+|[^/]+\.code-workspace)$"
        ),
        EffectKind.PERSIST,
        "the editor runs what is written there",
    ),
    (
        re.compile(
            r"(?:^|/)(?:\.claude/(?:settings[^/]*\.json|hooks/.+)|\.mcp\.json|\.cursor/(?:mcp|hooks|permissions)\.json|\.codex/(?:config\.toml|hooks[^/]*)"
            r"|\.gemini/settings\.json|\.vscode/mcp\.json|\.freehold/.+|freehold\.toml)$"
        ),
        EffectKind.EVADE,
        "changes what an agent may do or what it starts by itself",
    ),
)
_LIFECYCLE = re.compile(r'"(?:pre|post)?(?:install|prepare|prepublish|prepack|uninstall)(?:Only)?"\s*:\s*"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A program's text as a call writes it, or runs it at once. `language` is None where its name does not tell."""

    text: str = field(repr=False)
    language: Language | None
    name: str = field(repr=False, default="")
    is_run: bool = False


def language_of(path: str) -> Language | None:
    """Of a file, by its name."""
    plain = path.replace("\\", "/")
    if _DOCKERFILE.search(plain):
        return Language.DOCKERFILE
    if _WORKFLOW.search(plain) or _COMPOSE.search(plain):
        return Language.YAML
    ending = _ending(plain)
    if ending in _SCRIPTS or ending in _PROGRAMS:
        return _SCRIPTS.get(ending) or _PROGRAMS[ending]
    return Language.SHELL if _SHELL_NAMES.search(plain) else None


def effects_of_writing(path: str, text: str, *, folder: str = "") -> tuple[list[Effect], list[Effect]]:
    """(what is done, what the text does that nobody runs yet)."""
    effects = list(file_effects(EffectKind.WRITE, path, "writes a file", folder=folder))
    place = effects[0].place if effects else Place.NOTHING
    plain = path.replace("\\", "/")
    if "\\" in path and (change := change_of(path)) is not None:
        kind, where, because = change
        effects.append(Effect(kind=kind, place=where, target=path, because=because))
    runs_by_itself = any(effect.kind is EffectKind.PERSIST for effect in effects)
    for pattern, kind, because in _BY_ITSELF:
        if pattern.search(plain):
            effects.append(Effect(kind=kind, place=place, target=path, because=because))
    if basename(plain) == "package.json" and _LIFECYCLE.search(text):
        because = "a package manager runs the scripts of these names by itself"
        effects.append(Effect(kind=EffectKind.PERSIST, place=place, target=path, because=because))
    said = _effects_of_text(plain, text, folder)
    return ([*effects, *said], []) if runs_by_itself else (effects, said)


def _effects_of_text(path: str, text: str, folder: str) -> list[Effect]:
    language = language_of(path)
    if text.startswith("#!") and language is None:
        language = Language.SHELL if re.match(r"#!\s*\S*?/(?:env\s+)?(?:ba|z|da|k)?sh\b", text) else None
    if language is None or language in _PROGRAMS.values():
        return []
    if len(text) > LIMIT_ANALYSED_CHARS:
        return [unknown(f"a script longer than {LIMIT_ANALYSED_CHARS} characters")]
    return list(analyse(text, language, folder=folder))


def is_program(path: str) -> bool:
    """Whether weaknesses of a text in this file are worth looking for."""
    return _ending(path) in _PROGRAMS


def _ending(path: str) -> str:
    name = basename(path.replace("\\", "/")).lower()
    return name[name.rfind(".") :] if "." in name else ""
