"""Text to tokens and back: byte-level BPE, rebuilt from a GGUF's own metadata.

Decided here: which pre-tokenisers are known (a table; an unknown one is refused: a guess tokenises wrongly without a sign),
which tokens end an answer, and that text never becomes a special token by itself. `encode` takes all text as plain; only
`encode_marked` turns the text of a special token into the token, and what users wrote reaches it shielded (see `shield.py`).

No Unicode normalisation is done, as llama.cpp does none: the model sees the bytes the user sent.
"""

import codecs
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tokenizers import Regex, Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Split
from tokenizers.pre_tokenizers import Sequence as InTurn

from freehold.core.errors import InvalidRequest, MalformedArtefact, UnsupportedArtefact

# Each regular expression splits what the one before it left; BPE never merges over a split. The names are the converters'.
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_LLAMA3 = (
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PRE_TOKENIZERS: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(("gpt-2", "mellum", "trillion"), (_GPT2,)),
    **dict.fromkeys(("llama-bpe", "llama3", "llama-v3", "falcon3"), (_LLAMA3,)),
    **dict.fromkeys(("qwen2", "deepseek-r1-qwen", "megrez"), (_LLAMA3.replace("{1,3}", ""),)),
    **dict.fromkeys(("smollm", "command-r", "minerva-7b", "refact", "starcoder"), (r"\p{N}", _GPT2)),
}
_WHOLE_WORDS_FIRST: Final = frozenset({"llama-bpe", "llama3", "llama-v3", "falcon3"})  # a word that is a token needs no merges
_BOS_BY_DEFAULT: Final = _WHOLE_WORDS_FIRST  # where the file has no `add_bos_token`

_CONTROL, _USER_DEFINED = 3, 4  # ggml's token types
# Control tokens that end a turn whatever the metadata says: many files name only one of theirs.
_TURN_ENDS: Final = frozenset(
    {"<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|eot|>", "<|end|>", "<|endoftext|>", "<|end_of_text|>", "<end_of_turn>"}
)


