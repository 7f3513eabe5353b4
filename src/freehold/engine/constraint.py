"""What holds an answer to a form: which tokens may come next, asked before each is chosen."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.uint32]  # bit i of word i // 32 is set where token i may come next


class Constraint(Protocol):
    """One answer's. Not thread-safe."""

    def mask(self) -> Mask | None:
        """Tokens that may come next, an end token exactly where the text may end; None allows all."""
        ...

    def accept(self, token: int) -> None:
        """`token` was chosen."""
        ...

    @property
    def is_over(self) -> bool:
        """Nothing but an end can follow."""
        ...
