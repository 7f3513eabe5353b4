import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from freehold.core.errors import InvalidRequest, MalformedArtefact
from freehold.engine.sentencepiece import SPACE, SentencePieceTokenizer
from freehold.engine.tokenizer import Detokenizer, read_tokenizer
from freehold.engine.vocabulary import Literals

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "tokenizer_pieces.json").read_text())
MARK = "\U00100000"


def tokenizer(**changes: Any) -> SentencePieceTokenizer:
    metadata = {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": VECTORS["tokens"],
        "tokenizer.ggml.scores": np.array(VECTORS["scores"], np.float32),
        "tokenizer.ggml.token_type": np.array(VECTORS["kinds"], np.int32),
    } | {f"tokenizer.ggml.{name}": value for name, value in changes.items()}
    found = read_tokenizer({key: value for key, value in metadata.items() if value is not None}, "pieces")
    assert isinstance(found, SentencePieceTokenizer)
    return found


PIECES = tokenizer()


def answer(tokenizer: SentencePieceTokenizer, tokens: list[int]) -> str:
    detokenizer = Detokenizer(tokenizer)
    return "".join(detokenizer.receive(token) for token in tokens) + detokenizer.close()


def by_hand(text: str) -> list[int]:
    """The merge with the highest score, the leftmost of equals, again and again: slow and plain."""
    kinds = dict(zip(VECTORS["tokens"], VECTORS["kinds"], strict=True))
    ids = {token: i for i, token in enumerate(VECTORS["tokens"]) if kinds[token] == 1}
    symbols = list(SPACE + text.replace(" ", SPACE))
    while True:
        pairs = enumerate(itertools.pairwise(symbols))
        unions = [(-VECTORS["scores"][ids[left + right]], i) for i, (left, right) in pairs if left + right in ids]
        if not unions:
            break
        _, i = min(unions)
        symbols[i : i + 2] = [symbols[i] + symbols[i + 1]]
    first_byte = VECTORS["tokens"].index("<0x00>")
    found = ([ids[symbol]] if symbol in ids else [first_byte + byte for byte in symbol.encode()] for symbol in symbols)
    return list(itertools.chain.from_iterable(found))


def test_tokens_are_llama_cpps_own() -> None:
    for vector in VECTORS["vectors"]:
        assert PIECES.encode(vector["text"]) == vector["plain"], vector["text"]
        assert PIECES.encode_marked(vector["text"]) == (vector["marked"] or vector["plain"]), vector["text"]


@settings(max_examples=200)
@given(st.text(alphabet="etaoin a<>x1é世\x01", min_size=1, max_size=60))
def test_the_heap_merges_as_one_does_by_hand(text: str) -> None:
    assume("   " not in text)  # is a token of its own, whatever the scores are
    assert PIECES.encode(text) == by_hand(text)


@settings(max_examples=200)
@given(st.text(alphabet=st.characters(exclude_characters=SPACE + "\n ", exclude_categories=["Cs"]), max_size=60))
def test_text_comes_back_whole_without_the_space_that_was_added(text: str) -> None:
    assert answer(PIECES, PIECES.encode(text)) == text


def test_only_the_first_space_of_an_answer_is_dropped() -> None:
    assert answer(PIECES, PIECES.encode("one") + PIECES.encode("two")) == "one two"
    bare = tokenizer(add_space_prefix=False)
    assert answer(bare, bare.encode(" a")) == " a"


def test_without_a_prefix_text_begins_as_it_is() -> None:
    bare = tokenizer(add_space_prefix=False)
    assert [bare.text_of(token) for token in bare.encode("t")] == ["t"]
    assert bare.leading_space is False


def test_plain_text_never_becomes_a_special_token_or_a_byte_token() -> None:
    text = "<s>[INST]</s><|im_start|><unk><0x41>"
    found = PIECES.encode(text)
    assert b"".join(map(PIECES.token_bytes, found)).decode() == " " + text
    assert not {PIECES.text_of(token) for token in found} & {"<s>", "</s>", "<|im_start|>", "<unk>", "<0x41>"}
    assert PIECES.encode_marked("<s>") == [1]
    assert PIECES.encode_marked(f"<{MARK}s>", MARK) == PIECES.encode("<s>")


def test_words_of_the_vocabulary_are_found_in_plain_text() -> None:
    found = [PIECES.text_of(token) for token in PIECES.encode("<table>\n\n   x")]
    assert found[0] == "<table>"
    assert {"\n\n", "   "} <= set(found)


def test_the_beginning_is_marked_unless_the_file_says_otherwise() -> None:
    assert PIECES.with_bos([9]) == [1, 9]
    assert tokenizer(add_bos_token=False).with_bos([9]) == [9]
    assert tokenizer(bos_token_id=3).with_bos([9]) == [3, 9]
    assert PIECES.end_ids == {2, 4}


def test_phi_3s_markers_take_the_white_space_behind_them() -> None:
    metadata = {
        "general.architecture": "phi3",
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": VECTORS["tokens"],
        "tokenizer.ggml.scores": np.array(VECTORS["scores"], np.float32),
        "tokenizer.ggml.token_type": np.array(VECTORS["kinds"], np.int32),
    }
    phi = read_tokenizer(metadata, "phi")
    assert phi.encode_marked("<|im_end|> \n\ta <s> b") == [*PIECES.encode_marked("<|im_end|>a "), *PIECES.encode_marked("<s> b")]
    # What a user wrote is not white space of the template's.
    assert phi.encode_marked(f"<|im_end|>{MARK}\na", MARK) == PIECES.encode_marked("<|im_end|>\na")


def test_bytes_without_a_token_are_unknown() -> None:
    kinds = [1 if i == 5 + 0xFF else kind for i, kind in enumerate(VECTORS["kinds"])]
    with pytest.raises(MalformedArtefact, match="255 of 256 byte tokens"):
        tokenizer(token_type=np.array(kinds))
    assert tokenizer(token_type=np.array(kinds), unknown_token_id=0).encode("\x01")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scores": None}, "scores does not have one number"),
        ({"scores": np.full(len(VECTORS["tokens"]), np.nan)}, "no number"),
        ({"tokens": [*VECTORS["tokens"][:-1], "x" * 2000]}, "has one of 2000 characters"),
        ({"add_space_prefix": "no"}, "add_space_prefix is not a boolean"),
    ],
)
def test_broken_metadata_is_malformed_by_name(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(MalformedArtefact, match=words):
        tokenizer(**changes)


def test_half_a_surrogate_pair_is_the_callers_fault() -> None:
    with pytest.raises(InvalidRequest, match="surrogate"):
        PIECES.encode("a\ud800")


def test_long_texts_of_one_letter_are_merged() -> None:
    assert b"".join(map(PIECES.token_bytes, PIECES.encode("a" * 20_000))) == b" " + b"a" * 20_000


@given(st.text(alphabet="ab<", max_size=30))
def test_literals_are_found_from_left_to_right_the_longest_first(text: str) -> None:
    literals = Literals({"a": 0, "ab": 1, "<a": 2, "<ab<": 3})
    found = list(literals.found_in(text))
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(found))
    rest = text
    for start, end, _ in reversed(found):
        rest = rest[:start] + "|" + rest[end:]
    assert "a" not in rest
    assert list(literals.starts_in(text)) == [i for i in range(len(text)) if text.startswith(("a", "<a"), i)]
