"""A judge that refuses the calls of one tool: holds each call until it is whole, as the real one does."""

from freehold.core.events import Event, MessageEnd, PartEnd, PartKind, Refused, ToolCallDelta, ToolCallStart

BAD_TOOL = "delete_everything"
REFUSAL = "The call to delete_everything was stopped by policy."


class ToolJudge:
    """A `Stage`."""

    def __init__(self) -> None:
        self._held: dict[tuple[int, int], list[Event]] = {}
        self.arguments: dict[tuple[int, int], str] = {}

    def receive(self, event: Event) -> list[Event]:
        match event:
            case ToolCallStart(is_remote=False):
                self._held[event.choice, event.part] = [event]
                self.arguments[event.choice, event.part] = event.arguments
                return []
            case ToolCallDelta() if (event.choice, event.part) in self._held:
                self._held[event.choice, event.part].append(event)
                self.arguments[event.choice, event.part] += event.arguments
                return []
            case PartEnd(kind=PartKind.TOOL_CALL) if (event.choice, event.part) in self._held:
                self._held[event.choice, event.part].append(event)
                return self._judged(event.choice, event.part)
            case MessageEnd():
                keys = [key for key in self._held if key[0] == event.choice]
                return [*(out for key in keys for out in self._judged(*key)), event]
        return [event]

    def close(self) -> list[Event]:
        return []

    def _judged(self, choice: int, part: int) -> list[Event]:
        held = self._held.pop((choice, part))
        start = held[0]
        assert isinstance(start, ToolCallStart)
        if start.name == BAD_TOOL:
            return [Refused(choice=choice, part=part, call_id=start.call_id, tool=start.name, text=REFUSAL)]
        return held
