"""Our engine as an upstream, inside the test's own process: one exchange at a time."""

import itertools
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from freehold.core.events import Event, MessageStart, ServedBy
from freehold.core.exchange import Exchange, KeyId, ModelId
from freehold.core.models import Manifest, ManifestFile, VerifiedModel
from freehold.core.ports import UpstreamStatus
from freehold.engine.config import EngineConfig
from freehold.engine.frames import Ended, Submit, Text
from freehold.engine.runtime import Runtime
from freehold.engine.sequence import Failed, Finished, Grown
from freehold.engine.telling import Telling


class EngineUpstream:
    """Implements `Upstream`."""

    def __init__(self, path: Path, *, seed: int = 1) -> None:
        config = EngineConfig(
            model=path.stem, threads=1, device="cpu", context_tokens=512, kv_memory_mb=256, max_sequences=32, speculation_tokens=0
        )
        self._runtime = Runtime(_unsigned(path), config, lambda *_: None)
        self._seeds = itertools.count(seed * 1_000_003, 10_007)
        self._numbers = itertools.count(1, 1000)

    @property
    def name(self) -> str:
        return "engine"

    @property
    def models(self) -> Sequence[str]:
        return ("small",)

    def status(self) -> UpstreamStatus:
        return UpstreamStatus(ready=True, detail="ready")

    async def close(self) -> None:
        self.stop()

    def stop(self) -> None:
        """For fixtures, which outlive a test's event loop."""
        self._runtime.close()

    async def send(self, exchange: Exchange) -> AsyncIterator[list[Event]]:
        submit = Submit(
            request=next(self._numbers),
            messages=exchange.messages,
            tools=(),
            sampling=exchange.sampling,
            seed=next(self._seeds),
            choices=exchange.choices,
            key="key_test",
        )
        self._runtime.scheduler.submit(*self._runtime.prompts.requests(submit))
        yield [MessageStart(served=ServedBy(provider="freehold", model=exchange.model, build="test"))]
        telling = Telling(exchange, None)
        while not telling.is_over:
            for output in self._runtime.scheduler.step():
                match output:
                    case Grown():
                        frame = Text(request=output.request, piece=output.piece, worked=output.worked)
                        events = telling.text(output.request - submit.request, frame)
                    case Finished():
                        end = Ended(
                            request=output.request,
                            reason=output.reason,
                            input_tokens=output.input_tokens,
                            output_tokens=output.output_tokens,
                            worked=output.worked,
                        )
                        events = telling.end(output.request - submit.request, end)
                    case Failed():
                        raise output.error
                yield list(events)


def _unsigned(path: Path) -> VerifiedModel:
    """A model whose blocks nobody checks."""
    file = ManifestFile(name=path.name, size_bytes=path.stat().st_size, root=b"", sha256="", leaves=())
    manifest = Manifest(model_id=ModelId("00" * 32), name=path.stem, files=(file,), origin="a test")
    return VerifiedModel(manifest=manifest, directory=path.parent, signed_by=KeyId("nobody"), check_block=lambda *_: None)
