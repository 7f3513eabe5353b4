"""JSON beside weights: hooks that make a loader run code of the model's own, and chat templates."""

import json
import re
from typing import Any

from freehold.provenance.scan.context import Context
from freehold.provenance.scan.findings import shown
from freehold.provenance.scan.source import Source
from freehold.provenance.scan.templates import looks_like_template, scan_template

JSON_LIMIT_BYTES = 64 << 20  # a tokenizer of 256,000 tokens has 35 MB
HOOKS = ("auto_map", "custom_pipelines", "custom_pipeline")
_CODE = re.compile(r"__import__|\b(?:os|subprocess)\.(?:system|popen|run|Popen)\s*\(|\b(?:eval|exec)\s*\(")


class _Table(dict[str, Any]):
    """A JSON object that knows what it has twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.repeated: list[tuple[str, Any]] = []
        if len(self) != len(pairs):
            kept = {id(value) for value in self.values()}
            self.repeated = [(key, value) for key, value in pairs if id(value) not in kept] or pairs[:1]


def scan_json(source: Source, context: Context) -> None:
    if source.size_bytes > JSON_LIMIT_BYTES:
        context.find("limit", f"JSON of {source.size_bytes} bytes", 0)
        return
    try:
        document = json.loads(source.read_at(0, source.size_bytes), object_pairs_hook=_Table)
    except (ValueError, RecursionError) as exc:
        context.find("unparsed", f"JSON: {str(exc)[:120]}", 0)
        return
    check_document(document, context)


def check_document(document: Any, context: Context) -> None:
    """All tables of a document, without recursion: nesting is the sender's choice."""
    waiting: list[Any] = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(v for v in value if isinstance(v, dict | list))
        elif isinstance(value, dict):
            if isinstance(value, _Table) and value.repeated:
                context.find("header-odd", f"a table has {shown(value.repeated[0][0])} twice: readers take one or the other")
            for key, inner in (*value.items(), *(value.repeated if isinstance(value, _Table) else ())):
                _check_entry(key, inner, context)
                if isinstance(inner, dict | list):
                    waiting.append(inner)


def _check_entry(key: str, value: Any, context: Context) -> None:
    if key in HOOKS and value:
        context.find("code-hook", f"{key} names {shown(json.dumps(value))}")
    elif key == "trust_remote_code" and value:
        context.find("code-hook", "trust_remote_code is set")
    elif key in ("chat_template", "template") and isinstance(value, str) and looks_like_template(value):
        scan_template(value, context)
    elif (
        key in ("_target_", "_class_name")
        and isinstance(value, str)
        and re.match(r"(?:os|subprocess|builtins|posix|sys|shutil)\b", value)
    ):
        context.find("pickle-code", f"{key} names {shown(value)}")
    elif isinstance(value, str) and key in ("module", "class_name", "function", "code") and _CODE.search(value):
        context.find("code-hook", f"{key} holds code")


def scan_code(source: Source, context: Context) -> None:
    """A program among weights is nothing wrong by itself; a loader runs it only where a config's hook names it."""
    context.find("code-file", "a program lies beside the weights: it runs where a config names it and a loader trusts it")


def scan_template_file(source: Source, context: Context) -> None:
    if source.size_bytes > 4 << 20:
        context.find("limit", f"a template of {source.size_bytes} bytes", 0)
        return
    try:
        text = source.read_at(0, source.size_bytes).decode()
    except UnicodeDecodeError:
        context.find("unparsed", "template: not UTF-8", 0)
        return
    scan_template(text, context)
