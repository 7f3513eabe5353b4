"""ONNX: a walk over protobuf fields for two things: data outside the file, and operators that are not ONNX's own.

Fields by number as in onnx/onnx.proto3. Tensors are stepped over; only graphs and what lies in them are entered.
"""

from collections.abc import Iterator

from freehold.provenance.scan.archives import leaves_folder
from freehold.provenance.scan.context import Context, Tally
from freehold.provenance.scan.findings import shown
from freehold.provenance.scan.source import Cursor, Source, Truncated

FIELDS_LIMIT = 5_000_000
DEPTH_LIMIT = 32
DATA_FILES_LIMIT = 10_000
TEXT_LIMIT_BYTES = 1 << 16
# ModelProto, GraphProto, NodeProto, AttributeProto, TensorProto, FunctionProto; which fields lead to which.
_INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 8: "opset", 25: "function", 20: "training"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "function": {7: "node", 9: "opset"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "tensor": {13: "external"},
    "opset": {},
    "external": {},
}
_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training", "com.microsoft", "com.microsoft.nchwc")


class _Odd(Exception):
    pass


class _Walk:
    def __init__(self, source: Source, context: Context) -> None:
        self.source = source
        self.context = context
        self.left = FIELDS_LIMIT
        self.has_graph = False

    def message(self, kind: str, start: int, end: int, depth: int = 0) -> None:
        if depth > DEPTH_LIMIT:
            raise _Odd(f"graphs lie more than {DEPTH_LIMIT} deep in each other")
        strings: dict[int, str] = {}
        for number, at, size_bytes in self.fields(start, end):
            inner = _INSIDE[kind].get(number)
            if inner is not None:
                self.has_graph |= inner == "graph"
                self.message(inner, at, at + size_bytes, depth + 1)
            elif kind in ("external", "opset", "node") and size_bytes <= TEXT_LIMIT_BYTES:
                strings[number] = self.source.read_at(at, size_bytes).decode("utf-8", "replace")
        if kind == "external" and strings.get(1) == "location":
            self._check_location(strings.get(2, ""), start)
        elif kind == "opset" and strings.get(1, "") not in _DOMAINS:
            self.context.find("onnx-operator", f"needs the operators of {shown(strings[1])}", start)
        elif kind == "node" and strings.get(4) in ("PyOp", "PythonOp"):
            self.context.find("onnx-operator", "runs Python in a node", start)

    def _check_location(self, location: str, at: int) -> None:
        if leaves_folder(location):
            self.context.find("onnx-path", f"a tensor's data is read from {shown(location)}", at)
        elif len(self.context.tally.data_files) < DATA_FILES_LIMIT:
            self.context.tally.data_files.add(location)

    def fields(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """(number, where its bytes lie, how many) of length-delimited fields; the others are stepped over."""
        cursor = Cursor(self.source, start)
        while cursor.offset < end:
            self.left -= 1
            if self.left < 0:
                raise _Odd(f"more than {FIELDS_LIMIT} fields")
            key = _varint(cursor)
            number, wire = key >> 3, key & 7
            if not number:
                raise _Odd("a field without a number")
            if wire == 0:
                _varint(cursor)
            elif wire in (1, 5):
                cursor.skip(8 if wire == 1 else 4)
            elif wire == 2:
                size_bytes = _varint(cursor)
                at = cursor.offset
                if at + size_bytes > end:
                    raise _Odd("a field goes on past the end of its message")
                yield number, at, size_bytes
                cursor.skip(size_bytes)
            else:
                raise _Odd(f"wire type {wire}")
        if cursor.offset != end:
            raise _Odd("a message does not end with its last field")


def _varint(cursor: Cursor) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = cursor.number(1)
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value
    raise _Odd("a number that does not end")


def scan_onnx(source: Source, context: Context) -> None:
    walk = _Walk(source, context)
    try:
        walk.message("model", 0, source.size_bytes)
    except (Truncated, _Odd) as exc:
        context.find("unparsed", f"onnx: {exc or 'ends inside a field'}")
        return
    if not walk.has_graph:
        context.find("unparsed", "onnx: there is no graph in it")


def is_protobuf(source: Source) -> bool:
    """Whether the bytes are fields from one end to the other: a SentencePiece vocabulary, which holds nothing that runs."""
    try:
        return all(True for _ in _Walk(source, Context(name="", tally=Tally(), look=lambda *_: "")).fields(0, source.size_bytes))
    except (Truncated, _Odd):
        return False


def looks_like_onnx(head: bytes) -> bool:
    """ir_version first (field 1, a small number), then producer, domain, graph or the like: what every writer begins with."""
    return len(head) > 4 and head[0] == 0x08 and 1 <= head[1] <= 15 and head[2] in (0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42)
