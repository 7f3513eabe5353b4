"""Options that `freehold sign` and `freehold verify` share, and the files they name."""

import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import click

from freehold import config as configuration
from freehold.cli import Unusable
from freehold.core.errors import ArtefactError, DeviceError, InvalidRequest, MalformedArtefact
from freehold.provenance.digest_cache import DigestCache
from freehold.provenance.keys import SigningKey, read_private
from freehold.provenance.tree import Rules, rules

PASSWORD_ENV = "FREEHOLD_KEY_PASSWORD"  # noqa: S105 - its name

_OPTIONS = (
    click.option(
        "--ignore", multiple=True, metavar="PATH", help="A file or folder of the model that does not count. Repeatable."
    ),
    click.option("--with-git", is_flag=True, help="Count .git, .github, .gitattributes and .gitignore, too."),
    click.option("--follow-links", is_flag=True, help="Take what links to files point to, instead of refusing them."),
    click.option(
        "--signature", "signature_file", type=click.Path(path_type=Path), help="The signature's file. Default: see above."
    ),
    click.option("--quiet", is_flag=True, help="Say only what went wrong."),
    click.option("--json", "as_json", is_flag=True, help="The result as one JSON object."),
)


def shared_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def rules_of(target: Path, ignore: tuple[str, ...], signature: Path, *, with_git: bool, follow_links: bool) -> Rules:
    """The signature itself never counts, wherever in the model it is."""
    if not target.exists():
        raise Unusable(f"there is no {target}")
    if signature.is_dir():
        raise Unusable(f"{signature} is a folder, and no signature")
    inside = signature.resolve().is_relative_to(target.resolve()) and target.is_dir()
    own = [signature.resolve().relative_to(target.resolve()).as_posix()] if inside else []
    try:
        return rules([*ignore, *own], with_git=with_git, follow_links=follow_links)
    except MalformedArtefact as error:
        raise Unusable(f"--ignore: {error.message}") from error


_T = TypeVar("_T")


def given(read: Callable[[Path], _T], path: Path) -> _T:
    """What `read` makes of a file that an option names. One that it cannot read is the caller's to mend."""
    try:
        return read(path)
    except (ArtefactError, DeviceError) as error:
        raise Unusable(error.message) from error


def private_key(path: Path, password: str | None) -> SigningKey:
    """Asks for a password that is needed and not given, on a terminal."""
    try:
        return given(lambda path: read_private(path, password), path)
    except InvalidRequest as error:
        if password is not None or not sys.stdin.isatty():
            raise Unusable(f"{error.message}; set {PASSWORD_ENV}") from error
    return read_private(path, click.prompt(f"Password of {path}", hide_input=True, err=True))


def digest_cache(target: Path) -> DigestCache:
    name = sha256(str(target.resolve()).encode(errors="surrogateescape")).hexdigest()[:32]
    return DigestCache(configuration.home() / "cache" / "digests" / f"{name}.msgpack")
