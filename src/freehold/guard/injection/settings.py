"""What an operator may set for prompt injection: the `[injection]` table of the policy file."""

from typing import Annotated, Literal

import msgspec

from freehold.core.findings import Channel

InjectionAction = Literal["tag", "mask", "block"]
SpotlightName = Literal["off", "suspect", "all"]
Score = Annotated[float, msgspec.Meta(gt=0, le=1)]

# What somebody else wrote, and the request carries in. A file is the user's to send, but seldom the user's own words.
UNTRUSTED = frozenset((Channel.TOOL_RESULT, Channel.FILE))
# What the user, or who built the application, wrote.
ASKED = frozenset((Channel.SYSTEM, Channel.USER))


class InjectionSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`action` is for what untrusted content says; a user's own prompt is tagged and never changed.

    `spotlight` marks untrusted content as data before the model reads it: none, what is suspect, or all of it. `trusted_tools`
    are names or globs of tools whose results nobody else can write into: they are neither judged nor marked, and taint nothing.
    """

    mode: Literal["enforce", "shadow", "off"] = "enforce"
    action: InjectionAction = "tag"
    spotlight: SpotlightName = "suspect"
    tool_result_threshold: Score = 0.5
    file_threshold: Score = 0.5
    prompt_threshold: Score = 0.55
    trusted_tools: tuple[str, ...] = ()

    def threshold(self, channel: Channel) -> float:
        """The score from which on a text of `channel` is suspect."""
        if channel is Channel.TOOL_RESULT:
            return self.tool_result_threshold
        return self.file_threshold if channel is Channel.FILE else self.prompt_threshold
