"""A small layer over llvmlite's builder: what our kernels are written in.

Every value is either an i64 (addresses and counts), a vector of `lanes` f32 or i32, or a narrower piece of one. Kernels are
explicit vector code: nothing is left to an auto-vectoriser, and no fast-math flag is ever set, so the order of every float
operation is the order in which it is written here, on whichever path it is reached.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from llvmlite import ir

Value: TypeAlias = Any  # an llvmlite value; llvmlite ships no types
Count: TypeAlias = Any  # a Value of type i64, or an int

I8, I16, I32, I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
F32, F16 = ir.FloatType(), ir.HalfType()
POINTER, VOID = ir.PointerType(), ir.VoidType()


def vector(count: int, element: Any) -> Any:
    return ir.VectorType(element, count)


class Emitter:
    """Writes one function. `lanes` is the number of f32 in a vector of the target."""

    def __init__(self, module: Any, name: str, arguments: int, lanes: int, *, internal: bool = False) -> None:
        self.module, self.lanes = module, lanes
        self.function = ir.Function(module, ir.FunctionType(VOID, [I64] * arguments), name)
        if internal:
            self.function.linkage = "internal"
        self.builder = ir.IRBuilder(self.function.append_basic_block("entry"))
        self.floats, self.ints = vector(lanes, F32), vector(lanes, I32)

    @property
    def arguments(self) -> tuple[Value, ...]:
        return tuple(self.function.args)

    # ---- constants, addresses -------------------------------------------------------------------------------

    def i64(self, value: Count) -> Value:
        return ir.Constant(I64, value) if isinstance(value, int) else value

    def f32(self, value: float) -> Value:
        return ir.Constant(F32, value)

    def const(self, type_: Any, value: float) -> Value:
        """`value` in every element of a vector, or a scalar."""
        return ir.Constant(type_, [value] * type_.count if isinstance(type_, ir.VectorType) else value)

    def add(self, *terms: Count) -> Value:
        total = self.i64(terms[0])
        for term in terms[1:]:
            total = total if isinstance(term, int) and term == 0 else self.builder.add(total, self.i64(term))
        return total

    def sub(self, a: Count, b: Count) -> Value:
        return self.builder.sub(self.i64(a), self.i64(b))

    def mul(self, a: Count, b: Count) -> Value:
        return self.builder.mul(self.i64(a), self.i64(b))

    def div(self, a: Count, b: Count) -> Value:
        return self.builder.udiv(self.i64(a), self.i64(b))

    def ceil_div(self, a: Count, b: int) -> Value:
        return self.div(self.add(a, b - 1), b)

    def less(self, a: Count, b: Count) -> Value:
        return self.builder.icmp_signed("<", self.i64(a), self.i64(b))

    def minimum(self, a: Count, b: Count) -> Value:
        return self.builder.select(self.less(a, b), self.i64(a), self.i64(b))

    def select(self, condition: Value, a: Count, b: Count) -> Value:
        return self.builder.select(condition, self.i64(a), self.i64(b))

    def pointer(self, address: Value) -> Value:
        return self.builder.inttoptr(address, POINTER)

    def load(self, type_: Any, address: Value, offset: Count = 0, *, align: int = 1) -> Value:
        return self.builder.load(self.pointer(self.add(address, offset)), align=align, typ=type_)

    def store(self, value: Value, address: Value, offset: Count = 0, *, align: int = 1) -> None:
        self.builder.store(value, self.pointer(self.add(address, offset)), align=align)

    def field(self, record: Value, index: int) -> Value:
        """An i64 of a record of i64."""
        return self.load(I64, record, 8 * index, align=8)

    def load_index(self, address: Value, index: Count) -> Value:
        """Element of an int32 array, as i64."""
        return self.builder.sext(self.load(I32, address, self.mul(index, 4), align=4), I64)

    def stack(self, size_bytes: int) -> Value:
        """Address of scratch that lives as long as the call."""
        with self.builder.goto_entry_block():
            slot = self.builder.alloca(vector(16, I32), size=ir.Constant(I64, -(-size_bytes // 64)))
            slot.align = 64
            return self.builder.ptrtoint(slot, I64)

    # ---- control --------------------------------------------------------------------------------------------

    def loop(
        self, count: Count, body: Callable[[Value, list[Value]], Sequence[Value] | None], carried: Sequence[Value] = ()
    ) -> list[Value]:
        """for i in range(count): carried = body(i, carried). Gives what is carried at the end."""
        builder, count = self.builder, self.i64(count)
        before = builder.block
        block, done = builder.append_basic_block("loop"), builder.append_basic_block("done")
        builder.cbranch(builder.icmp_signed(">", count, self.i64(0)), block, done)
        builder.position_at_end(block)
        index = builder.phi(I64)
        index.add_incoming(self.i64(0), before)
        phis = [builder.phi(value.type) for value in carried]
        for phi, value in zip(phis, carried, strict=True):
            phi.add_incoming(value, before)
        results = list(body(index, list(phis)) or [])
        following = builder.add(index, self.i64(1))
        end = builder.block
        builder.cbranch(builder.icmp_signed("<", following, count), block, done)
        index.add_incoming(following, end)
        for phi, result in zip(phis, results, strict=True):
            phi.add_incoming(result, end)
        builder.position_at_end(done)
        outs = []
        for value, result in zip(carried, results, strict=True):
            out = builder.phi(value.type)
            out.add_incoming(value, before)
            out.add_incoming(result, end)
            outs.append(out)
        return outs

    def each(self, count: Count, body: Callable[[Value], None]) -> None:
        self.loop(count, lambda i, _: body(i))

    @contextmanager
    def when(self, condition: Value) -> Iterator[None]:
        with self.builder.if_then(condition):
            yield

    def repeat(self, body: Callable[[], Value]) -> None:
        """do body() while it gives true."""
        block, done = self.builder.append_basic_block("repeat"), self.builder.append_basic_block("done")
        self.builder.branch(block)
        self.builder.position_at_end(block)
        self.builder.cbranch(body(), block, done)
        self.builder.position_at_end(done)

    def call(self, function: "Emitter | Value", *arguments: Count) -> None:
        """Call another emitted function, or an address."""
        values = [self.i64(argument) for argument in arguments]
        if isinstance(function, Emitter):
            self.builder.call(function.function, values)
        else:
            self.builder.call(_Address(self.pointer(function), len(values)), values)

    def external(self, name: str, *arguments: Value) -> None:
        """Call a C function, found in the process. What it gives back is not looked at."""
        type_ = ir.FunctionType(I32, [argument.type for argument in arguments])
        self.builder.call(self._declared(name, type_), list(arguments))

    def returns(self) -> None:
        self.builder.ret_void()

    # ---- vectors --------------------------------------------------------------------------------------------

    def splat(self, value: Value, count: int | None = None) -> Value:
        count = count or self.lanes
        undefined = ir.Constant(vector(count, value.type), ir.Undefined)
        one = self.builder.insert_element(undefined, value, ir.Constant(I32, 0))
        return self.shuffle(one, one, [0] * count)

    def shuffle(self, a: Value, b: Value, lanes: Sequence[int]) -> Value:
        return self.builder.shuffle_vector(a, b, ir.Constant(vector(len(lanes), I32), list(lanes)))

    def concat(self, parts: Sequence[Value]) -> Value:
        """Vectors of one length, end to end; their number a power of two."""
        parts = list(parts)
        while len(parts) > 1:
            n = parts[0].type.count
            parts = [self.shuffle(a, b, range(2 * n)) for a, b in zip(parts[::2], parts[1::2], strict=True)]
        return parts[0]

    def fold(self, value: Value, combine: Callable[[Value, Value], Value]) -> Value:
        """Combine all lanes in a tree: halves onto each other until one is left."""
        while value.type.count > 1:
            half = value.type.count // 2
            low = self.shuffle(value, value, range(half))
            high = self.shuffle(value, value, range(half, 2 * half))
            value = combine(low, high)
        return self.builder.extract_element(value, ir.Constant(I32, 0))

    def to_float(self, ints: Value) -> Value:
        return self.builder.sitofp(ints, vector(ints.type.count, F32))

    def bits(self, value: Value, type_: Any) -> Value:
        return self.builder.bitcast(value, type_)

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        return self.intrinsic("llvm.fma", a, b, c)

    def intrinsic(self, name: str, *values: Value) -> Value:
        """An LLVM intrinsic overloaded on the type of its values."""
        type_ = values[0].type
        suffix = f"v{type_.count}{type_.element.intrinsic_name}" if isinstance(type_, ir.VectorType) else type_.intrinsic_name
        return self.named(f"{name}.{suffix}", type_, *values)

    def named(self, name: str, result: Any, *values: Value) -> Value:
        """An intrinsic by its full name."""
        return self.builder.call(self._declared(name, ir.FunctionType(result, [v.type for v in values])), list(values))

    def maximum(self, a: Value, b: Value) -> Value:
        """Where either is NaN, b: x86's own rule, one instruction."""
        return self.builder.select(self.builder.fcmp_ordered(">", a, b), a, b)

    def prefetch(self, address: Value, offset: Count = 0) -> None:
        """Fetch a line into the second cache. What is asked for a panel ahead would only wash the first one out."""
        type_ = ir.FunctionType(VOID, [POINTER, I32, I32, I32])
        pointer = self.pointer(self.add(address, offset))
        self.builder.call(self._declared("llvm.prefetch.p0", type_), [pointer, *(ir.Constant(I32, v) for v in (0, 2, 1))])

    def _declared(self, name: str, type_: Any) -> Any:
        found = self.module.globals.get(name)
        return found if found is not None else ir.Function(self.module, type_, name)


class _Address:
    """A pointer that llvmlite will call: i64 arguments, no result."""

    def __init__(self, pointer: Value, arguments: int) -> None:
        self.pointer = pointer
        self.function_type = ir.FunctionType(VOID, [I64] * arguments)
        self.type = POINTER
        self.calling_convention = ""

    def get_reference(self) -> str:
        return str(self.pointer.get_reference())
