"""Is our tokenizer llama.cpp's? Thousands of fuzzed texts, token for token, for every pre-tokenizer we know.

`smollm` is compared on the embedded model's own file. The other pre-tokenizers are too, on small files that we write with the
same vocabulary (and some digits) under their name: what differs between them is how text is split, and both see the same file.
Real files of theirs are compared as well where they have been fetched: Gemma's is the one with a SentencePiece vocabulary.
SentencePiece is compared on a small random vocabulary, too, whose pieces meet each other more often, and some at equal scores.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from freehold.engine.gguf import FilePrefix, read_header
from freehold.engine.sentencepiece import SPACE
from freehold.engine.tokenizer import PRE_TOKENIZERS, read_tokenizer

TEXTS = 2000
EMBEDDED = "smollm2-135m.gguf"
OTHERS = ("qwen2.5-coder-0.5b.gguf", "qwen2.5-coder-1.5b.gguf", "gemma-3-270m.gguf")

_CODE = (
    "def f(x):\n    return x**2  # squared\n",
    'for (int i = 0; i < 10; i++) {\n\tprintf("%d\\n", i);\n}\n',
    "SELECT * FROM t WHERE a >= 3.14 AND b != 'x';",
    '{"key": [1, 2, {"a": null}], "b": "\\u00e9"}',
    "<div class='a'>&amp; it's we'll I'D they'Re</div>",
    "https://example.org/a/b?c=d&e=f#g user@example.org",
)
_WORDS = [
    "the",
    "quick",
    "brown",
    "fox",
    "don't",
    "we'll",
    "I'm",
    "naïve",
    "Straße",
    "größer",
    "Привет",
    "мир",
    "שלום",
    "مرحبا",
    "你好世界",
    "こんにちは",
    "안녕하세요",
    "हिन्दी",
    "ไทย",
]
_EMOJI = "😀👍🏽👨‍👩‍👧🇩🇪❤️🧑‍💻🎉✨"
_NO_MERGES = "zqxjk"
_MARKERS = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<repo_name>", "<|im_", "|im_start|>", "<|im_start"]
_SPACE = [
    " ",
    "  ",
    "   ",
    "\t",
    "\n",
    "\n\n",
    "\r\n",
    " \n",
    "\n ",
    "\u00a0",
    "\u2003",
    "\u3000",
    "\u200b",
    "\x0b",
    "\x0c",
    "\u2028",
]
_RANGES = (
    *((0x20, 0x7F), (0xA0, 0x250), (0x370, 0x600), (0x900, 0xE00), (0x2000, 0x2C00)),
    *((0x3040, 0x30FF), (0x4E00, 0x9FFF), (0x1F300, 0x1FAFF)),
)


def texts(count: int, seed: int = 1) -> list[str]:
    """Code, words of many scripts, emoji, random Unicode, runs of white space, digits, chat markers, and mixtures of them."""
    rng = random.Random(seed)
    kinds: Sequence[Callable[[], str]] = (
        lambda: rng.choice(_CODE),
        lambda: " ".join(rng.choices(_WORDS, k=rng.randint(1, 8))),
        lambda: "".join(rng.choices(_EMOJI, k=rng.randint(1, 6))),
        lambda: "".join(chr(rng.randint(*rng.choice(_RANGES))) for _ in range(rng.randint(1, 12))),
        lambda: "".join(rng.choices(_SPACE, k=rng.randint(1, 6))),
        lambda: str(rng.randint(0, 10 ** rng.randint(1, 18))) + rng.choice(["", ".5", ",000", "½", "²", "٣", "Ⅷ"]),
        lambda: rng.choice(_MARKERS),
        lambda: f" {_NO_MERGES} ",
        lambda: "".join(rng.choices("!?.,;:'\"-_()[]{}<>|/\\@#$%^&*+=~`", k=rng.randint(1, 8))),
        lambda: rng.choice(["'s", "'S", "'ll", "'LL", "'Ve", "'d", "'", "’s"]),
    )
    return ["".join(rng.choice(kinds)() + rng.choice(["", "", " "]) for _ in range(rng.randint(1, 8))) for _ in range(count)]


def run(report: Callable[..., None], models_dir: Path) -> None:
    embedded = models_dir / EMBEDDED
    if not embedded.exists():
        print(f"tokenizer: {embedded} is not there; `make models` fetches it")
        return
    tell(report, "smollm2", compare(embedded, TEXTS))
    with tempfile.TemporaryDirectory() as directory:
        others = [pre for pre in PRE_TOKENIZERS if pre != "smollm"]
        compared = [compare(_renamed(embedded, pre, Path(directory)), TEXTS // 5) for pre in others]
        small = Path(directory) / "pieces.gguf"
        write_model(small, small_pieces(), model="llama")
        tell(report, "random_pieces", compare(small, TEXTS))
    tell(report, f"{len(others)}_other_pre_tokenizers", [sum(each) for each in zip(*compared, strict=True)])
    for name in OTHERS:
        if (models_dir / name).exists():
            tell(report, name.removesuffix(".gguf"), compare(models_dir / name, TEXTS))


def compare(file: Path, count: int) -> list[float]:
    """[texts, of them the same plain, of them the same with markers, bytes of text, CPU seconds to encode them]"""
    asked = texts(count)
    tokenizer = read_tokenizer(read_header(FilePrefix(file), file.name).metadata, file.name)
    begun_s = time.process_time()
    plain = [tokenizer.encode(text) for text in asked]
    spent_s = time.process_time() - begun_s
    marked = [tokenizer.encode_marked(text) for text in asked]
    peer = ask_peer(file, asked)
    same = [
        sum(a == b for a, b in zip(ours, theirs, strict=True))
        for ours, theirs in ((plain, peer["plain"]), (marked, peer["marked"]))
    ]
    return [count, *same, sum(len(text.encode()) for text in asked), spent_s]


def tell(report: Callable[..., None], name: str, compared: Sequence[float]) -> None:
    count, plain, marked, size_bytes, spent_s = compared
    for what, same in (("plain", plain), ("marked", marked)):
        report(
            name=f"tokenizer.identical.{what}.{name}",
            value=same / count,
            unit=f"share of {count:.0f} texts",
            peer="llama.cpp",
            peer_version=version("xllamacpp"),
            limit=1.0,
        )
    report(name=f"tokenizer.encode.{name}", value=size_bytes / spent_s / 1e6, unit="MB/s of CPU time")


def ask_peer(file: Path, asked: Sequence[str]) -> dict[str, list[list[int]]]:
    """llama.cpp's own tokens, from a process of its own: it ends with a crash as often as not."""
    with tempfile.TemporaryDirectory() as directory:
        question, answer = Path(directory) / "texts.json", Path(directory) / "tokens.json"
        question.write_text(json.dumps(list(asked)))
        command = [sys.executable, "-m", "bench.tokenizer", str(file), str(question), str(answer)]
        ended = subprocess.run(command, capture_output=True, timeout=300, check=False)
        if not answer.exists():
            raise RuntimeError(f"llama.cpp could not tokenise with {file.name}: {ended.stderr[-500:].decode(errors='replace')}")
        found: dict[str, list[list[int]]] = json.loads(answer.read_text())
        return found


