"""The stack machine of pickles, over descriptions of values: stack, memo, and how names and bytes are read off the stream.

What each opcode does is in `pickle_opcodes`. What an import, a call, a state and bytes inside of the stream mean is decided by
whoever runs the machine: the scan tells them (`pickles`), the reader of weights refuses them (`provenance.unpickle_machine`).
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from freehold.provenance.scan.context import Context
from freehold.provenance.scan.findings import shown
from freehold.provenance.scan.pickle_values import MARK, OPAQUE, Broken
from freehold.provenance.scan.source import Cursor, Truncated

OPCODES_LIMIT = 20_000_000
STACK_LIMIT = 1_000_000  # entries of stack and marks; the same for the memo
TEXT_LIMIT_BYTES = 1024  # a longer string is no name
LINE_LIMIT_BYTES = 64 << 20  # protocol 0 has an array's bytes in one
NESTED_LIMIT_BYTES = 16 << 20
_STOP = 0x2E
_NUMBER = re.compile(r"00|01|0|-?[1-9][0-9]*")


class Machine(ABC):
    """`run` goes to the STOP. Raises Broken or Truncated where the stream is no pickle."""

    steps: ClassVar[Mapping[int, Callable[[Any], Any]]]  # what each opcode does

    def __init__(self, cursor: Cursor, context: Context) -> None:
        self.cursor = cursor
        self.context = context
        self.stack: list[object] = []
        self.memo: dict[int, object] = {}
        self.protocol = 0
        self.frame_end = 0
        self.opcodes = 0
        self.result: object = OPAQUE
        self.at = cursor.offset  # of the opcode that runs

    @abstractmethod
    def imported(self, module: object, name: object) -> None:
        """Pushes what stands for an import of `name`, both of them texts where the stream has them as such."""

    @abstractmethod
    def called(self, function: object, arguments: object) -> None:
        """Pushes what stands for the value of a call."""

    @abstractmethod
    def built(self) -> None:
        """BUILD: takes a state off the stack, for the value below it."""

    @abstractmethod
    def nested(self, data: bytes) -> None:
        """Bytes, or a short text's bytes, that lie in the stream as a value."""

    def run(self) -> None:
        take, steps = self.cursor.take, self.steps
        while True:
            self.at = self.cursor.offset
            code = take(1)[0]
            if code == _STOP:
                self.result = self.pop()
                return
            step = steps.get(code)
            if step is None:
                raise Broken(f"there is no opcode 0x{code:02x}")
            self.opcodes += 1
            if self.opcodes > OPCODES_LIMIT or len(self.stack) > STACK_LIMIT or len(self.memo) > STACK_LIMIT:
                raise Broken(f"more than {OPCODES_LIMIT} opcodes, or {STACK_LIMIT} values at a time")
            step(self)
            if self.at < self.frame_end < self.cursor.offset:
                self.torn()

    def torn(self) -> None:
        """No writer lets an opcode lie across the end of its frame. CPython's C reader drops what is left of the frame and reads
        on behind it, its Python reader gives up: what is read here is not what a loader reads."""
        self.context.find("pickle-hidden-import", "an opcode across the end of its frame, which readers take apart", self.at)

    # The stack

    def push(self, value: object) -> None:
        self.stack.append(value)

    def pop(self) -> object:
        if not self.stack or self.stack[-1] is MARK:
            raise Broken("takes a value from an empty stack")
        return self.stack.pop()

    def top(self) -> object:
        if not self.stack or self.stack[-1] is MARK:
            raise Broken("looks at an empty stack")
        return self.stack[-1]

    def pop_mark(self) -> list[object]:
        """All above the topmost mark, in order."""
        for at in range(len(self.stack) - 1, -1, -1):
            if self.stack[at] is MARK:
                values = self.stack[at + 1 :]
                del self.stack[at:]
                return values
        raise Broken("there is no mark")

    def remember(self, key: int) -> None:
        if not 0 <= key < STACK_LIMIT:  # CPython's C reader makes a table of so many: eight bytes of a file become 64 GiB
            raise Broken(f"keeps a value in place {key} of the memo: the limit is {STACK_LIMIT}")
        self.memo[key] = self.top()

    def recall(self, key: int) -> None:
        if key not in self.memo:
            raise Broken(f"memo {key} was never written")
        self.push(self.memo[key])

    # Bytes and names

    def text_line(self) -> str:
        line = self.cursor.line(LINE_LIMIT_BYTES)
        if line is None:
            raise Broken(f"a line has more than {LINE_LIMIT_BYTES} bytes")
        return line.decode("utf-8", "replace")

    def number_line(self) -> int:
        """Readers differ in what else is a number (octal, underscores); only what all of them read alike is one here."""
        line = self.text_line().removesuffix("L")
        if not _NUMBER.fullmatch(line):
            raise Broken(f"{shown(line)} is not a number")
        return int(line) if len(line) <= 64 else 0  # a longer one is no size and no place

    def sized(self, size_bytes: int, *, as_text: bool) -> None:
        """A string or bytes of a known length: kept where it may be a name, looked into where it may be a pickle."""
        if size_bytes < 0:
            raise Broken("a string of negative length")
        if size_bytes > self.cursor.remaining:
            raise Truncated
        if size_bytes <= TEXT_LIMIT_BYTES:
            data = self.cursor.take(size_bytes)
            self.push(_decoded(data, as_text=as_text))
            self.nested(data)
            return
        if size_bytes <= NESTED_LIMIT_BYTES:
            head = self.cursor.take(2)
            if head[0] == 0x80 and head[1] <= 5:
                self.nested(head + self.cursor.take(size_bytes - 2))
            else:
                self.cursor.skip(size_bytes - 2)
        else:
            self.cursor.skip(size_bytes)
        self.push(OPAQUE)


def _decoded(data: bytes, *, as_text: bool) -> str:
    """Bytes as a text that may be a name, whatever they are; a text has to be one."""
    try:
        return data.decode("utf-8", "surrogatepass" if as_text else "replace")
    except UnicodeDecodeError:
        raise Broken("a string that is not UTF-8") from None
