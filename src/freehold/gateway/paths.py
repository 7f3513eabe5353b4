"""What is said of this machine's files is for who runs it. Everybody else is told a path by its last name alone.

That is enough to know what is meant and what to do. The log has the words whole, as has `/readyz` for an admin's key.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from freehold.core.errors import ClientError, FreeholdError, UpstreamRejected
from freehold.gateway import log

# Not the path of an address, of a fraction or of a word like "and/or".
_PART: Final = r"[^\s/\\'\"`,;:()\[\]<>|]+"
_PATH: Final = re.compile(rf"(?<![\w:/.~%-])(?:~|[A-Za-z]:(?=\\))?[/\\](?:{_PART}[/\\])*({_PART})[/\\]?")


class Paths:
    """`folders` are those that files of the node lie in: their names may hold what else ends a path in a text, as spaces do."""

    def __init__(self, folders: Iterable[Path] = ()) -> None:
        known = {str(folder) for folder in folders if len(folder.parts) > 1}
        self._folders = [(name, f"/{Path(name).name.replace(' ', '_')}") for name in sorted(known, key=len, reverse=True)]

    def without(self, words: str) -> str:
        """Each path as its last name."""
        for folder, short in self._folders:
            words = words.replace(folder, short)
        return _PATH.sub(r"\1", words)

    def keep_from_client(self, error: FreeholdError) -> FreeholdError:
        """`error`, about to be told to a client: its message is changed where it names a path, and logged whole.

        What is said of the client's own request, or by a provider, names no file of ours and stays as it is.
        """
        if isinstance(error, ClientError | UpstreamRejected):
            return error
        whole, error.message = error.message, self.without(error.message)
        if error.message != whole:
            log.error("told_without_paths", code=error.code, reason=whole)
        return error
