"""Inline files: what a base64 string or a `data:` URL holds is read, and passes the guard as the text it is.

    text (UTF-8, or UTF-16 with its mark)   scanned whole; where something is hidden, encoded again
    docx, xlsx, pptx, odt, ...              their XML is scanned; where something must be hidden, the exchange is blocked, as a
                                            package that was changed by us is none its maker would vouch for
    PDF                                     what it says in the open or deflated is scanned, blocked likewise; as fonts may say
                                            it in codes of their own, it counts as not read, too
    images, sound, films                    can't be read: "unscanned-media", recorded and passed unless policy says otherwise
    anything else, and what is broken       can't be read: "unscanned-file", blocked unless policy says otherwise

Kinds are told by content, never by the name or type somebody gave them. All reading is bounded; beyond a bound nothing was read.
"""

import base64
import binascii
import html
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from freehold.core.events import Blocked, Event, Found, PromptText
from freehold.core.findings import Action, Channel, Direction, Verdict
from freehold.core.stage import Stage, steps
from freehold.guard.ruling import Hit, RulingTable, findings_of
from freehold.guard.seal import Seal

SHORT_CHARS = 64  # what is encoded in fewer the detectors read themselves
MEMBERS_LIMIT = 4096  # of a package; a deck of 300 slides has about 2,000
UNPACKED_LIMIT_BYTES = 64 << 20  # twice the largest body, as default: beyond it somebody packed zeros

UNREAD = MEDIA, DOCUMENT, OTHER = "unscanned-media", "unscanned-document", "unscanned-file"

_DATA_URL = re.compile(r"data:([^,\s]{0,256}),", re.IGNORECASE)
_BLANKS = str.maketrans("", "", " \t\r\n")
_URL_SAFE = str.maketrans("-_", "+/")
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/_=\s-]")
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")

_MEDIA_HEADS = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",  # JPEG
    b"GIF87a",
    b"GIF89a",
    b"BM",
    b"II*\x00",  # TIFF
    b"MM\x00*",
    b"\x00\x00\x01\x00",  # ICO
    b"ID3",  # MP3
    b"\xff\xfb",
    b"\xff\xf3",
    b"\xff\xf2",
    b"\xff\xf1",  # AAC
    b"\xff\xf9",
    b"OggS",
    b"fLaC",
    b"\x1aE\xdf\xa3",  # Matroska, WebM
    b"\x00\x00\x01\xba",  # MPEG
    b"FORM",  # AIFF
)
_RIFF_KINDS = (b"WEBP", b"WAVE", b"AVI ")
_PDF_HEAD = b"%PDF-"
_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # also an encrypted docx
_PACKAGES = ("[Content_Types].xml", "META-INF/manifest.xml", "mimetype")


class _Unreadable(Exception):
    """Not what its head says, or beyond a bound."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What a file says. `encode` puts changed text back, where that can be done; `unread` names what can't be vouched for."""

    texts: tuple[str, ...] = field(repr=False, default=())
    encode: Callable[[str], str] | None = None
    unread: str | None = None


class FileStage:
    """A `Stage` about the guard's stages: of a text that is a file, they get what the file says."""

    def __init__(
        self,
        inner: Stage,
        subjects: Sequence[str],
        first: int,
        table: RulingTable,
        direction: Direction,
        policy_digest: str,
        seal: Seal,
    ) -> None:
        """`subjects` are the kinds of unread files, with their rulings in `table` from number `first` on."""
        self._inner = inner
        self._on_inner: Callable[[Event], list[Event]] = inner.receive
        self._subjects, self._first, self._table = subjects, first, table
        self._direction, self._policy_digest, self._seal = direction, policy_digest, seal
        self._has_blocked = False

    def receive(self, event: Event) -> list[Event]:
        if not isinstance(event, PromptText) or not _may_be_file(event):
            return self._on_inner(event)
        return [out for step in self.steps(event) for out in step or ()]

    def steps(self, event: Event) -> Iterator[list[Event] | None]:
        """Implements `core.stage.Stepwise`. Reading a file is one step, and a long one."""
        if self._has_blocked:
            yield self._on_inner(event)
            return
        opened = None
        if isinstance(event, PromptText) and _may_be_file(event):
            yield None
            opened = open_file(event.text, is_file=event.channel is Channel.FILE)
            yield []
        if opened is None or not isinstance(event, PromptText):
            yield from steps(self._inner, event)
        else:
            yield from self._file(event, opened)

    def close(self) -> list[Event]:
        held = self._inner.close()
        return [] if self._has_blocked else held

    def _file(self, event: PromptText, opened: Opened) -> Iterator[list[Event] | None]:
        out: list[Event] = []
        if opened.unread is not None:
            out += self._unread(event, opened.unread)
        text = event.text
        for said in opened.texts:
            passed: list[Event] = []
            for step in steps(self._inner, PromptText(leaf=event.leaf, channel=Channel.FILE, text=said, tool=event.tool)):
                passed += step or ()
                yield None if step is None else []
            notes, changed = _notes_and_change(passed, said)
            if changed is not None and opened.encode is not None:
                text = opened.encode(changed)
            elif changed is not None:
                notes = [_as_blocked(note) for note in notes]
            out += notes
        out.append(replace(event, text=text))
        yield self._up_to_blocked(out)

    def _unread(self, event: PromptText, kind: str) -> list[Event]:
        ruling = self._table.of(Channel.FILE, event.tool)[self._first + self._subjects.index(kind)]
        if ruling is None:
            return []
        hit = Hit(0, len(event.text), ruling, self._seal.digest(event.text))
        return [Found(finding=finding) for finding in findings_of(hit, self._direction, Channel.FILE, event.leaf)]

    def _up_to_blocked(self, out: list[Event]) -> list[Event]:
        stopping = tuple(e.finding for e in out if isinstance(e, Found) and e.finding.enforced is Action.BLOCK)
        if not stopping:
            return out
        self._has_blocked, self._on_inner = True, _nothing
        verdict = Verdict(action=Action.BLOCK, policy_digest=self._policy_digest, findings=stopping)
        return [*(event for event in out if isinstance(event, Found)), Blocked(verdict=verdict)]


