"""A stage takes events in and gives events out; `relay` in the gateway chains them."""

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from freehold.core.events import Event


class Stage(Protocol):
    """Takes one event in, gives events out. Does no I/O, keeps no clock.

    A stage that raises closes the stream: text that was not scanned is not sent.
    """

    def receive(self, event: Event) -> list[Event]: ...

    def close(self) -> list[Event]:
        """Release what is still held back. Called once, after the last event."""


class Judge(Stage, Protocol):
    """A stage that looks at all of a text when its end comes: whoever has an event loop may have that done on another thread.

    It shares nothing that changes with other stages, and one that is not needed any more need not be closed.
    """

    def weighs(self, event: Event | None) -> int:
        """How many characters `receive` of this event looks at, at most; None stands for `close`. Changes nothing."""


@runtime_checkable
class Stepwise(Protocol):
    """A stage that can take a long event in steps, so that whoever has an event loop lets others go on in between."""

    def steps(self, event: Event) -> Iterator[list[Event] | None]:
        """What `receive` gives for `event`, list by list, each after a few milliseconds at most; some are empty.

        None announces a step that takes longer, and may be taken on another thread.
        """


def steps(stage: Stage, event: Event) -> Iterator[list[Event] | None]:
    """Hand `event` to `stage` in as small steps as it can."""
    if isinstance(stage, Stepwise):
        yield from stage.steps(event)
    else:
        yield stage.receive(event)
