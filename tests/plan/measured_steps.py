"""Measured decoding steps: rows of the ML.ENERGY benchmark (ml-energy/leaderboard @0cd52da, public/data/tasks)."""

import csv
import hashlib
from pathlib import Path

from freehold.plan.catalogue import find
from freehold.plan.models import Weights, find_decoder
from freehold.plan.serving_fit import Step

FILE = Path(__file__).parent / "mlenergy.csv"
PROMPT_TOKENS = 350  # not published; chats and questions have a few hundred
WEIGHTS = {"bfloat16": Weights.BF16, "fp8": Weights.FP8, "mxfp4": Weights.MXFP4}


def sha256() -> str:
    return hashlib.sha256(FILE.read_bytes()).hexdigest()


def steps() -> tuple[list[Step], list[float]]:
    """And the seconds each took."""
    found, seconds = [], []
    for row in csv.DictReader(FILE.read_text(encoding="utf-8").splitlines()):
        chips = int(row["num_gpus"])
        found.append(
            Step(
                model=find_decoder(_name(row["model_id"])),
                weights=WEIGHTS[row["weight_precision"]],
                chip=find(row["gpu_model"]),
                chips=chips,
                tensor=int(row["tensor_parallel"]),
                batch=float(row["avg_batch_size"]),
                context=PROMPT_TOKENS + float(row["avg_output_len"]) / 2,
            )
        )
        seconds.append(float(row["median_itl_ms"]) / 1e3)
    return found, seconds


def _name(model_id: str) -> str:
    name = model_id.split("/")[1]
    for word in ("-Instruct", "-Thinking", "-2507", "-FP8", "-17B-16E", "-17B-128E", "-it", "-0528"):
        name = name.replace(word, "")
    return name
