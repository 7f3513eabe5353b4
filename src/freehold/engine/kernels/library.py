"""The compiled kernels of one target, made when first asked for: a model costs the compile time of its own types only."""

from typing import Any

from freehold.engine.kernels import attention, formats, matmul, mixture, step
from freehold.engine.kernels.graph import Graph
from freehold.engine.kernels.jit import compile_function
from freehold.engine.kernels.targets import Target, choose_target
from freehold.engine.tensor_types import TensorType

_made: dict[tuple[Any, ...], int] = {}  # by name and what it is made for: code lives as long as the process


class Kernels:
    """Addresses of machine code. Safe to share between threads once made."""

    def __init__(self, name: str | None = None) -> None:
        self.target: Target = choose_target(name)

    @property
    def name(self) -> str:
        return self.target.name

    def pack(self, type_: TensorType) -> int:
        return self._make(f"pack_{type_.name}", formats.emit_pack, type_)

    def single(self, type_: TensorType) -> int:
        return self._make(f"single_{type_.name}", formats.emit_single, type_)

    def few(self, type_: TensorType) -> int:
        return self._make(f"few_{type_.name}", formats.emit_few, type_)

    def dots(self, type_: TensorType) -> int:
        panel = formats.FORMATS[type_].panel
        return self._make(f"dots_{panel.name}", matmul.emit_dots, panel)

    def expand(self, type_: TensorType, scale: float = 1.0) -> int:
        panel = formats.FORMATS[type_].panel
        return self._make(f"expand_{panel.name}", matmul.emit_expand, panel, scale)

    def place(self, graph: Graph) -> int:
        return self._make("place", attention.emit_place, graph)

    def attend(self, graph: Graph) -> int:
        return self._make("attend", attention.emit_attend, graph)

    def step(self, graph: Graph) -> int:
        return self._make("step", mixture.emit_mixture_step if graph.experts else step.emit_step, graph)

    def _make(self, name: str, emit: Any, *what: Any) -> int:
        name = f"{name}_{self.name}".lower()
        key = (name, *what)
        if key not in _made:
            _made[key] = compile_function(name, lambda module: emit(module, name, *what, self.target))
        return _made[key]