class BpeTokenizer:
    """Immutable; safe to share between threads."""

    def __init__(self, metadata: Mapping[str, Any], name: str) -> None:
        fields = _Fields(metadata, name)
        self.pre = _known_pre(fields)
        self._tokens: Sequence[str] = fields.texts("tokens")
        kinds = fields.kinds(len(self._tokens))
        self._control = frozenset(i for i, kind in enumerate(kinds) if kind == _CONTROL)
        self._literal = frozenset(i for i, kind in enumerate(kinds) if kind in (_CONTROL, _USER_DEFINED))
        # One character cannot be shielded by putting a mark inside it: such a token is never made from text.
        self.specials: Mapping[str, int] = {self._tokens[i]: i for i in sorted(self._literal) if len(self._tokens[i]) > 1}
        longest_first = sorted(self.specials, key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        self._bpe = _byte_level_bpe(self._tokens, fields.texts("merges"), self.pre, name)
        self._bytes: dict[int, bytes] = {}
        self.bos_id = fields.token_id("bos_token_id", len(self._tokens))
        self.eos_id = fields.token_id("eos_token_id", len(self._tokens))
        self.add_bos = self.bos_id is not None and fields.flag("add_bos_token", self.pre in _BOS_BY_DEFAULT)
        named = (self.eos_id, *(fields.token_id(key, len(self._tokens)) for key in ("eot_token_id", "eom_token_id")))
        by_text = (i for i in self._control if self._tokens[i] in _TURN_ENDS)
        self.end_ids = frozenset(i for i in (*named, *by_text) if i is not None)

    @property
    def vocabulary(self) -> int:
        return len(self._tokens)

    def text_of(self, token: int | None) -> str:
        """What a template writes for a special token."""
        return "" if token is None else self._tokens[token]

    def encode(self, text: str) -> list[int]:
        """All of `text` as plain text, without BOS. Raises InvalidRequest for lone surrogates."""
        try:
            return list(self._bpe.encode(text, add_special_tokens=False).ids)
        except (UnicodeEncodeError, TypeError) as exc:  # the library cannot see such a string as one
            raise InvalidRequest("the text has half of a surrogate pair, which is no character: send valid Unicode") from exc

    def encode_marked(self, text: str, mark: str = "") -> list[int]:
        """`text` with the texts of special tokens as those tokens. `mark`, taken out afterwards, breaks them up."""
        ids: list[int] = []
        at = 0
        for match in self._special.finditer(text):
            ids += self._plain(text[at : match.start()], mark)
            ids.append(self.specials[match.group()])
            at = match.end()
        return ids + self._plain(text[at:], mark)

    def with_bos(self, ids: list[int]) -> list[int]:
        """BOS in front where the model wants one. A template that wrote it itself gets no second one."""
        if not self.add_bos or self.bos_id is None or ids[:1] == [self.bos_id]:
            return ids
        return [self.bos_id, *ids]

    def token_bytes(self, token: int) -> bytes:
        """The bytes a token stands for in an answer; a control token stands for none."""
        found = self._bytes.get(token)
        if found is None:
            found = self._bytes[token] = self._decode(token)
        return found

    def _plain(self, text: str, mark: str) -> list[int]:
        text = text.replace(mark, "") if mark else text
        return self.encode(text) if text else []

    def _decode(self, token: int) -> bytes:
        if token in self._control or token >= len(self._tokens):
            return b""
        text = self._tokens[token]
        if token in self._literal:
            return text.encode()
        return b"".join(_BYTE_OF.get(symbol) or symbol.encode() for symbol in text)


class Detokenizer:
    """One sequence's text as it grows: never half a character, and each token looked at once."""

    def __init__(self, tokenizer: BpeTokenizer) -> None:
        self._tokenizer = tokenizer
        # Bytes that can never become a character come out as U+FFFD at once; a character begun is held until it is whole.
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def receive(self, token: int) -> str:
        return self._utf8.decode(self._tokenizer.token_bytes(token))

    def close(self) -> str:
        """What is left of a character that was never finished, as U+FFFD."""
        return self._utf8.decode(b"", final=True)


class _Fields:
    """`tokenizer.ggml.*` of a file nobody has vouched for: present and of the right kind, or an error by name."""

    def __init__(self, metadata: Mapping[str, Any], name: str) -> None:
        self._metadata = metadata
        self.name = name

    def malformed(self, key: str, what: str) -> MalformedArtefact:
        return MalformedArtefact(f"{self.name}: tokenizer.ggml.{key} {what}")

    def get(self, key: str) -> Any:
        return self._metadata.get(f"tokenizer.ggml.{key}")

    def texts(self, key: str) -> list[str]:
        value = self.get(key)
        if value is None or (isinstance(value, list) and not value):
            raise self.malformed(key, "is missing or empty")
        if not isinstance(value, list):
            raise self.malformed(key, "is not a list of strings")
        return value

    def kinds(self, count: int) -> list[int]:
        value = self.get("token_type")
        if value is None:
            return [1] * count
        if not hasattr(value, "tolist") or len(value) != count:
            raise self.malformed("token_type", f"does not have one number for each of the {count} tokens")
        return [int(kind) for kind in value.tolist()]

    def token_id(self, key: str, count: int) -> int | None:
        value = self.get(key)
        if value is None:
            return None
        if type(value) is not int or not 0 <= value < count:
            raise self.malformed(key, f"is not one of the {count} token numbers")
        return value

    def flag(self, key: str, default: bool) -> bool:
        value = self.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.malformed(key, "is not a boolean")
        return value


def _known_pre(fields: _Fields) -> str:
    model, pre = fields.get("model"), fields.get("pre")
    if not isinstance(model, str) or model != "gpt2":
        raise UnsupportedArtefact(f"{fields.name}: tokenizer model {model!r:.40} is not supported; byte-level BPE ('gpt2') is")
    if not isinstance(pre, str) or pre not in PRE_TOKENIZERS:
        known = ", ".join(PRE_TOKENIZERS)
        raise UnsupportedArtefact(
            f"{fields.name}: pre-tokenizer {pre!r:.40} is not known, and a guess would tokenise wrongly; known: {known}"
        )
    return pre


def _byte_level_bpe(tokens: Sequence[str], merges: Sequence[str], pre: str, name: str) -> Tokenizer:
    vocabulary: dict[str, int] = {}
    for i, token in enumerate(tokens):
        vocabulary.setdefault(token, i)
    pairs = [(merge[:cut], merge[cut + 1 :]) for merge in merges if (cut := merge.find(" ", 1)) > 0]
    if len(pairs) != len(merges):
        raise MalformedArtefact(f"{name}: tokenizer.ggml.merges has an entry that is not two tokens")
    try:
        bpe = Tokenizer(BPE(vocab=vocabulary, merges=pairs, ignore_merges=pre in _WHOLE_WORDS_FIRST))
    except Exception as exc:  # the library raises bare Exception
        raise MalformedArtefact(f"{name}: tokenizer.ggml.merges and tokens do not fit together: {exc!s:.120}") from exc
    splits = [Split(Regex(pattern), "isolated") for pattern in PRE_TOKENIZERS[pre]]
    bpe.pre_tokenizer = InTurn([*splits, ByteLevel(add_prefix_space=False, use_regex=False)])
    return bpe


def _byte_of() -> dict[str, bytes]:
    """GPT-2's printable stand-ins for bytes: 188 stand for themselves, the others are moved to U+0100 and up, in order."""
    kept = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    moved = [byte for byte in range(256) if byte not in kept]
    symbols = [(byte, chr(byte)) for byte in kept] + [(byte, chr(0x100 + i)) for i, byte in enumerate(moved)]
    return {symbol: bytes([byte]) for byte, symbol in symbols}


_BYTE_OF: Final = _byte_of()
