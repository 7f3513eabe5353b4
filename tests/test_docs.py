"""The documents are true: commands exist, settings are all there, and the written parts are what the program would write."""

import ast
import re
import shlex
import subprocess
import types
import typing
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import pytest

from freehold import config as configuration
from freehold.cli import docs, main
from freehold.core.findings import Channel
from freehold.gateway.wire import CODECS
from freehold.guard import GuardConfig, StreamGuard
from freehold.guard.custom import VALIDATORS
from freehold.guard.detectors import DETECTORS
from freehold.guard.files import UNREAD
from freehold.guard.policy_check import oddities
from freehold.guard.policy_file import CustomDetector, Dictionary, PolicyRule, PolicySource, Tokens

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def snippets(language: str) -> Iterator[tuple[str, str]]:
    for path in DOCUMENTS:
        for found in FENCE.finditer(path.read_text(encoding="utf-8")):
            if found[1] == language:
                yield path.relative_to(ROOT).as_posix(), found[2]


def shell_lines() -> list[tuple[str, list[str]]]:
    """Every command of every shell snippet, with pipes taken apart."""
    lines = []
    for name, text in snippets("sh"):
        for line in text.splitlines():
            words = shlex.split(line, comments=True)
            while words:
                end = words.index("|") if "|" in words else len(words)
                lines.append((name, words[:end]))
                words = words[end + 1 :]
    return lines


def parse(words: list[str]) -> click.Command:
    """Walk the words down the command tree and parse the rest, as click would, without running anything."""
    command: click.Command = main
    context = click.Context(main, info_name="freehold")
    rest = words
    while isinstance(command, click.Group):
        if command.invoke_without_command and (not rest or rest[0].startswith("-")):
            break
        assert rest, f"{words}: {command.name} needs a command"
        found = command.get_command(context, rest[0])
        assert found is not None, f"{words}: there is no {rest[0]}"
        command, rest = found, rest[1:]
    command.make_parser(context).parse_args(list(rest))
    return command


def test_every_freehold_command_in_the_documents_parses() -> None:
    commands = [words[1:] for _, words in shell_lines() if words[0] == "freehold"]
    assert len(commands) >= 6
    for words in commands:
        parse(words)


def test_a_command_that_does_not_exist_would_be_noticed() -> None:
    with pytest.raises(click.NoSuchOption):
        parse(["chat", "--no-such-option"])
    with pytest.raises(AssertionError, match="there is no nothing"):
        parse(["nothing"])


def test_inline_commands_exist() -> None:
    for path in DOCUMENTS:
        for found in re.finditer(r"`freehold ([a-z][a-z -]*)", path.read_text(encoding="utf-8")):
            command: click.Command = main
            for word in found[1].split():
                if not isinstance(command, click.Group) or not re.fullmatch(r"[a-z-]+", word):
                    break
                step = command.get_command(click.Context(command), word)
                assert step is not None, f"{path.name}: `freehold {found[1]}`"
                command = step


def test_every_make_target_in_the_documents_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    used = {words[1] for _, words in shell_lines() if words[0] == "make"}
    used |= {word for path in DOCUMENTS for word in re.findall(r"`make ([a-z]+)", path.read_text(encoding="utf-8"))}
    assert used
    assert used <= targets


def test_python_snippets_compile() -> None:
    found = list(snippets("python"))
    assert found
    for name, text in found:
        ast.parse(text, filename=name)


def test_toml_snippets_load(tmp_path: Path) -> None:
    found = [(name, text) for name, text in snippets("toml") if not is_policy(name, text)]
    assert found
    for _, text in found:
        path = tmp_path / "freehold.toml"
        path.write_text(text, encoding="utf-8")
        configuration.load(path)


def is_policy(name: str, text: str) -> bool:
    tables = ("[[rules]]", "[calls]", "[[calls.", "[code]", "[[code.", "[injection]")
    return name.startswith("docs/") and any(table in text for table in tables)


def test_the_policies_in_the_documents_are_all_right() -> None:
    found = [(name, text) for name, text in snippets("toml") if is_policy(name, text)]
    assert found
    for name, text in found:
        asked = StreamGuard(GuardConfig(engine="re2"), policy=PolicySource(name=name, text=text))
        assert oddities(asked.policy, frozenset((*CODECS, "mcp"))) == []
        if "code-names" in text:
            assert asked.redact("her badge BDG-1234-XY, blue  book") == "her badge BDG-1234-XY, [REDACTED:code-names]"


def test_every_setting_of_a_policy_is_documented() -> None:
    text = (ROOT / "docs" / "policy.md").read_text(encoding="utf-8")
    kinds = (PolicyRule, CustomDetector, Dictionary, Tokens)
    names = {field.encode_name for kind in kinds for field in msgspec.structs.fields(kind)}
    names |= {*VALIDATORS, *UNREAD, *Channel}
    assert {name for name in names if not re.search(rf"\b{name}\b", text)} == set()


