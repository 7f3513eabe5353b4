"""The records through which Python tells native code what to compute: arrays of i64, addresses and counts.

Built by `models`, read by `step` and `attention`.
"""

from enum import IntEnum
from typing import Final

MAX_COLUMNS: Final = 256  # tokens of one pass: activations of a 1B model then still fit the second cache
LINE_BYTES: Final = 64
BLOCK: Final = 32  # weights that share one activation scale
PANEL_BYTES: Final = 1 << 16  # packed panel of a thread: 32 blocks of f32 at 16 lanes are the largest
SCRATCH_BYTES: Final = PANEL_BYTES + 2 * 32 * 4 * MAX_COLUMNS  # and the totals of 32 rows, twice
OPEN: Final = -1  # in a thread's place: the record is ready, let threads enter
CLOSED: Final = 1 << 40  # added to the count of who entered, once a pass is over
ALWAYS: Final = 1 << 62  # a tile that is here in every pass
SHARES_A_THREAD: Final = 2  # where rows are cut freely: evens out a preempted thread; each start costs a cold panel


class Matrix(IntEnum):
    """One weight matrix: rows as in the file, in tiles, and the kernels of its type."""

    TILES = 0  # address of its Tile records; a matrix that is resident as a whole has one
    ROWS = 1
    ROW_BYTES = 2
    BLOCKS = 3  # of 32 weights, in a row
    PACK = 4
    DOTS = 5
    EXPAND = 6
    SINGLE = 7
    TILE_ROWS = 8  # of every tile but the last, which may have fewer
    SHARES = 9  # pieces that a phase over its rows is cut into
    FEW = 10
    LENGTH = 16


class Tile(IntEnum):
    """Some rows of a matrix, and whether they are in memory. One cache line."""

    BASE = 0  # where row 0 of the matrix would lie, if all rows lay as the tile's do
    ARRIVED = 1  # the last pass for which its bytes are here and checked: ALWAYS where it is resident
    DONE = 2  # rows used since the start, of a streamed tile
    ROWS = 3  # 0 where it is resident: nobody counts its rows
    WANTED = 4  # the last pass that has chosen it, of a streamed tile that passes choose among
    LENGTH = 8


class Ring(IntEnum):
    """What a pass and the threads that read streamed tiles tell each other."""

    FAILED = 0  # not 0: a tile will not come, and the pass has to end
    WAKE = 1  # a file descriptor that takes a byte for each tile that was used up
    LENGTH = 8


class Layer(IntEnum):
    """Where in a layer's record its parts begin. Matrices lie in the record itself."""

    ATTENTION_NORM = 0
    FFN_NORM = 1
    BIAS = 2  # f32 of q, k and v end to end; 0 is none
    ROPE = 3  # per position: cos (rotated), sin (rotated), f32
    Q_NORM = 4
    K_NORM = 5
    ATTENTION_POST_NORM = 6
    FFN_POST_NORM = 7
    WINDOW = 8  # positions that a token sees, its own among them
    Q = 16
    K = 32
    V = 48
    OUTPUT = 64
    GATE = 80
    ROUTER = 80  # of a mixture of experts, which has no one gate, up and down
    UP = 96
    DOWN = 112
    LENGTH = 128


class Expert(IntEnum):
    """One expert that some tokens of this call want. Columns and matrices lie in the record itself."""

    SLOTS = 0
    OUT = 1  # f32: its first slot's output
    HIDDEN = 2  # a Columns record: its slots' tokens
    FFN = 8  # a Columns record
    GATE = 16
    UP = 32
    DOWN = 48
    LENGTH = 64


class Mixture(IntEnum):
    """The experts of one call."""

    EXPERT_RECORDS = 0
    EXPERTS = 1
    SHARES = 2  # pieces that an expert's rows are cut into
    SLOTS = 3  # to gather
    TOKEN_OF_SLOT = 4  # int32
    GATHERED = 5  # a Columns record
    GATHERS_FLOATS = 6  # whether an expert's weights are floats, which meet the activations unrounded
    OUT = 7  # f32: the slots' outputs
    OUT_PITCH = 8
    JOINS = 9  # whether all outputs are there, to be added
    SLOT_OF_PICK = 10  # int32: of each token's choices, in its own order
    WEIGHTS = 11  # f32, as SLOT_OF_PICK
    USED = 12  # choices of a token
    SCORES = 13  # f32 (tokens, experts): what the router says
    SCORES_PITCH = 14
    LENGTH = 16


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
    BRANCH = 31  # f32, as X: what attention or the feed-forward part gives, where it is normalised before it is added
    CACHE = 32
    CACHE_LAYER_BYTES = 33
    CACHE_PAGE_BYTES = 34
    TABLES = 35
    TABLES_PITCH = 36
    PLACE = 37
    ATTEND = 38
    PASS = 39  # counts from 1
    RING = 40  # a Ring record
    EMBEDS = 41  # 0: the residual stream is there already
    MIXTURE = 42  # a Mixture record
    LENGTH = 48


def phases(layers: int) -> int:
    """At most: a graph with post norms has 8 in a layer, a mixture 4 of experts."""
    return 1 + 4 + 8 * layers + 2


def sync_bytes(layers: int) -> int:
    return LINE_BYTES * (2 + phases(layers))
