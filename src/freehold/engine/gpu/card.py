"""The card: whether there is one, what of its memory may be taken, and what its links give.

Decided here: how much stays free, and that copies run on a stream of their own beside the computing. Where there is no card, as
in tests, the same code runs on the CPU, and what would be asynchronous is done at once.
"""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from freehold.core.errors import DeviceError
from freehold.engine.memory import megabytes

HEADROOM_BYTES: Final = 512 << 20
HEADROOM_SHARE: Final = 0.04
LEAST_CAPABILITY: Final = (8, 0)  # the first with bf16 in the matrix units
_COPY_BYTES: Final = 256 << 20
_LINK_BYTES: Final = 64 << 20


@dataclass(slots=True)
class Card:
    """`device` is a CUDA device, or the CPU in tests."""

    device: torch.device
    half: torch.dtype = torch.bfloat16  # of prompts' activations and expanded weights
    _copies: Any = field(default=None, init=False)

    @property
    def is_cuda(self) -> bool:
        return bool(self.device.type == "cuda")

    @property
    def name(self) -> str:
        return torch.cuda.get_device_name(self.device) if self.is_cuda else "no card"

    def usable_bytes(self, vram_mb: int) -> int:
        """What may be taken now: `vram_mb`, or what is free less headroom. Raises DeviceError where less is free."""
        free, total = torch.cuda.mem_get_info(self.device)
        if vram_mb:
            if vram_mb << 20 > free:
                raise DeviceError(
                    f"engine.vram_mb is {vram_mb}, and {megabytes(free)} of the card's {megabytes(total)} are free: "
                    "lower it, or end what uses the card"
                )
            return vram_mb << 20
        return max(0, int(free) - max(HEADROOM_BYTES, int(HEADROOM_SHARE * total)))

    def zeros(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        try:
            return torch.zeros(shape, dtype=dtype, device=self.device)
        except torch.OutOfMemoryError as exc:
            raise DeviceError(
                f"the card has no memory for {shape} of {dtype}: lower engine.vram_mb or engine.kv_memory_mb"
            ) from exc

    # ---- streams --------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def copying(self) -> Iterator[None]:
        """Copies that are begun inside run beside the computing."""
        if not self.is_cuda:
            yield
            return
        if self._copies is None:
            self._copies = torch.cuda.Stream(self.device)
        with torch.cuda.stream(self._copies):
            yield

    def mark(self) -> Any:
        """A mark behind what has been begun on the current stream."""
        if not self.is_cuda:
            return None
        event = torch.cuda.Event()
        event.record()
        return event

    def wait(self, mark: Any) -> None:
        """What is begun on the current stream from now on waits for the mark."""
        if mark is not None:
            mark.wait()

    def finish(self, mark: Any) -> None:
        """Return once the mark has been reached."""
        if mark is not None:
            mark.synchronize()

    def pin(self, memory: npt.NDArray[np.uint8]) -> torch.Tensor:
        """The memory as a tensor whose copies to the card are asynchronous. Raises DeviceError where the system pins no more."""
        tensor = torch.from_numpy(memory)
        if self.is_cuda and len(memory):
            torch.cuda.init()
            if code := int(torch.cuda.cudart().cudaHostRegister(tensor.data_ptr(), len(memory), 0)):
                raise DeviceError(
                    f"the system does not pin {megabytes(len(memory))} of memory (CUDA error {code}): lower engine.ram_mb"
                )
        return tensor

    def unpin(self, tensor: torch.Tensor) -> None:
        if self.is_cuda and len(tensor):
            torch.cuda.cudart().cudaHostUnregister(tensor.data_ptr())


def find_card() -> Card | None:
    """The first CUDA device, if the driver gives one that the kernels run on."""
    if not torch.cuda.is_available() or torch.cuda.get_device_capability(0) < LEAST_CAPABILITY:
        return None
    return Card(torch.device("cuda", 0))


def copy_rate(card: Card) -> float:
    """Bytes a second that the card reads of its own memory while it writes as many."""
    source = torch.zeros(_COPY_BYTES // 4, dtype=torch.int32, device=card.device)
    target = torch.empty_like(source)
    return 2 * _COPY_BYTES / _seconds(card, lambda: torch.add(source, 1, out=target))


def link_rate(card: Card) -> float:
    """Bytes a second from pinned memory to the card."""
    source = torch.empty(_LINK_BYTES, dtype=torch.uint8, pin_memory=card.is_cuda)
    target = torch.empty(_LINK_BYTES, dtype=torch.uint8, device=card.device)
    return _LINK_BYTES / _seconds(card, lambda: target.copy_(source, non_blocking=True))


def _seconds(card: Card, call: Any, repeats: int = 8) -> float:
    """Of one call, the best of three rounds."""
    call()
    best = float("inf")
    for _ in range(3):
        card.finish(card.mark())
        begun_s = time.perf_counter()
        for _ in range(repeats):
            call()
        card.finish(card.mark())
        best = min(best, (time.perf_counter() - begun_s) / repeats)
    return best