def _may_be_file(event: PromptText) -> bool:
    return event.channel is Channel.FILE or event.text[:5].lower() == "data:"


def _notes_and_change(passed: Sequence[Event], said: str) -> tuple[list[Event], str | None]:
    """(what is for the record, the text where it was changed)."""
    notes: list[Event] = []
    changed: str | None = None
    for out in passed:
        if not isinstance(out, PromptText):
            notes.append(out)
        elif out.text != said:
            changed = out.text
    return notes, changed


def _nothing(_: Event) -> list[Event]:
    """What is sent after what policy blocks."""
    return []


def _as_blocked(note: Event) -> Event:
    """What was to be hidden in a file that can't be written anew."""
    if not isinstance(note, Found) or note.finding.enforced not in (Action.MASK, Action.TOKENISE):
        return note
    return Found(finding=replace(note.finding, action=Action.BLOCK))


def open_file(text: str, *, is_file: bool) -> Opened | None:
    """What the string `text` holds; None where it is nothing but text. `is_file`: its place says it is a file's."""
    url = _DATA_URL.match(text)
    if url is not None:
        if not url[1].lower().rstrip().endswith(";base64"):
            return None  # percent-encoded text: scanned like any other
        return _opened(text[url.end() :], text[: url.end()])
    if not is_file or _is_plain(text):
        return None
    return _opened(text, "")


def _is_plain(text: str) -> bool:
    """Whether nobody would take `text` for a file in base64: it has words and stops, or is as short as an id or a media type."""
    start = text[:4096]
    blanks = sum(start.count(blank) for blank in " \t")
    return len(text) < SHORT_CHARS or len(_NOT_BASE64.findall(start)) * 50 > len(start) or blanks * 50 > len(start)


def _opened(payload: str, head: str) -> Opened:
    data = _decoded(payload)
    return Opened(unread=OTHER) if data is None else _read(data, head, payload)


def _decoded(payload: str) -> bytes | None:
    """None for what a lenient reader might read otherwise than we do."""
    plain = payload.translate(_BLANKS).translate(_URL_SAFE).rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _read(data: bytes, head: str, payload: str) -> Opened:
    try:
        if data.startswith(_PDF_HEAD) or _PDF_HEAD in data[:1024]:
            return Opened(texts=(_pdf_text(data),), unread=DOCUMENT)
        if data.startswith(b"PK\x03\x04"):
            return Opened(texts=_package_texts(data))
    except _Unreadable:
        return Opened(unread=OTHER)
    if data.startswith(_OLD_OFFICE):
        return Opened(unread=OTHER)
    if (said := _as_text(data)) is not None:
        text, codec, mark = said
        is_url_safe = "-" in payload or "_" in payload
        return Opened(texts=(text,), encode=lambda changed: head + _encoded(mark + changed.encode(codec), url_safe=is_url_safe))
    return Opened(unread=MEDIA if _is_media(data) else OTHER)


def _encoded(data: bytes, *, url_safe: bool) -> str:
    return (base64.urlsafe_b64encode if url_safe else base64.b64encode)(data).decode("ascii")


def _as_text(data: bytes) -> tuple[str, str, bytes] | None:
    """(text, its encoding, its byte order mark)."""
    for mark, codec in ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"), (b"", "utf-8")):
        if data.startswith(mark):
            try:
                text = data[len(mark) :].decode(codec)
            except UnicodeDecodeError:
                return None
            return None if _CONTROLS.search(text) else (text, codec, mark)
    return None


def _is_media(data: bytes) -> bool:
    if data.startswith(_MEDIA_HEADS):
        return True
    if data.startswith(b"RIFF"):
        return data[8:12] in _RIFF_KINDS
    return data[4:8] == b"ftyp"  # MP4, M4A, HEIC, AVIF


