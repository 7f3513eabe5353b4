"""What a node tells whoever started it, from its first keys to its end."""

import json
import sys
from collections.abc import Sequence
from types import TracebackType

from freehold.cli.lines import progress_on
from freehold.engine.frames import Loading
from freehold.first_start import FirstKeys
from freehold.place import Place


class Teller:
    """Tells a person, on a terminal or in a log. A context while the engine loads."""

    def __init__(self) -> None:
        self._progress = progress_on(sys.stdout)
        self._url = ""
        self._loads = ""
        self._fit: Sequence[str] = ()

    def __enter__(self) -> None:
        self._progress.__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.__exit__(kind, error, trace)

    def keys(self, keys: FirstKeys) -> None:
        _say("Two keys were made. They are shown this once; the node keeps only their digests.")
        _say(f"  for clients        {keys.client}")
        _say(f"  for the dashboard  {keys.admin}")
        _say("More with: freehold keys create NAME\n")

    def listening(self, url: str) -> None:
        self._url = url

    def fit(self, lines: Sequence[str]) -> None:
        """What is predicted of the model's speed. Told once."""
        if self._fit != lines:
            self._fit = lines
            for line in lines:
                self._progress.note(f"  {line}")

    def loading(self, loading: Loading) -> None:
        if loading.what != self._loads:
            self._progress.step(f"loading {loading.what}", loading.total or None)
            self._loads = loading.what
        self._progress.advance(loading.done)

    def ready(self, place: Place) -> None:
        _say(f"Freehold is ready at {self._url}")
        _say(f"  OpenAI clients  base_url={self._url}/v1")
        if place.config.dashboard.enabled:
            _say(f"  dashboard       {self._url}/dashboard")
        _say(f"  home            {place.home}")
        if not place.config.engine.model and not place.config.upstreams:
            _say("No model answers here until [engine] of the configuration names one, or [[upstreams]] a provider.")
        _say("Stop it with Ctrl-C.")

    def refused(self, words: str) -> None:
        _say(words[0].upper() + words[1:] + ".")

    def stopping(self) -> None:
        _say("Stopping: answers under way may finish. Ctrl-C again ends them.")


class JsonTeller(Teller):
    """Tells a program."""

    def __init__(self) -> None:
        self._url = ""
        self._loads = ""
        self._fit = ()

    def __enter__(self) -> None:
        pass

    def keys(self, keys: FirstKeys) -> None:
        self._tell("keys_created", client_key=keys.client, admin_key=keys.admin)

    def listening(self, url: str) -> None:
        self._url = url
        self._tell("listening", url=url)

    def fit(self, lines: Sequence[str]) -> None:
        if self._fit != lines:
            self._fit = lines
            self._tell("fit", lines=list(lines))

    def loading(self, loading: Loading) -> None:
        if loading.what != self._loads:
            self._tell("loading", what=loading.what)
            self._loads = loading.what

    def ready(self, place: Place) -> None:
        self._tell("ready", url=self._url)

    def refused(self, words: str) -> None:
        self._tell("model_refused", why=words)

    def stopping(self) -> None:
        self._tell("stopping")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass

    def _tell(self, event: str, **fields: str | list[str]) -> None:
        _say(json.dumps({"event": event, **fields}))


def _say(text: str) -> None:
    print(text, flush=True)
