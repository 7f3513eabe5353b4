import json
from pathlib import Path

import numpy as np
from click.testing import CliRunner, Result

from freehold.cli import main
from freehold.engine.sampler import Sampler, Settings
from freehold.provenance.watermark import read_watermark
from tests.engine.scheduler_bench import TOKENIZER
from tests.fakes.tiny_gguf import tiny_gguf


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["watermark", *arguments], input=stdin)


def marked_text(home: Path, name: str, count: int) -> str:
    """Printable characters of which those that are green after the ones before them are far likelier."""
    rng, mark = np.random.default_rng(1), read_watermark(home, name)
    singles = [TOKENIZER.encode(letter)[0] for letter in "abcdfgijkmnopqrstuvwxyz0123456789"]  # of which no pair is a token
    sampler, tokens = Sampler(Settings(seed=3), (), TOKENIZER.vocabulary, mark), list[int]()
    while len(tokens) < count:
        logits = np.full(TOKENIZER.vocabulary, -100, np.float32)
        logits[singles] = rng.standard_normal(len(singles))
        tokens.append(sampler.choose(logits).token)
    return "".join(TOKENIZER.text_of(token) for token in tokens)


def test_a_watermark_is_made_and_found_by_its_secret_alone(home: Path, tmp_path: Path) -> None:
    for name in ("press", "legal"):
        assert run("create", name, "--delta", "8").exit_code == 0
    model, text = tmp_path / "tiny.gguf", tmp_path / "text.txt"
    model.write_bytes(tiny_gguf())
    text.write_text(marked_text(home, "press", 300))
    found = run("detect", str(text), "--team", "press", "--model", str(model), "--json")
    assert found.exit_code == 0, found.output
    facts = json.loads(found.stdout)
    assert facts["found"]
    assert facts["p_value"] < 1e-5
    assert facts["scored"] <= 300
    other = run("detect", "-", "--team", "legal", "--model", str(model), stdin=text.read_bytes())
    assert (other.exit_code, "not there, as far as this text tells" in other.stdout) == (1, True), other.output


def test_what_cannot_be_looked_for_is_said(home: Path, tmp_path: Path) -> None:
    assert run("create", "press").exit_code == 0
    again = run("create", "press")
    assert (again.exit_code, "there is a watermark press already" in again.stderr) == (2, True)
    bad = run("create", "x", "--gamma", "2")
    assert (bad.exit_code, "gamma is 2" in bad.stderr) == (2, True)
    listed = json.loads(run("list", "--json").stdout)
    assert [one["name"] for one in listed] == ["press"]
    assert listed[0]["digest"] == read_watermark(home, "press").digest
    model = tmp_path / "tiny.gguf"
    model.write_bytes(tiny_gguf())
    unknown = run("detect", "-", "--team", "none", "--model", str(model), stdin=b"x")
    assert (unknown.exit_code, "freehold watermark create none" in unknown.stderr) == (2, True), unknown.output
    binary = run("detect", "-", "--team", "press", "--model", str(model), stdin=b"\xff\xfe")
    assert (binary.exit_code, "no UTF-8 text" in binary.stderr) == (2, True), binary.output
    short = run("detect", "-", "--team", "press", "--model", str(model), stdin=b"hi")
    assert short.exit_code == 1