def _renamed(source: Path, pre: str, directory: Path) -> Path:
    """A tiny random Llama with the vocabulary of `source` under another pre-tokenizer's name."""
    metadata = read_header(FilePrefix(source), source.name).metadata
    # The source knows no number of two digits and no word that merges do not lead to, and on those pre-tokenizers differ.
    pairs = [f"{number:02}" for number in range(100)]
    tokens = [*metadata["tokenizer.ggml.tokens"], *pairs, f"Ġ{_NO_MERGES}"]
    kinds = [*metadata["tokenizer.ggml.token_type"].tolist(), *[1] * (len(pairs) + 1)]
    merges = [*(" ".join(pair) for pair in pairs), *metadata["tokenizer.ggml.merges"]]
    path = directory / f"{pre}.gguf"
    write_model(path, {"token_list": tokens, "token_types": kinds, "token_merges": merges}, model="gpt2", pre=pre)
    return path


def small_pieces(seed: int = 1) -> dict[str, list[Any]]:
    """A SentencePiece vocabulary of some 1,500 pieces, unions of each other, a tenth of them at scores that others have, too."""
    rng = random.Random(seed)
    control = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]
    words = ["\n\n", "   ", "<table>", "</td>"]
    pieces = list(dict.fromkeys([SPACE, *"etaoinshrdlucmfwypvbgkqjxz0123456789.,;:(){}[]<>=_-/*#\"'\n\t", *"ñéöпривет世界你好"]))
    known = set(pieces)
    while len(pieces) < 1500:
        union = rng.choice(pieces) + rng.choice(pieces)
        if len(union) < 12 and union not in known:
            known.add(union)
            pieces.append(union)
    scores = [-float(i if rng.random() < 0.9 else rng.randrange(len(pieces))) for i in range(len(pieces))]
    tokens = [*control, *(f"<0x{byte:02X}>" for byte in range(256)), *words, *pieces]
    kinds = [2, *[3] * 4, *[6] * 256, *[4] * len(words), *[1] * len(pieces)]
    return {"token_list": tokens, "token_types": kinds, "token_scores": [*[0.0] * 261, *[-1000.0] * len(words), *scores]}


def write_model(path: Path, vocabulary: dict[str, list[Any]], *, model: str, pre: str = "default") -> None:
    """A tiny Llama of zeros with a vocabulary, by gguf's own writer."""
    import gguf  # noqa: PLC0415 - of the bench extra alone

    width = 32
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(128)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(width)
    writer.add_head_count(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model(model)
    writer.add_tokenizer_pre(pre)
    for part, values in vocabulary.items():
        getattr(writer, f"add_{part}")(values)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_tensor("token_embd.weight", np.zeros((len(vocabulary["token_list"]), width), np.float32))
    writer.add_tensor("output_norm.weight", np.ones(width, np.float32))
    for part in ("attn_norm", "ffn_norm"):
        writer.add_tensor(f"blk.0.{part}.weight", np.ones(width, np.float32))
    for part in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        writer.add_tensor(f"blk.0.{part}.weight", np.zeros((width, width), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _peer(file: str, question: str, answer: str) -> None:
    """In the process of its own: llama.cpp's server on a port of its choice."""
    import xllamacpp  # noqa: PLC0415 - of the bench extra alone

    parameters = xllamacpp.CommonParams()
    parameters.model.path = file
    parameters.n_ctx, parameters.n_parallel, parameters.warmup, parameters.verbosity = 64, 1, False, -1
    parameters.n_gpu_layers = 0
    server = xllamacpp.Server(parameters)

    def tokens(text: str, special: bool) -> Any:
        body = json.dumps({"content": text, "parse_special": special, "add_special": False}).encode()
        request = urllib.request.Request(server.listening_address + "/tokenize", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.load(reply)["tokens"]

    asked = json.loads(Path(question).read_text())
    found = {"plain": [tokens(text, False) for text in asked], "marked": [tokens(text, True) for text in asked]}
    partial = Path(answer + ".part")
    partial.write_text(json.dumps(found))
    partial.rename(answer)
    os._exit(0)  # its threads do not end by themselves


if __name__ == "__main__":
    _peer(*sys.argv[1:])
