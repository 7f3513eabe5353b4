"""Which tensors a pickle of weights describes, without unpickling it: nothing is imported, made or called.

The machine of the scan runs the stream on descriptions. This one keeps more of them: tables, lists, storages, and the calls by
which PyTorch puts a tensor together, each of which says no more than a storage's key, a type, a size, a stride and an offset
(torch/_utils.py, torch/serialization.py). An import outside of the scan's list of harmless names ends it; a tensor of a kind that
has no plain bytes is refused by its name.

    OrderedDict                     names
      REDUCE _rebuild_tensor_v2     a view: offset, size, stride over
        BINPERSID ("storage", ...)    a storage: type, key, count
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from freehold.core.errors import DangerousArtefact, MalformedArtefact, UnsupportedArtefact
from freehold.provenance.scan.context import Context, Tally
from freehold.provenance.scan.findings import shown
from freehold.provenance.scan.imports import Judgement, judge
from freehold.provenance.scan.pickle_machine import Machine
from freehold.provenance.scan.pickle_opcodes import STEPS
from freehold.provenance.scan.pickle_values import NONE, Broken, Call, Global
from freehold.provenance.scan.source import Cursor, Source, Truncated

TENSORS_LIMIT: Final = 200_000
DEPTH_LIMIT: Final = 8  # of tables in tables
DIMENSIONS_LIMIT: Final = 16
NAME_LIMIT_CHARS: Final = 512
WRAPPERS: Final = ("state_dict", "model_state_dict", "model", "module", "params", "weights")

# Bytes of a value, by safetensors' name of its type.
ITEM_BYTES: Final[Mapping[str, int]] = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 8),
    **dict.fromkeys(("F32", "I32", "U32"), 4),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2),
    **dict.fromkeys(("I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2"), 1),
}
_STORAGE_WORDS = (
    "DoubleStorage:F64 FloatStorage:F32 HalfStorage:F16 BFloat16Storage:BF16 LongStorage:I64 IntStorage:I32 ShortStorage:I16"
    " CharStorage:I8 ByteStorage:U8 BoolStorage:BOOL ComplexFloatStorage:C64 UntypedStorage:U8"
)
_DTYPE_WORDS = (
    "float64:F64 float32:F32 float16:F16 bfloat16:BF16 int64:I64 int32:I32 int16:I16 int8:I8 uint64:U64 uint32:U32 uint16:U16"
    " uint8:U8 bool:BOOL complex64:C64 float8_e4m3fn:F8_E4M3 float8_e5m2:F8_E5M2"
)
_STORAGES: Final[Mapping[str, str]] = dict(word.split(":") for word in _STORAGE_WORDS.split())
_DTYPES: Final[Mapping[str, str]] = dict(word.split(":") for word in _DTYPE_WORDS.split())


@dataclass(frozen=True, slots=True)
class Storage:
    """`count` values of `dtype` under `key`. The stream's word, not yet held against the bytes that are there."""

    key: str
    dtype: str
    count: int


@dataclass(frozen=True, slots=True)
class View:
    """A tensor: offset and stride count values of `dtype`, as the storage is read."""

    storage: Storage
    dtype: str
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def item_bytes(self) -> int:
        return ITEM_BYTES[self.dtype]

    @property
    def size_bytes(self) -> int:
        return math.prod(self.shape) * self.item_bytes

    @property
    def is_contiguous(self) -> bool:
        """Whether its values lie one after the other, in order. The stride of a dimension of one does not matter."""
        expected = 1
        for size, stride in zip(reversed(self.shape), reversed(self.stride), strict=True):
            if size != 1 and stride != expected:
                return self.size_bytes == 0
            expected *= size
        return True


