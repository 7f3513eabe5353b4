"""What `freehold chat` asks for beside the words: the form of the answer, tools, log-probabilities."""

import json
from pathlib import Path
from typing import Any

import click


def request_options(
    *, json_object: bool, schema: Path | None, tools: Path | None, logprobs: int | None, sampling: dict[str, Any]
) -> dict[str, Any]:
    """Fields of a chat completion. What was not asked for is left to the node."""
    options = {name: value for name, value in sampling.items() if value is not None}
    if schema is not None:
        form = {"name": "answer", "schema": _object(schema, "a JSON schema"), "strict": True}
        options["response_format"] = {"type": "json_schema", "json_schema": form}
    elif json_object:
        options["response_format"] = {"type": "json_object"}
    if tools is not None:
        options["tools"] = _tools(tools)
    if logprobs is not None:
        options |= {"logprobs": True, **({"top_logprobs": logprobs} if logprobs else {})}
    return options


def _tools(path: Path) -> list[Any]:
    """A list of tools as OpenAI has them, or of bare functions; one alone may go without the list."""
    read = _read(path)
    items = read if isinstance(read, list) else [read]
    found = []
    for number, item in enumerate(items):
        function = item.get("function", item) if isinstance(item, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise click.UsageError(f"{path}: tool {number} has no name; each is {{name, description, parameters}}")
        found.append({"type": "function", "function": function})
    return found


def _object(path: Path, what: str) -> dict[str, Any]:
    read = _read(path)
    if not isinstance(read, dict):
        raise click.UsageError(f"{path} is no JSON object, which {what} is")
    return read


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as exc:
        raise click.UsageError(f"cannot read {path}: {exc.strerror}") from exc
    except (ValueError, RecursionError) as exc:
        raise click.UsageError(f"{path} is no JSON: {exc}") from exc
