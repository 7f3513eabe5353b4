"""The texts of these tests, by file of `data/`: one a line after the first, which says what they are; `\\n` is a new line."""

from pathlib import Path


def lines(name: str) -> list[str]:
    written = (Path(__file__).parent / "data" / f"{name}.txt").read_text(encoding="utf-8").splitlines()[1:]
    return [line.replace("\\n", "\n").replace("\\u200b", "\u200b") for line in written]
