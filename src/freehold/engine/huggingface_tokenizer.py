"""Reads a tokenizer.json and its companions into the `tokenizer.*` metadata that a GGUF file of the same model has.

Two kinds are known: byte-level BPE, whose way of splitting text must be one that `tokenizer` knows, and SentencePiece's BPE with
byte fallback. The latter's pieces lost their scores on the way; the order of merges gives them back: a piece's score is that of
the first merge that makes it. Anything else is refused by name: a guess tokenises wrongly without a sign.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from freehold.core.errors import MalformedArtefact, UnsupportedArtefact
from freehold.engine.sentencepiece import SPACE
from freehold.engine.tokenizer import PRE_TOKENIZERS
from freehold.engine.vocabulary import BYTE, CONTROL, NORMAL, UNKNOWN, UNUSED, USER_DEFINED

MAX_TOKENS: Final = 1 << 20

_REST: Final = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_CONTRACTIONS: Final = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
_CASES: Final = tuple(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]" + upper + r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]" + lower
    for upper, lower in ("*+", "+*")
)
_SLASHED: Final = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_BY_LEVEL: Final = "ByteLevel"  # splits as GPT-2 did
# What tokenizer.json splits text by, step by step -> the name that converters have for it. Whole words first or not is beside it.
_PRE: Final[Mapping[tuple[str, ...], str]] = {
    (_CONTRACTIONS + r"|\p{N}{1,3}" + _REST,): "dbrx",
    (_CONTRACTIONS + r"|\p{N}" + _REST,): "qwen2",
    ("|".join(_CASES) + r"|\p{N}" + _SLASHED,): "tekken",
    ("|".join(case + r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?" for case in _CASES) + r"|\p{N}{1,3}" + _SLASHED,): "gpt-4o",
    PRE_TOKENIZERS["deepseek-v3"]: "deepseek-v3",
    (_BY_LEVEL,): "gpt-2",
    ("Digits", _BY_LEVEL): "smollm",
}
_WHOLE_WORDS_FIRST: Final = {"dbrx": "llama-bpe", "tekken": "tekken"}


def tokenizer_metadata(
    document: Mapping[str, Any], companions: Mapping[str, Mapping[str, Any]], rows: int, name: str
) -> dict[str, Any]:
    """`document` is tokenizer.json; `companions` are config.json, tokenizer_config.json and generation_config.json, by name.

    The vocabulary is filled up to `rows`, those of the embedding, with tokens that nothing becomes.
    """
    return _Reader(document, companions, rows, name).read()


class _Reader:
    def __init__(self, document: Mapping[str, Any], companions: Mapping[str, Mapping[str, Any]], rows: int, name: str) -> None:
        self._document, self._companions, self._rows, self._name = document, companions, rows, name
        self._model = self._map(document, "model")
        if self._model.get("type", "BPE") != "BPE":
            raise self._unsupported(f"has a {self._model.get('type')!r:.40} model; BPE is supported")
        self._falls_back = self._model.get("byte_fallback") is True

    def read(self) -> dict[str, Any]:
        self._refuse_other_text()
        tokens, kinds = self._tokens()
        merges = self._merges()
        found: dict[str, Any] = {"tokens": tokens, "token_type": np.array(kinds, np.int32)}
        if self._falls_back:
            found |= {"model": "llama", "scores": _scores(tokens, merges), "add_space_prefix": self._adds_space()}
        else:
            found |= {"model": "gpt2", "pre": self._pre(), "merges": [" ".join(merge) for merge in merges]}
            if any(" " in part for merge in merges for part in merge):
                raise self._malformed("merges has a token with a space in it, which a byte-level vocabulary cannot have")
        found |= self._special_ids(tokens)
        metadata = {f"tokenizer.ggml.{key}": value for key, value in found.items()}
        template = self._template()
        return metadata | ({} if template is None else {"tokenizer.chat_template": template})

    # ---- vocabulary -----------------------------------------------------------------------------------------

    def _tokens(self) -> tuple[list[str], list[int]]:
        vocabulary = self._map(self._model, "vocab")
        added = self._list(self._document, "added_tokens")
        unknown = self._model.get("unk_token")
        by_id: dict[int, tuple[str, int]] = {}
        for text, number in vocabulary.items():
            is_byte = self._falls_back and len(text) == 6 and text.startswith("<0x") and text.endswith(">")
            by_id[self._id(number)] = text, BYTE if is_byte else UNKNOWN if text == unknown else NORMAL
        for token in added:
            content = token.get("content") if isinstance(token, dict) else None
            if not isinstance(content, str) or not content:
                raise self._malformed("added_tokens has an entry without content")
            kind = UNKNOWN if content == unknown else CONTROL if token.get("special") is True else USER_DEFINED
            by_id[self._id(token.get("id"))] = content, kind
        filled = [by_id.get(i, (f"[PAD{i}]", UNUSED)) for i in range(self._rows)]
        return [text for text, _ in filled], [kind for _, kind in filled]

    def _id(self, number: Any) -> int:
        if type(number) is not int or not 0 <= number < min(self._rows, MAX_TOKENS):
            raise self._malformed(f"vocab has the token number {number!r:.40}; the embedding has {self._rows} rows")
        return number

    def _merges(self) -> list[tuple[str, str]]:
        merges: list[tuple[str, str]] = []
        for entry in self._list(self._model, "merges"):
            pair = tuple(entry.split(" ")) if isinstance(entry, str) else tuple(entry) if isinstance(entry, list) else ()
            if len(pair) != 2 or not all(isinstance(part, str) and part for part in pair):
                raise self._malformed("merges has an entry that is not two tokens")
            merges.append(pair)
        return merges

    def _refuse_other_text(self) -> None:
        """Steps that would change text before it is split, or split it where pieces could still merge."""
        known = ("Prepend", "Replace") if self._falls_back else ("NFC",)  # we send what was written; Qwen's differs in NFD alone
        for step in self._steps("normalizer", "normalizers"):
            is_space = step.get("type") != "Replace" or (step.get("pattern"), step.get("content")) == ({"String": " "}, SPACE)
            if step.get("type") not in known or not is_space:
                raise self._unsupported(f"changes text by {step.get('type')!r:.40}")
        for step in self._steps("pre_tokenizer", "pretokenizers") if self._falls_back else ():
            is_space = step.get("type") == "Split" and step.get("pattern") == {"String": " "}  # of which none is left
            if step.get("type") != "Metaspace" and not is_space:
                raise self._unsupported(f"splits pieces by {step.get('type')!r:.40}")

    def _adds_space(self) -> bool:
        """Text gets a space in front: said by a normalizer that prepends one, or by a Metaspace."""
        for step in self._steps("normalizer", "normalizers"):
            if step.get("type") == "Prepend":
                return True
        for step in self._steps("pre_tokenizer", "pretokenizers"):
            if step.get("type") == "Metaspace":
                scheme = step.get("prepend_scheme", "always" if step.get("add_prefix_space", True) else "never")
                return bool(scheme != "never")
        return False

    def _pre(self) -> str:
        steps = tuple(self._split_by(step) for step in self._steps("pre_tokenizer", "pretokenizers"))
        way = tuple(step for step in steps if step)
        pre = _PRE.get(way)
        if pre is None:
            shown = ", then ".join(ascii(step)[:200] for step in way) or "nothing"
            raise self._unsupported(f"splits text in a way that is not known: by {shown}")
        return _WHOLE_WORDS_FIRST.get(pre, pre) if self._model.get("ignore_merges") is True else pre

    def _split_by(self, step: Mapping[str, Any]) -> str | None:
        """What a step splits by; None where it only renames bytes."""
        kind = step.get("type")
        if kind == "Split" and step.get("behavior") == "Isolated" and not step.get("invert"):
            pattern = step.get("pattern")
            found = pattern.get("Regex") if isinstance(pattern, dict) else None
            return found if isinstance(found, str) else "a Split"
        if kind == "Digits" and step.get("individual_digits") is True:
            return "Digits"
        if kind == "ByteLevel" and not step.get("add_prefix_space"):
            return _BY_LEVEL if step.get("use_regex", True) else None
        return str(kind)

    def _steps(self, key: str, parts: str) -> Iterator[Mapping[str, Any]]:
        """A normalizer or pre-tokenizer, or each of the sequence that it is."""
        step = self._document.get(key)
        if step is None:
            return
        if not isinstance(step, dict):
            raise self._malformed(f"{key} is not an object")
        for part in self._list(step, parts) if step.get("type") == "Sequence" else [step]:
            if not isinstance(part, dict):
                raise self._malformed(f"{key} has a step that is not an object")
            yield part

    # ---- special tokens -------------------------------------------------------------------------------------

    def _special_ids(self, tokens: list[str]) -> dict[str, Any]:
        numbers = {text: i for i, text in enumerate(tokens)}
        found: dict[str, Any] = {}
        ends: list[int] = []
        for part in ("bos", "eos"):
            named = [self._named(f"{part}_token", numbers), *self._numbered(f"{part}_token_id", len(tokens))]
            ids = list(dict.fromkeys(i for i in named if i is not None))
            if ids:
                found[f"{part}_token_id"] = ids[0]
            if part == "eos":
                ends = ids[1:]
        # A GGUF has three places for what ends an answer.
        found |= dict(zip(("eot_token_id", "eom_token_id"), ends, strict=False))
        if (unknown := numbers.get(str(self._model.get("unk_token")))) is not None:
            found["unknown_token_id"] = unknown
        adds = self._companions["tokenizer_config.json"].get("add_bos_token")
        found["add_bos_token"] = adds if isinstance(adds, bool) else self._template_adds_bos(tokens, found.get("bos_token_id"))
        return found

    def _named(self, key: str, numbers: Mapping[str, int]) -> int | None:
        token = self._companions["tokenizer_config.json"].get(key)
        text = token.get("content") if isinstance(token, dict) else token
        return numbers.get(text) if isinstance(text, str) else None

    def _numbered(self, key: str, count: int) -> list[int]:
        values = [self._companions[file].get(key) for file in ("generation_config.json", "config.json")]
        numbers = [number for value in values for number in (value if isinstance(value, list) else [value])]
        return [number for number in numbers if type(number) is int and 0 <= number < count]

    def _template_adds_bos(self, tokens: list[str], bos: int | None) -> bool:
        """tokenizer.json's own template for one text begins with the token."""
        for step in self._steps("post_processor", "processors"):
            single = step.get("single") if step.get("type") == "TemplateProcessing" else None
            first = single[0] if isinstance(single, list) and single else None
            special = first.get("SpecialToken") if isinstance(first, dict) else None
            if bos is not None and isinstance(special, dict) and special.get("id") == tokens[bos]:
                return True
        return False

    def _template(self) -> str | None:
        value = self._companions["tokenizer_config.json"].get("chat_template")
        if isinstance(value, list):
            named = {entry.get("name"): entry.get("template") for entry in value if isinstance(entry, dict)}
            value = named.get("default")
        return value if isinstance(value, str) else None

    # ---- documents ------------------------------------------------------------------------------------------

    def _unsupported(self, what: str) -> UnsupportedArtefact:
        return UnsupportedArtefact(f"{self._name}: tokenizer.json {what}")

    def _malformed(self, what: str) -> MalformedArtefact:
        return MalformedArtefact(f"{self._name}: tokenizer.json: {what}")

    def _map(self, document: Mapping[str, Any], key: str) -> dict[str, Any]:
        value = document.get(key)
        if not isinstance(value, dict):
            raise self._malformed(f"{key} is not an object")
        return value

    def _list(self, document: Mapping[str, Any], key: str) -> list[Any]:
        value = document.get(key, [])
        if not isinstance(value, list):
            raise self._malformed(f"{key} is not a list")
        return value


def _scores(tokens: list[str], merges: list[tuple[str, str]]) -> Any:
    """Higher is earlier. What no merge makes comes last: only a single character may be such a piece, and that needs no score."""
    first: dict[str, int] = {}
    for rank, (left, right) in enumerate(merges):
        first.setdefault(left + right, rank)
    return np.array([-float(first.get(token, len(merges))) for token in tokens], np.float32)
