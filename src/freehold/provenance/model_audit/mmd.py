"""Are two sets of answers drawn from one distribution? The maximum mean discrepancy over prompts.

Gao, Liang and Guestrin, "Model Equality Testing" (arXiv 2410.20247): two answers to the same prompt are as alike as the share of
their first L characters that are equal in place. Labels are permuted inside each prompt, so that prompts are never compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from freehold.provenance.model_audit.permutation import Floats, labels, p_value

_BLOCK_CHARS = 64  # compared at once: memory stays at answers² x this


@dataclass(frozen=True, slots=True, kw_only=True)
class MmdResult:
    """`mmd2` is the unbiased estimate of MMD², the mean over prompts; under equality it is 0 on average."""

    mmd2: float
    p: float


def likeness(answers: Sequence[str], chars: int) -> Floats:
    """(N, N): the share of equal characters in the first `chars`, or as many as the longest answer has. The end is a character.

    A prompt whose answers are all empty has likeness 1.
    """
    length = min(chars, max((len(answer) for answer in answers), default=0))
    codes = np.zeros((len(answers), max(1, length)), np.uint32)  # 0 stands for what is beyond the end
    for row, answer in zip(codes, answers, strict=True):
        cut = answer[:length]
        row[: len(cut)] = [ord(char) + 1 for char in cut]
    same = np.zeros((len(answers), len(answers)), np.int64)
    for low in range(0, codes.shape[1], _BLOCK_CHARS):
        block = codes[:, low : low + _BLOCK_CHARS]
        same += (block[:, None, :] == block[None, :, :]).sum(axis=2)
    return same / codes.shape[1]


def mmd_test(pairs: Sequence[tuple[Floats, int]], permutations: int, rng: np.random.Generator) -> MmdResult:
    """Each pair is the likeness of a prompt's answers, (N, N), and how many of the first of them are the reference's.

    Prompts with fewer than two answers of either side say nothing and count for nothing.
    """
    used = [(kernel, ours) for kernel, ours in pairs if 2 <= ours <= len(kernel) - 2]
    observed, permuted = 0.0, np.zeros(permutations)
    for kernel, ours in used:
        size = len(kernel)
        first = np.zeros((1, size))
        first[0, :ours] = 1
        found = _mmd2(kernel, np.concatenate((first, labels(ours, size - ours, permutations, rng))), ours)
        observed += float(found[0])
        permuted += found[1:]
    return MmdResult(mmd2=observed / max(1, len(used)), p=p_value(observed, permuted))


def _mmd2(kernel: Floats, is_ours: Floats, ours: int) -> Floats:
    """(M): MMD² for each row of labels, (M, N).

    sum over all pairs = within ours + within theirs + 2 * between
    """
    theirs = len(kernel) - ours
    diagonal, rows = np.diag(kernel), kernel.sum(axis=1)
    both = ((is_ours @ kernel) * is_ours).sum(axis=1)
    between = is_ours @ rows - both
    rest = rows.sum() - both - 2 * between
    own = is_ours @ diagonal
    within = (both - own) / (ours * (ours - 1)) + (rest - (diagonal.sum() - own)) / (theirs * (theirs - 1))
    result: Floats = within - 2 * between / (ours * theirs)
    return result