def _package_texts(data: bytes) -> tuple[str, ...]:
    """What the members of an office package say. Raises _Unreadable for any other archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            members = package.infolist()
            names = {member.filename for member in members}
            if names.isdisjoint(_PACKAGES) or len(members) > MEMBERS_LIMIT:
                raise _Unreadable
            if any(member.flag_bits & 1 for member in members):  # encrypted
                raise _Unreadable
            if sum(member.file_size for member in members) > UNPACKED_LIMIT_BYTES:
                raise _Unreadable
            return tuple(_member_text(package, member) for member in members if not member.is_dir())
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, OSError, EOFError, ValueError, RuntimeError) as exc:
        raise _Unreadable from exc


def _member_text(package: zipfile.ZipFile, member: zipfile.ZipInfo) -> str:
    with package.open(member) as stream:
        data = stream.read(member.file_size + 1)  # zipfile reads no more than the directory says, and checks the sum
    if member.filename.lower().endswith((".xml", ".rels", ".txt", ".csv", ".html", ".json", ".md", ".svg", ".vml")):
        said = _as_text(data)
        if said is None:
            raise _Unreadable
        return _without_tags(said[0])
    if _is_media(data) or member.filename == "mimetype" or data.startswith((b"\x01\x00\x00\x00", b"\xd7\xcd\xc6\x9a")):
        return ""  # pictures, Windows metafiles among them
    if (said := _as_text(data)) is not None:
        return said[0]
    if _is_font_or_setting(member.filename):
        return ""
    raise _Unreadable  # a macro, an archive in the archive


def _is_font_or_setting(name: str) -> bool:
    return name.lower().endswith((".odttf", ".fntdata", ".ttf", ".otf", ".bin", ".wdp"))


_BREAK = re.compile(
    r"</(?:w:p|a:p|w:tr|si|row|c|text:p|text:h|table:table-cell|dc:\w+|cp:\w+|Relationship)>|<(?:w:br|w:tab|a:br)\b[^<>]*>|<Relationship\b"
)
_TAG = re.compile(r"<[^<>]*>")
_TARGET = re.compile(r"(?:Target|href|descr|alt|title|w:author|val)=\"([^\"]{1,4096})\"")


def _without_tags(xml: str) -> str:
    """What a reader sees, runs of one paragraph joined; and links, descriptions and names."""
    targets = [found[1] for found in _TARGET.finditer(xml)]
    return html.unescape("\n".join([_TAG.sub("", _BREAK.sub("\n", xml)), *targets]))


_STREAM = re.compile(rb"stream\r?\n")
_PDF_STRING = re.compile(rb"\(((?:[^()\\]|\\.){0,65536})\)|<([0-9A-Fa-f\s]{2,65536})>|(T[dDm*]|ET|'|\")(?=\s)", re.DOTALL)
_PDF_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.|\r?\n)", re.DOTALL)
_PDF_SIMPLE = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


def _pdf_text(data: bytes) -> str:
    """The strings of a PDF, those of its deflated streams among them, as far as they are written in plain codes.

    Raises _Unreadable for one that is encrypted or unpacks without end.
    """
    if b"/Encrypt" in data:
        raise _Unreadable
    outside, said, left = list[bytes](), list[str](), UNPACKED_LIMIT_BYTES
    at = 0
    while (begin := _STREAM.search(data, at)) is not None:
        end = data.find(b"endstream", begin.end())
        end = end if end >= 0 else len(data)
        outside.append(data[at : begin.start()])
        unpacked = _inflated(data[begin.end() : end], left)
        left -= len(unpacked)
        if left <= 0:
            raise _Unreadable
        said.append(_pdf_strings(unpacked))
        at = end + len(b"endstream")
    return "\n".join(filter(None, [_pdf_strings(b"\n".join([*outside, data[at:]])), *said]))


def _inflated(raw: bytes, limit: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(raw, limit)
    except zlib.error:
        return b"" if _is_media(raw) else raw[:limit]


def _pdf_strings(content: bytes) -> str:
    """Strings of one line joined, as kerning takes words apart."""
    out: list[bytes] = []
    for found in _PDF_STRING.finditer(content):
        if found[3] is not None:
            out.append(b"\n")
        elif found[2] is not None:
            out.append(_from_hex(found[2]))
        else:
            out.append(_PDF_ESCAPE.sub(_unescaped, found[1]))
    return b"".join(out).decode("latin-1")


def _from_hex(digits: bytes) -> bytes:
    plain = bytes(digits.translate(None, b" \t\r\n\f"))
    text = bytes.fromhex(plain[: len(plain) // 2 * 2].decode("ascii"))
    return text[1::2] if text[::2].count(0) * 2 == len(text) else text  # two bytes a character


def _unescaped(found: re.Match[bytes]) -> bytes:
    code = found[1]
    if code[:1].isdigit():
        return bytes([int(code, 8) & 0xFF])
    return _PDF_SIMPLE.get(code, b"" if code in (b"\n", b"\r\n") else code)
