import pytest

from freehold.core.effects import EffectKind, Place
from freehold.guard.calls.written import LIMIT_ANALYSED_CHARS, effects_of_writing, is_program, language_of
from freehold.guard.syntax import Language


def kinds(path: str, text: str = "") -> set[tuple[EffectKind, Place]]:
    return {(effect.kind, effect.place) for effect in effects_of_writing(path, text)[0]}


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (".github/workflows/ci.yml", EffectKind.PERSIST),
        (".gitlab-ci.yml", EffectKind.PERSIST),
        ("Jenkinsfile", EffectKind.PERSIST),
        (".pre-commit-config.yaml", EffectKind.PERSIST),
        (".vscode/tasks.json", EffectKind.PERSIST),
        (".devcontainer/devcontainer.json", EffectKind.PERSIST),
        (".claude/settings.json", EffectKind.EVADE),
        (".cursor/mcp.json", EffectKind.EVADE),
        (".git/hooks/pre-commit", EffectKind.PERSIST),
    ],
)
def test_what_others_run_by_itself_says_so(path: str, kind: EffectKind) -> None:
    assert (kind, Place.WORKSPACE) in kinds(path)
    assert (EffectKind.WRITE, Place.WORKSPACE) in kinds(path)


@pytest.mark.parametrize("path", ["src/a.py", "README.md", "Dockerfile", "workflows/a.yml", "scripts/build.sh", "package.json"])
def test_what_nobody_runs_by_itself_is_written_and_no_more(path: str) -> None:
    assert kinds(path, '{"scripts": {"test": "pytest"}}') == {(EffectKind.WRITE, Place.WORKSPACE)}


def test_a_package_whose_installation_runs_scripts_persists() -> None:
    assert (EffectKind.PERSIST, Place.WORKSPACE) in kinds("app/package.json", '{"scripts": {"postinstall": "node x.js"}}')


def test_a_script_that_is_only_written_is_noted() -> None:
    done, noted = effects_of_writing("deploy.sh", "rm -rf /\n")
    assert {effect.kind for effect in done} == {EffectKind.WRITE}
    assert noted


def test_a_script_that_runs_by_itself_counts_as_run() -> None:
    done, noted = effects_of_writing(".git/hooks/pre-push", "rm -rf /\n")
    assert not noted
    assert len({effect.kind for effect in done}) >= 3


def test_a_script_too_long_to_be_looked_at_is_unknown() -> None:
    _, noted = effects_of_writing("a.sh", "true\n" * LIMIT_ANALYSED_CHARS)
    assert [effect.kind for effect in noted] == [EffectKind.UNKNOWN]


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("a/b.py", Language.PYTHON),
        ("b.TSX", Language.TSX),
        ("Dockerfile", Language.DOCKERFILE),
        ("web.dockerfile", Language.DOCKERFILE),
        ("docker-compose.yml", Language.YAML),
        ("C:\\x\\a.ps1", Language.POWERSHELL),
        (".bashrc", Language.SHELL),
        ("notes.txt", None),
        ("config.yaml", None),
    ],
)
def test_a_files_name_tells_its_language(path: str, language: Language | None) -> None:
    assert language_of(path) is language


def test_programs_are_those_that_weaknesses_are_looked_for_in() -> None:
    assert is_program("a.py")
    assert is_program("src\\b.cs")
    assert not is_program("a.sh")
    assert not is_program("a.md")
