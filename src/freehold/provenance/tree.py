"""Which files of a folder make up a model: everything but what is left out by rule, and nothing that is no plain file.

What is left out is named by path, a folder with all that is below it. Links are refused unless they are to be followed; then a
linked file counts under the link's name. A linked folder is refused in any case: tools differ in whether they look into it, so
that some would sign what others never see. A device, pipe or socket is refused before it is opened: reading it may never end.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from freehold.core.errors import MalformedArtefact, os_errors
from freehold.provenance.manifest import FILES_LIMIT, check_name

GIT_PATHS = (".git", ".gitattributes", ".github", ".gitignore")
OWN_SIGNATURE = "freehold.sig"
OMS_SIGNATURE = "model.sig"
SIGNATURES = (OWN_SIGNATURE, OMS_SIGNATURE)
DEPTH_LIMIT = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """`ignored` are paths relative to the model's folder, with `/` between their parts; `kept` count whatever is ignored."""

    ignored: tuple[str, ...] = GIT_PATHS
    follow_links: bool = False
    kept: frozenset[str] = frozenset()

    def leaves_out(self, name: str) -> bool:
        return name not in self.kept and any(name == path or name.startswith(f"{path}/") for path in self.ignored)

    def keeping(self, names: Iterable[str]) -> "Rules":
        """These files and the folders on the way to them."""
        files = [PurePosixPath(name) for name in names]
        kept = frozenset(str(path) for file in files for path in (file, *file.parents))
        return replace(self, kept=kept)


def rules(ignore: Sequence[str] = (), *, with_git: bool = False, follow_links: bool = False) -> Rules:
    """Signatures beside the model are never part of it. Raises MalformedArtefact for a path that leaves the folder."""
    own = [str(PurePosixPath(path)) for path in ignore]
    for path in own:
        check_name(path)
    ignored = (*SIGNATURES, *(() if with_git else GIT_PATHS), *own)
    return Rules(ignored=tuple(dict.fromkeys(ignored)), follow_links=follow_links)


def model_files(root: Path, rule: Rules) -> list[str]:
    """A model's files, sorted by the bytes of their names. Raises MalformedArtefact for what can't be in a model, DeviceError."""
    names = sorted(_walk(root, "", rule, 0), key=str.encode)
    if len(names) > FILES_LIMIT:
        raise MalformedArtefact(f"{root} has {len(names)} files; a model has {FILES_LIMIT} at most. Leave some out with --ignore")
    return names


def _walk(folder: Path, prefix: str, rule: Rules, depth: int) -> Iterator[str]:
    if depth > DEPTH_LIMIT:
        raise MalformedArtefact(f"{folder} is more than {DEPTH_LIMIT} folders deep")
    with os_errors(f"cannot read {folder}"), os.scandir(folder) as entries:
        found = list(entries)
    for entry in found:
        name = f"{prefix}{entry.name}"
        if rule.leaves_out(name):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path), f"{name}/", rule, depth + 1)
        else:
            check_name(name)
            check_plain(Path(entry.path), follow_links=rule.follow_links)
            yield name


def check_plain(path: Path, *, follow_links: bool = False) -> os.stat_result:
    """The status of a file that may be in a model, or why it may not be."""
    with os_errors(f"cannot read {path}", MalformedArtefact):
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            if not follow_links:
                raise MalformedArtefact(f"{path} is a link; say --follow-links to take what it points to, or --ignore it")
            status = path.stat()
            if stat.S_ISDIR(status.st_mode):
                raise MalformedArtefact(
                    f"{path} is a link to a folder, which is not followed; --ignore it, or copy the folder here"
                )
    if not stat.S_ISREG(status.st_mode):
        raise MalformedArtefact(f"{path} is not a regular file; links and devices are not signed")
    return status
