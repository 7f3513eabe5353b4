"""Gemini's own schemas, a dialect of OpenAPI's with types in capitals, as JSON schemas.

The other way needs no translation: providers take a JSON schema as it is (`parametersJsonSchema`, `responseJsonSchema`).
"""

from collections.abc import Mapping
from typing import Any

from freehold.gateway.wire import fields
from freehold.gateway.wire.gemini_words import named

_TYPES = {"STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"}
_COUNTS = {"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"}  # int64: JSON may quote them


def to_json_schema(schema: Any, where: str) -> dict[str, Any]:
    """Fields that both have stay as they are. The parser has bounded the depth."""
    written: dict[str, Any] = {}
    document = named(fields.member(schema, where), where + ".")
    for key, value in document.items():
        at = f"{where}.{key}"
        match key:
            case "type":
                written |= _type(value)
            case "properties" | "$defs" | "defs" if isinstance(value, Mapping):
                name = "$defs" if key == "defs" else key
                written[name] = {name: to_json_schema(item, f"{at}.{name}") for name, item in value.items()}
            case "items" | "additionalProperties" if isinstance(value, Mapping):
                written[key] = to_json_schema(value, at)
            case "anyOf" if isinstance(value, list):
                written[key] = [to_json_schema(item, f"{at}[{number}]") for number, item in enumerate(value)]
            case "example":
                written["examples"] = [value]
            case "nullable" | "propertyOrdering":
                pass
            case _:
                is_count = key in _COUNTS and isinstance(value, str) and value.isascii() and value.isdigit()
                written[key] = int(value) if is_count and len(value) < 20 else value
    if document.get("nullable") is True:
        _allow_null(written)
    return written


def _type(value: Any) -> dict[str, Any]:
    """TYPE_UNSPECIFIED says nothing, and neither does a type we do not know."""
    if isinstance(value, list):
        kinds = [word.lower() for word in value if isinstance(word, str) and word.upper() in _TYPES]
        return {"type": kinds} if kinds else {}
    return {"type": value.lower()} if isinstance(value, str) and value.upper() in _TYPES else {}


def _allow_null(schema: dict[str, Any]) -> None:
    kind = schema.get("type")
    if isinstance(kind, str):
        schema["type"] = [kind, "null"]
    elif isinstance(schema.get("anyOf"), list):
        schema["anyOf"] = [*schema["anyOf"], {"type": "null"}]
    if isinstance(schema.get("enum"), list):
        schema["enum"] = [*schema["enum"], None]
