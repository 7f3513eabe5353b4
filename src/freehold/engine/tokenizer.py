"""Text to tokens and back: byte-level BPE, rebuilt from a GGUF's own metadata. SentencePiece has a module of its own.

Decided here: which pre-tokenisers are known (a table; an unknown one is refused: a guess tokenises wrongly without a sign), and
how a growing answer becomes text. Which tokens text may become at all is decided in `vocabulary`.
"""

import codecs
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from tokenizers import Regex
from tokenizers import Tokenizer as Pipeline
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Split
from tokenizers.pre_tokenizers import Sequence as InTurn

from freehold.core.errors import MalformedArtefact, UnsupportedArtefact
from freehold.engine.sentencepiece import SentencePieceTokenizer
from freehold.engine.vocabulary import Fields, Tokenizer

# Each regular expression splits what the one before it left; BPE never merges over a split. The names are the converters'.
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_LLAMA3 = (
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# What is upper and lower case is told by ASCII alone, as llama.cpp has it: its regular expressions know no other cases.
_UPPER, _LOWER = r"(?:(?=\p{L})[^a-z])", r"(?:(?=\p{L})[^A-Z])"
_CONTRACTED = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_WORD_BY_CASE = r"[^\r\n\p{L}\p{N}]?" + _UPPER + "*" + _LOWER + "+", r"[^\r\n\p{L}\p{N}]?" + _UPPER + "+" + _LOWER + "*"
_TEKKEN = "|".join(_WORD_BY_CASE) + r"|\p{N}" + _REST
_GPT_4O = "|".join(word + _CONTRACTED for word in _WORD_BY_CASE) + r"|\p{N}{1,3}" + _REST
_DEEPSEEK_3 = (
    r"\p{N}{1,3}",
    "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+",
)
PRE_TOKENIZERS: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(("gpt-2", "phi-2", "mellum", "trillion"), (_GPT2,)),
    **dict.fromkeys(("llama-bpe", "llama3", "llama-v3", "falcon3"), (_LLAMA3,)),
    **dict.fromkeys(("dbrx", "smaug-bpe"), (_LLAMA3,)),
    **dict.fromkeys(("qwen2", "deepseek-r1-qwen", "megrez"), (_LLAMA3.replace("{1,3}", ""),)),
    **dict.fromkeys(("smollm", "command-r", "minerva-7b", "refact", "starcoder"), (r"\p{N}", _GPT2)),
    "tekken": (_TEKKEN,),
    **dict.fromkeys(("gpt-4o", "llama4"), (_GPT_4O,)),
    "deepseek-v3": _DEEPSEEK_3,
}
_WHOLE_WORDS_FIRST: Final = frozenset(
    {"llama-bpe", "llama3", "llama-v3", "falcon3", "tekken"}
)  # a word that is a token needs no merges
_BOS_BY_DEFAULT: Final = _WHOLE_WORDS_FIRST  # where the file has no `add_bos_token`


class BpeTokenizer(Tokenizer):
    def __init__(self, metadata: Mapping[str, Any], name: str) -> None:
        fields = Fields(metadata, name)
        self.pre = _known_pre(fields)
        super().__init__(fields, adds_bos=self.pre in _BOS_BY_DEFAULT)
        self._bpe = _byte_level_bpe(self._tokens, fields.texts("merges"), self.pre, name)

    def _merged(self, text: str) -> list[int]:
        return list(self._bpe.encode(text, add_special_tokens=False).ids)

    def _spelled(self, token: int) -> bytes:
        return b"".join(_BYTE_OF.get(symbol) or symbol.encode() for symbol in self._tokens[token])


_TOKENIZERS: Final[Mapping[str, Callable[[Mapping[str, Any], str], Tokenizer]]] = {
    "gpt2": BpeTokenizer,
    "llama": SentencePieceTokenizer,
}


def read_tokenizer(metadata: Mapping[str, Any], name: str) -> Tokenizer:
    """The tokenizer of a file. Raises MalformedArtefact, or UnsupportedArtefact for a kind that is not known."""
    model = metadata.get("tokenizer.ggml.model")
    if not isinstance(model, str) or model not in _TOKENIZERS:
        known = "byte-level BPE ('gpt2') and SentencePiece ('llama') are"
        raise UnsupportedArtefact(f"{name}: tokenizer model {model!r:.40} is not supported; {known}")
    return _TOKENIZERS[model](metadata, name)


class Detokenizer:
    """One sequence's text as it grows: never half a character, and each token looked at once."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._drops_space = tokenizer.leading_space
        # Bytes that can never become a character come out as U+FFFD at once; a character begun is held until it is whole.
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def receive(self, token: int) -> str:
        content = self._tokenizer.token_bytes(token)
        if self._drops_space and content:
            self._drops_space = False
            content = content.removeprefix(b" ")
        return self._utf8.decode(content)

    def close(self) -> str:
        """What is left of a character that was never finished, as U+FFFD."""
        return self._utf8.decode(b"", final=True)


def _known_pre(fields: Fields) -> str:
    pre = fields.get("pre")
    if not isinstance(pre, str) or pre not in PRE_TOKENIZERS:
        known = ", ".join(PRE_TOKENIZERS)
        raise UnsupportedArtefact(
            f"{fields.name}: pre-tokenizer {pre!r:.40} is not known, and a guess would tokenise wrongly; known: {known}"
        )
    return pre


def _byte_level_bpe(tokens: Sequence[str], merges: Sequence[str], pre: str, name: str) -> Pipeline:
    vocabulary: dict[str, int] = {}
    for i, token in enumerate(tokens):
        vocabulary.setdefault(token, i)
    pairs = [(merge[:cut], merge[cut + 1 :]) for merge in merges if (cut := merge.find(" ", 1)) > 0]
    if len(pairs) != len(merges):
        raise MalformedArtefact(f"{name}: tokenizer.ggml.merges has an entry that is not two tokens")
    try:
        bpe = Pipeline(BPE(vocab=vocabulary, merges=pairs, ignore_merges=pre in _WHOLE_WORDS_FIRST))
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