@dataclass(slots=True, eq=False)
class Table:
    entries: dict[str | int, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Odd:
    """A tensor that has no plain bytes; `kind` is the function that makes it."""

    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """`left_out` are values beside the tensors, by name: numbers, texts."""

    tensors: Mapping[str, View]
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What a pickle gives, where it ends, and all storages that it points to."""

    value: object
    end: int
    storages: Mapping[str, Storage]


def read_object(source: Source, offset: int = 0) -> Described:
    """The pickle at `offset`.

    Raises DangerousArtefact for an import that weights do not need, MalformedArtefact for what is no pickle.
    """
    tally = Tally()
    machine = _WeightsMachine(Cursor(source, offset), Context(name="pickle", tally=tally, look=lambda *_: ""))
    try:
        machine.run()
    except Truncated as exc:
        raise MalformedArtefact("pickle: ends before its STOP") from exc
    except Broken as exc:
        raise MalformedArtefact(f"pickle: {exc} (byte {machine.at})") from exc
    if tally.findings:
        raise DangerousArtefact(f"pickle: {tally.findings[0].words} [{tally.findings[0].rule}]")
    return Described(value=machine.result, end=machine.cursor.offset, storages=machine.storages)


def named_weights(root: object, key: str | None = None) -> Weights:
    """All tensors below `root`, by their names joined with dots. `key` says which of its tables, where there are several.

    Raises UnsupportedArtefact for what is no table of tensors, naming what stands in the way.
    """
    table = _chosen(root, key)
    tensors: dict[str, View] = {}
    left_out: list[str] = []
    for name, value in _entries(table, "", 0):
        if isinstance(value, View):
            if name in tensors:
                raise MalformedArtefact(f"two tensors are called {shown(name)}")
            tensors[name] = value
        elif isinstance(value, Odd):
            raise UnsupportedArtefact(f"tensor {shown(name)} is made by {value.kind}, which safetensors has no form for")
        elif isinstance(value, Call) and isinstance(value.function, Global) and value.function.module.startswith("numpy"):
            raise UnsupportedArtefact(f"{shown(name)} is NumPy's, and no tensor: save the weights as tensors")
        else:
            left_out.append(name)
        if len(tensors) > TENSORS_LIMIT:
            raise MalformedArtefact(f"more than {TENSORS_LIMIT} tensors")
    if not tensors:
        raise UnsupportedArtefact("there is no tensor in it")
    return Weights(tensors=tensors, left_out=tuple(left_out))


def _chosen(root: object, key: str | None) -> Table:
    if not isinstance(root, Table):
        raise UnsupportedArtefact("it is no table of names and tensors, as a state dict is")
    inner = {str(name): value for name, value in root.entries.items() if isinstance(value, Table) and _holds_tensors(value)}
    if key is not None:
        if key not in inner:
            raise UnsupportedArtefact(f"no table of tensors is called {shown(key)}; there are: {_listed(inner)}")
        return inner[key]
    if any(isinstance(value, View | Odd) for value in root.entries.values()):
        return root
    wrapped = [name for name in WRAPPERS if name in inner]
    if len(wrapped) == 1:
        return inner[wrapped[0]]
    if len(inner) == 1:
        return next(iter(inner.values()))
    raise UnsupportedArtefact(f"which of its tables holds the weights is not plain; say it with --key: {_listed(inner)}")


def _listed(tables: Mapping[str, Table]) -> str:
    return ", ".join(shown(name) for name in list(tables)[:10]) or "none"


def _holds_tensors(table: Table) -> bool:
    return any(isinstance(value, View) for _, value in _entries(table, "", 0))


def _entries(table: Table, prefix: str, depth: int) -> Iterator[tuple[str, object]]:
    if depth > DEPTH_LIMIT:
        raise UnsupportedArtefact(f"tables lie more than {DEPTH_LIMIT} deep in each other, below {shown(prefix)}")
    for name, value in table.entries.items():
        path = f"{prefix}{name}"
        if len(path) > NAME_LIMIT_CHARS or not path.isprintable():
            raise MalformedArtefact(f"{shown(path)} is no name for a tensor")
        if isinstance(value, Table):
            yield from _entries(value, f"{path}.", depth + 1)
        else:
            yield path, value


class _WeightsMachine(Machine):
    """Ends at the first import that is not harmless."""

    def __init__(self, cursor: Cursor, context: Context) -> None:
        super().__init__(cursor, context)
        self.storages: dict[str, Storage] = {}

    def imported(self, module: object, name: object) -> None:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise DangerousArtefact(f"pickle: imports a name that it computes (byte {self.at}), which weights do not need")
        if judge(module, name, self.protocol) is not Judgement.HARMLESS:
            said = shown(f"{module}.{name}")
            raise DangerousArtefact(f"pickle: imports {said} (byte {self.at}), which weights do not need")
        self.push(Global(module, name))

    def nested(self, data: bytes) -> None:
        """Bytes in it stay bytes here: nobody loads them."""

    def called(self, function: object, arguments: object) -> None:
        if not isinstance(function, Global) or not isinstance(arguments, tuple):
            raise Broken("calls what is not imported by name")
        self.push(_made(function, arguments))

    def built(self) -> None:
        """A state on top of a value: metadata of a state dict, attributes of a tensor. Weights have none in it."""
        self.pop()
        self.top()

    def persistent(self) -> None:
        match self.pop():
            case ("storage", Global(module=module, name=kind), str() as key, _, int() as count, *rest) if module in (
                "torch",
                "torch.storage",
                "torch.cuda",
            ) and all(value is NONE for value in rest):
                if kind not in _STORAGES:
                    self.push(Odd(f"{module}.{kind}"))
                    return
                storage = Storage(key, _STORAGES[kind], count)
                if count < 0 or self.storages.setdefault(key, storage) != storage:
                    raise Broken(f"storage {shown(key)} is there in two sizes or types")
                self.push(storage)
            case _:
                raise Broken("points to something that is no storage of its own")

    def put(self, values: list[object]) -> None:
        into = self.top()
        if len(values) % 2:
            raise Broken("a key without its value")
        if isinstance(into, Table):
            for key, value in zip(values[::2], values[1::2], strict=True):
                if type(key) in (str, int):
                    assert isinstance(key, str | int)
                    into.entries[key] = value

    def extend(self, values: list[object]) -> None:
        into = self.top()
        if isinstance(into, list):
            into.extend(values)


def _made(function: Global, arguments: tuple[object, ...]) -> object:
    name = f"{function.module}.{function.name}"
    match name, arguments:
        case (("collections.OrderedDict" | "builtins.dict" | "__builtin__.dict"), ()):
            return Table()
        case (("collections.OrderedDict" | "builtins.dict" | "__builtin__.dict"), (list() as pairs,)):
            return _of_pairs(pairs)
        case (("torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2"), (storage, offset, size, stride, *_)):
            return _view(storage, offset, size, stride, None)
        case "torch._utils._rebuild_tensor_v3", (storage, offset, size, stride, _, _, Global(module="torch", name=kind), *_):
            return _view(storage, offset, size, stride, kind)
        case (("torch._utils._rebuild_parameter" | "torch._utils._rebuild_parameter_with_state"), (data, *_)):
            return data
        case "torch._tensor._rebuild_from_type_v2", (Global() as inner, Global(), tuple() as given, *_):
            return _made(inner, given)
    if "rebuild" in function.name:
        return Odd(name)
    return Call(function, arguments)


def _of_pairs(pairs: list[object]) -> Table:
    table = Table()
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2 or type(pair[0]) not in (str, int):
            raise Broken("a table of pairs that are none")
        table.entries[pair[0]] = pair[1]
    return table


def _view(storage: object, offset: object, size: object, stride: object, kind: str | None) -> View | Odd:
    """Held against the storage's count here, and by the reader against the bytes that are there."""
    if isinstance(storage, Odd):
        return storage
    if not isinstance(storage, Storage):
        raise Broken("a tensor over what is no storage")
    dtype = storage.dtype if kind is None else _DTYPES.get(kind)
    if dtype is None:
        return Odd(f"torch.{kind}")
    shape, strides = _sizes(size), _sizes(stride)
    if type(offset) is not int or not 0 <= offset < 1 << 48 or len(shape) != len(strides):
        raise Broken("a tensor whose offset, size and stride do not fit together")
    held = storage.count * ITEM_BYTES[storage.dtype] // ITEM_BYTES[dtype]
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if math.prod(shape) and last >= held:
        raise Broken(f"a tensor that ends at value {last + 1} of a storage of {held}")
    if math.prod(shape) > held:
        return Odd("repeating values of its storage (expand)")
    return View(storage, dtype, offset, shape, strides)


def _sizes(value: object) -> tuple[int, ...]:
    if isinstance(value, Call) and value.function == Global("torch", "Size") and isinstance(value.arguments, tuple):
        value = value.arguments[0] if len(value.arguments) == 1 else ()
    sizes = tuple(value) if isinstance(value, tuple | list) else (-1,)
    if len(sizes) > DIMENSIONS_LIMIT or not all(type(n) is int and 0 <= n < 1 << 48 for n in sizes):
        raise Broken("a tensor whose size is none")
    return sizes


def _list_of_mark(m: _WeightsMachine) -> None:
    m.push(m.pop_mark())


def _dict_of_mark(m: _WeightsMachine) -> None:
    values = m.pop_mark()
    m.push(Table())
    m.put(values)


def _setitem(m: _WeightsMachine) -> None:
    value, key = m.pop(), m.pop()
    m.put([key, value])


def _append(m: _WeightsMachine) -> None:
    value = m.pop()
    m.extend([value])


def _persistent_line(m: _WeightsMachine) -> None:
    raise Broken("points to something by a line of text, which PyTorch does not")


_WeightsMachine.steps = {
    **STEPS,
    ord("]"): lambda m: m.push([]),
    ord("l"): _list_of_mark,
    ord("a"): _append,
    ord("e"): lambda m: m.extend(m.pop_mark()),
    ord("}"): lambda m: m.push(Table()),
    ord("d"): _dict_of_mark,
    ord("s"): _setitem,
    ord("u"): lambda m: m.put(m.pop_mark()),
    ord("t"): lambda m: m.push(tuple(m.pop_mark())),
    ord("Q"): _WeightsMachine.persistent,
    ord("P"): _persistent_line,
    0x88: lambda m: m.push(True),
    0x89: lambda m: m.push(False),
}