def test_links_lead_somewhere() -> None:
    for path in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_every_source_file_the_documents_name_exists() -> None:
    named = {
        (path.name, file)
        for path in DOCUMENTS
        for file in re.findall(r"`([a-z_/]+\.py)`", path.read_text(encoding="utf-8"))
        if not (ROOT / "src" / "freehold" / file).exists() and not (ROOT / file).exists()
    }
    assert named == set()


def test_what_the_program_writes_is_up_to_date() -> None:
    advice = "run `make docs`"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert docs.with_commands(readme, main) == readme, advice
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == docs.cli_reference(main), advice
    assert (ROOT / "docs" / "detectors.md").read_text(encoding="utf-8") == docs.detector_table(), advice


def test_every_detector_is_documented_by_its_name() -> None:
    text = (ROOT / "docs" / "detectors.md").read_text(encoding="utf-8")
    names = [detector.id for detector in docs.detectors()]
    assert len(names) >= 40
    assert [name for name in names if f"| `{name}` |" not in text] == []
    assert len(DETECTORS) == len(names)


def struct_of(kind: object) -> tuple[type[msgspec.Struct], str] | None:
    """The struct a setting holds, and the brackets and name its table has: `X`, `list[X]`, `dict[str, X]`, `X | None`."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind, "{}"
    arguments = typing.get_args(kind)
    for argument in arguments:
        if (inner := struct_of(argument)) is not None:
            origin = typing.get_origin(kind)
            shape = {list: "[{}]", tuple: "[{}]", dict: "{}.NAME"}.get(origin, "{}")  # type: ignore[arg-type]
            assert origin in (list, tuple, dict, typing.Union, types.UnionType)
            return inner[0], shape
    return None


Setting = tuple[str, msgspec.structs.FieldInfo]


def tables(struct: type[msgspec.Struct], name: str, seen: tuple[type, ...] = ()) -> Iterator[Setting]:
    """Every setting with the heading its table has in the document."""
    for field in msgspec.structs.fields(struct):
        if name:
            yield name, field
        if (inner := struct_of(field.type)) is not None and inner[0] not in seen:
            seen = (*seen, inner[0])
            path = f"{name}.{field.encode_name}" if name else field.encode_name
            yield from tables(inner[0], inner[1].format(path), seen)


def default_of(field: msgspec.structs.FieldInfo) -> str:
    """As the document writes it."""
    if field.required:
        return "required"
    value = field.default_factory() if callable(field.default_factory) else field.default
    if value is None:
        return "none"
    return f"`{msgspec.json.encode(value).decode()}`"


def section(text: str, heading: str) -> str:
    _, found, rest = text.partition(f"\n## [{heading}]\n")
    assert found, f"docs/configuration.md has no table [{heading}]"
    return rest.split("\n## ", 1)[0]


SETTINGS = list(tables(configuration.Config, ""))


@pytest.mark.parametrize(("heading", "field"), SETTINGS, ids=[f"{heading}.{field.encode_name}" for heading, field in SETTINGS])
def test_every_setting_is_documented_with_its_default(heading: str, field: msgspec.structs.FieldInfo) -> None:
    text = section((ROOT / "docs" / "configuration.md").read_text(encoding="utf-8"), heading)
    assert f"| `{field.encode_name}` | {default_of(field)} | " in text


def test_no_setting_is_documented_that_does_not_exist() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8").partition("\n## Variables")[0]
    written = set()
    for part in text.split("\n## [")[1:]:
        heading = part.split("]\n", 1)[0]
        written |= {(heading, name) for name in re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE)}
    assert written == {(heading, field.encode_name) for heading, field in SETTINGS}


def test_every_variable_the_program_reads_is_documented() -> None:
    sources = [*(ROOT / "src").rglob("*.py"), *(ROOT / "bench").rglob("*.py")]
    read = {name for path in sources for name in re.findall(r"\bFREEHOLD_[A-Z_]+\b", path.read_text(encoding="utf-8"))}
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8").partition("\n## Variables")[2]
    assert "FREEHOLD_HOME" in read
    assert {name for name in read if f"`{name}`" not in text} == set()


def tracked_texts() -> Iterator[tuple[str, str]]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in filter(None, listed.stdout.decode().split("\0")):
        path = ROOT / name
        if path.is_file() and path.stat().st_size < 1 << 20 and name != "tests/test_docs.py":
            try:
                yield name, path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue


def test_no_text_names_a_registry_host_or_a_path_of_one_machine() -> None:
    # Indexes are the user's own setting; a path under somebody's home works for nobody else.
    forbidden = re.compile(r"(?:files\.python" r"hosted|pypi\.org|registry\.npm" r"js|crates\.io|/work/|/home/\w+/|/Users/\w+/)")
    found = [f"{name}: {match[0]}" for name, text in tracked_texts() for match in forbidden.finditer(text)]
    assert found == []
