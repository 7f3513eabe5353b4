"""The compiled kernels of one target, made when first asked for: a model costs the compile time of its own types only."""

from typing import Any

from freehold.engine.kernels import attention, formats, matmul, step
from freehold.engine.kernels.attention import Rope
from freehold.engine.kernels.jit import compile_function
from freehold.engine.kernels.targets import Target, choose_target
from freehold.engine.tensor_types import TensorType


class Kernels:
    """Addresses of machine code. Safe to share between threads once made."""

    def __init__(self, name: str | None = None) -> None:
        self.target: Target = choose_target(name)
        self._made: dict[str, int] = {}

    @property
    def name(self) -> str:
        return self.target.name

    def pack(self, type_: TensorType) -> int:
        return self._make(f"pack_{type_.name}", formats.emit_pack, type_)

    def single(self, type_: TensorType) -> int:
        return self._make(f"single_{type_.name}", formats.emit_single, type_)

    def dots(self, type_: TensorType) -> int:
        panel = formats.FORMATS[type_].panel
        return self._make(f"dots_{panel.name}", matmul.emit_dots, panel)

    def expand(self, type_: TensorType) -> int:
        panel = formats.FORMATS[type_].panel
        return self._make(f"expand_{panel.name}", matmul.emit_expand, panel)

    def place(self, head_dim: int, rope: Rope) -> int:
        return self._make(f"place_{head_dim}_{rope.name}", attention.emit_place, head_dim, rope)

    def attend(self, head_dim: int) -> int:
        return self._make(f"attend_{head_dim}", attention.emit_attend, head_dim)

    def step(self) -> int:
        return self._make("step", step.emit_step)

    def _make(self, name: str, emit: Any, *what: Any) -> int:
        name = f"{name}_{self.name}".lower()
        if name not in self._made:
            self._made[name] = compile_function(name, lambda module: emit(module, name, *what, self.target))
        return self._made[name]
