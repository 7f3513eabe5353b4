"""What a signature says of a model's files, and whether that is what is there.

Our manifest and OpenSSF Model Signing differ in how they write it down; what is compared is the same. Everything that is wrong is
told at once, each file by its name. A file that has what was signed under another name is told so: swapped and renamed files are
not damaged ones. Nothing is passed over in silence: a file that nobody signed is wrong unless it was left out by a rule.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from freehold.core.errors import InvalidRequest, VerificationError
from freehold.core.models import Manifest
from freehold.provenance.digest_cache import DigestCache
from freehold.provenance.pieces import BLOCKS, FileDigests, Recipe, hash_files
from freehold.provenance.progress import Progress, counted
from freehold.provenance.tree import Rules, check_plain, model_files

TOLD = 10  # problems in a message; the report has them all


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedFile:
    """A file's digests by the recipe. The size is not known of files that were hashed as a whole."""

    digests: tuple[bytes, ...] = field(repr=False)
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """`ignored` and `follow_links` are what the signer's rules were, where the format keeps them."""

    name: str
    recipe: Recipe
    files: Mapping[str, SignedFile]
    ignored: tuple[str, ...] = ()
    follow_links: bool = False


def contents_of(manifest: Manifest) -> Contents:
    files = {f.name: SignedFile(digests=f.leaves, size_bytes=f.size_bytes) for f in manifest.files}
    return Contents(name=manifest.name, recipe=BLOCKS, files=files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """The files of a model as they lie on the disk, by name."""

    place: Path
    paths: Mapping[str, Path]
    sizes: Mapping[str, int]  # bytes, as they were found
    follow_links: bool

    @property
    def name(self) -> str:
        return self.place.resolve().name


def locate(target: Path, rule: Rules, *, one_file: str | None = None) -> Located:
    """A folder's files, or the one file, which is called `one_file` where the format has a word for it."""
    is_folder = target.is_dir()
    paths = {n: target / n for n in model_files(target, rule)} if is_folder else {one_file or target.name: target}
    sizes = {name: check_plain(path, follow_links=rule.follow_links).st_size for name, path in paths.items()}
    return Located(place=target, paths=paths, sizes=sizes, follow_links=rule.follow_links)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    file: str
    what: str


class NotAsSigned(VerificationError):
    """The files are not those that were signed."""

    def __init__(self, name: str, problems: Sequence[Problem]) -> None:
        told = "; ".join(f"{one.file}: {one.what}" for one in problems[:TOLD])
        more = f"; and {len(problems) - TOLD} more" if len(problems) > TOLD else ""
        super().__init__(f"{name} is not as it was signed: {told}{more}")
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was compared and is as it was signed. `unsigned` were allowed to be there, `trusted` were not read this time."""

    files: tuple[str, ...]
    of_files: int
    read_bytes: int
    unsigned: tuple[str, ...]
    trusted: tuple[str, ...]


def check_contents(
    located: Located,
    contents: Contents,
    progress: Progress,
    *,
    only: Sequence[str] = (),
    allow_extra: bool = False,
    cache: DigestCache | None = None,
) -> Checked:
    """Raises NotAsSigned with all that is wrong; InvalidRequest where `only` matches nothing that was signed.

    With `only`, a glob over names in which `*` matches `/` as well, other files are not looked at. A `cache` is believed.
    """
    wanted = _chosen(contents.files, only)
    if not wanted:
        raise InvalidRequest(f"none of the {len(contents.files)} signed files is called {', '.join(only)}", param="only")
    extra = tuple(name for name in _chosen(located.paths, only) if name not in contents.files)
    problems = list(_misplaced(located, contents, wanted, () if allow_extra else extra, progress))
    if problems:
        raise NotAsSigned(located.name, problems)
    hashed, trusted = digest_files(located, wanted, contents.recipe, progress, cache=cache)
    problems = [p for name in wanted for p in _changed(hashed[name], contents)]
    if problems:
        raise NotAsSigned(located.name, problems)
    read_bytes = sum(one.size_bytes for name, one in hashed.items() if name not in trusted)
    return Checked(files=wanted, of_files=len(contents.files), read_bytes=read_bytes, unsigned=extra, trusted=trusted)


def digest_files(
    located: Located, names: Collection[str], recipe: Recipe, progress: Progress, *, cache: DigestCache | None = None
) -> tuple[dict[str, FileDigests], tuple[str, ...]]:
    """The digests of files by name, and the names of those that were taken from the cache."""
    found: dict[str, FileDigests] = {}
    for name in names:
        if cache is not None and (known := cache.get(name, located.paths[name], recipe)) is not None:
            found[name] = known
    trusted = tuple(found)
    paths = [(name, located.paths[name]) for name in names if name not in found]
    if paths:
        progress.step(f"hashing {located.name}", sum(located.sizes[name] for name, _ in paths))
    for one in hash_files(paths, recipe, follow_links=located.follow_links, advanced=counted(progress)):
        found[one.name] = one
        if cache is not None:
            cache.put(one, recipe)
    return found, trusted


def _chosen(names: Collection[str], only: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in names if not only or any(fnmatchcase(name, glob) for glob in only))


def _misplaced(
    located: Located, contents: Contents, wanted: Sequence[str], extra: Sequence[str], progress: Progress
) -> Iterator[Problem]:
    """What shows without reading the files: missing ones, ones too many, and sizes. Only those that could be another file are
    read."""
    sizes = located.sizes
    missing = [name for name in wanted if name not in sizes]
    resized = [name for name in wanted if name in sizes and contents.files[name].size_bytes not in (None, sizes[name])]
    if not contents.recipe.count(0):  # an empty file has no digest, so nobody could sign it
        extra = [name for name in extra if sizes[name]]
    known_bytes = {file.size_bytes for file in contents.files.values()}
    strange = [name for name in (*resized, *extra) if {sizes[name], None} & known_bytes]
    hashed, _ = digest_files(located, strange, contents.recipe, progress)
    for name in missing:
        yield Problem(file=name, what="was signed and is not there")
    for name in resized:
        was = contents.files[name].size_bytes or 0
        more = f"has {sizes[name]} bytes, {was} were signed{': it was cut short' if sizes[name] < was else ''}"
        yield Problem(file=name, what=_signed_as(hashed.get(name), contents) or more)
    for name in extra:
        yield Problem(file=name, what=_signed_as(hashed.get(name), contents) or "is there and was not signed")


def _changed(hashed: FileDigests, contents: Contents) -> Iterator[Problem]:
    signed = contents.files[hashed.name]
    if hashed.digests == signed.digests:
        return
    what = _signed_as(hashed, contents)
    if what is None:
        piece_bytes = contents.recipe.piece_bytes
        pairs = enumerate(zip(hashed.digests, signed.digests, strict=False))
        first = next((index for index, (is_now, was) in pairs if is_now != was), None)
        where = "" if piece_bytes is None or first is None else f" from byte {first * piece_bytes} on"
        is_header = first == 0 and hashed.name.lower().endswith(".gguf")
        header = " (a GGUF file's header, with its chat template, is there)" if is_header else ""
        what = f"was changed{where}{header}"
    yield Problem(file=hashed.name, what=what)


def _signed_as(hashed: FileDigests | None, contents: Contents) -> str | None:
    """In words, under which other name this content was signed."""
    if hashed is None or not hashed.digests:
        return None
    names = [name for name, file in contents.files.items() if file.digests == hashed.digests and name != hashed.name]
    return f"has what was signed as {names[0]}" if names else None
