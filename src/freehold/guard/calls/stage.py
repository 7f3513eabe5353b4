"""Lets tool calls through as they come."""

from freehold.core.events import Event


class CallStage:
    """A `Stage` of one answer."""

    def receive(self, event: Event) -> list[Event]:
        return [event]

    def close(self) -> list[Event]:
        return []
