"""The records through which Python tells native code what to compute: arrays of i64, addresses and counts.

Built by `models`, read by `step` and `attention`.
"""

from enum import IntEnum
from typing import Final

MAX_COLUMNS: Final = 256  # tokens of one pass: activations of a 1B model then still fit the second cache
LINE_BYTES: Final = 64
PANEL_BYTES: Final = 1 << 16  # packed panel of a thread: 32 blocks of f32 at 16 lanes are the largest
SCRATCH_BYTES: Final = PANEL_BYTES + 2 * 32 * 4 * MAX_COLUMNS  # and the totals of 32 rows, twice
OPEN: Final = -1  # in a thread's place: the record is ready, let threads enter
CLOSED: Final = 1 << 40  # added to the count of who entered, once a pass is over


class Matrix(IntEnum):
    """One weight matrix: bytes as in the file, and the kernels of its type."""

    DATA = 0
    ROWS = 1
    ROW_BYTES = 2
    BLOCKS = 3  # of 32 weights, in a row
    PACK = 4
    DOTS = 5
    EXPAND = 6
    SINGLE = 7
    LENGTH = 8


class Layer(IntEnum):
    """Where in a layer's record its parts begin. Matrices lie in the record itself."""

    ATTENTION_NORM = 0
    FFN_NORM = 1
    BIAS = 2  # f32 of q, k and v end to end; 0 is none
    Q = 8
    K = 16
    V = 24
    OUTPUT = 32
    GATE = 40
    UP = 48
    DOWN = 56
    LENGTH = 64


class Step(IntEnum):
    """One pass over the model."""

    THREADS = 0
    SYNC = 1  # a cache line that counts who entered, one for who left, then one a phase: items taken, items done
    SCRATCH = 2
    LAYERS = 3
    LAYER_RECORDS = 4
    EMBEDDING = 5  # a Matrix record
    HEAD = 6  # a Matrix record
    FINAL_NORM = 7
    EPSILON = 8  # bits of an f32
    TOKENS = 9
    TOKEN_IDS = 10  # int32
    POSITIONS = 11  # int32
    SEQUENCES = 12  # int32
    TILES = 13
    TILE_FIRST = 14  # int32: first token of up to 4 neighbours in one sequence
    TILE_COUNT = 15  # int32
    OUTPUTS = 16
    OUTPUT_TOKENS = 17  # int32: which tokens want logits
    LOGITS = 18
    LOGITS_PITCH = 19
    X = 20  # the residual stream, f32
    X_PITCH = 21
    QKV = 22  # f32: queries, keys, values of a token, end to end
    QKV_PITCH = 23
    HIDDEN = 24  # Columns records
    ATTENDED = 25
    FFN = 26
    HEADS = 27
    KV_HEADS = 28
    HEAD_DIM = 29
    FFN_GROUPS = 30  # of 32 rows
    ROPE = 31  # per position: cos (head_dim), sin (head_dim), f32
    CACHE = 32
    CACHE_LAYER_BYTES = 33
    CACHE_PAGE_BYTES = 34
    TABLES = 35
    TABLES_PITCH = 36
    PLACE = 37
    ATTEND = 38
    LENGTH = 40


def phases(layers: int) -> int:
    return 1 + 7 * layers + 2


def sync_bytes(layers: int) -> int:
    return LINE_BYTES * (2 + phases(layers))
