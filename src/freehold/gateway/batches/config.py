"""What an operator may set about batches and work that can wait. Limits on a batch are OpenAI's."""

from typing import Annotated

import msgspec

from freehold.gateway.config import Count, Seconds

Days = Annotated[int, msgspec.Meta(ge=1, le=365)]


class BatchesConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    enabled: bool = True
    concurrency: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 8  # lines and deferred requests at a time; live ones count
    lines_limit: Count = 50_000  # of one batch
    file_limit_bytes: Count = 200 << 20
    storage_limit_bytes: Count = 10 << 30  # of all files together
    unfinished_limit: Count = 100  # batches of one key that are not over
    keep_days: Days = 30  # files, and batches that are over
    longest_window_days: Days = 7  # a client may ask for
    attempts: Annotated[int, msgspec.Meta(ge=1, le=10)] = 3  # of one line that an upstream, or the end of the node, cuts short
    default_wait_s: Seconds = 600.0  # of a deferred request that names no deadline: the patience of OpenAI's own client
