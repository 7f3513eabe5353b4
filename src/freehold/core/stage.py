"""A stage takes events in and gives events out; `relay` in the gateway chains them."""

from typing import Protocol

from freehold.core.events import Event


class Stage(Protocol):
    """Takes one event in, gives events out. Does no I/O, keeps no clock.

    A stage that raises closes the stream: text that was not scanned is not sent.
    """

    def receive(self, event: Event) -> list[Event]: ...

    def close(self) -> list[Event]:
        """Release what is still held back. Called once, after the last event."""
        ...
