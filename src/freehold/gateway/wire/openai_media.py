"""What OpenAI's dialects have in common: media behind URLs that may hold the data themselves, and how much to think."""

from collections.abc import Mapping
from typing import Any, Literal

from freehold.core.exchange import ResponseFormat
from freehold.gateway.wire import fields
from freehold.gateway.wire.prompt import MediaPart, Reasoning, inner_schemas

_EFFORTS = ("minimal", "low", "medium", "high", "xhigh")  # the last is these dialects' alone: for others it is high
_NO_EFFORT = "none"
_EFFORT_UP_TO_TOKENS = ((2_048, "low"), (8_192, "medium"))  # budgets in words, as other gateways translate them, roughly
_AUDIO = {"wav": "audio/wav", "mp3": "audio/mpeg"}
_AUDIO_FORMATS = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/wave": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}


def of_url(kind: Literal["image", "video", "file"], url: str, *, name: str | None = None, detail: str | None = None) -> MediaPart:
    """A part by URL, or with the data that a `data:` URL holds. RFC 2397; of its parameters only `;base64` matters."""
    head, comma, data = url.partition(",")
    if head[:5].lower() != "data:" or not comma or not head.lower().endswith(";base64"):
        return MediaPart(kind=kind, url=url, name=name, detail=detail)
    media_type = head[5:].split(";", 1)[0] or None
    return MediaPart(kind=kind, media_type=media_type, data=data, name=name, detail=detail)


def of_file(document: Mapping[str, Any], at: str) -> MediaPart:
    """`file_data` is a data URL; providers take bare base64 too."""
    name, file_id = fields.text(document, "filename", at), fields.text(document, "file_id", at)
    data, url = fields.text(document, "file_data", at), fields.text(document, "file_url", at)
    if data:
        part = of_url("file", data, name=name)
        return part if part.data else MediaPart(kind="file", data=data, name=name)
    if url:
        return of_url("file", url, name=name)
    if file_id:
        return MediaPart(kind="file", file_id=file_id, name=name)
    raise fields.wrong(at + "file_data", "a file's data or its file_id")


def of_audio(document: Mapping[str, Any], at: str) -> MediaPart:
    data, form = fields.required_text(document, "data", at), fields.required_text(document, "format", at)
    if form not in _AUDIO:
        raise fields.wrong(at + "format", " or ".join(_AUDIO))
    return MediaPart(kind="audio", media_type=_AUDIO[form], data=data)


def to_url(part: MediaPart) -> str | None:
    """The part's URL, or one that holds its data; None for a provider's own file."""
    if part.data is not None:
        return f"data:{part.media_type or 'application/octet-stream'};base64,{part.data}"
    return part.url


def to_file(part: MediaPart) -> dict[str, Any]:
    """Fields that hold a file's data or id; none for a file by URL."""
    if part.data is not None:
        return {"filename": part.name or "file", "file_data": to_url(part)}
    return {"file_id": part.file_id} if part.file_id else {}


def to_audio(part: MediaPart) -> dict[str, Any] | None:
    form = _AUDIO_FORMATS.get(part.media_type or "")
    return {"data": part.data, "format": form} if part.data and form else None


def read_effort(effort: str | None, where: str, *, wants_summary: bool = False) -> Reasoning | None:
    if effort is None:
        return Reasoning(wants_summary=True) if wants_summary else None
    if effort == _NO_EFFORT:
        return Reasoning(budget_tokens=0, wants_summary=wants_summary)
    if effort not in _EFFORTS:
        raise fields.wrong(where, "one of " + ", ".join((_NO_EFFORT, *_EFFORTS)))
    return Reasoning(effort=effort, wants_summary=wants_summary)


def write_effort(reasoning: Reasoning | None) -> str | None:
    if reasoning is None:
        return None
    budget_tokens = reasoning.budget_tokens
    if reasoning.effort is not None or budget_tokens is None:
        return reasoning.effort
    if budget_tokens == 0:
        return _NO_EFFORT
    return next((word for up_to, word in _EFFORT_UP_TO_TOKENS if budget_tokens <= up_to), "high")


def read_schema(document: Mapping[str, Any], at: str) -> ResponseFormat:
    """A `json_schema` format: its name, its schema, and whether it binds."""
    return ResponseFormat(
        kind="json_schema",
        name=fields.text(document, "name", at) or "answer",
        schema=fields.mapping(document, "schema", at),
        is_strict=fields.boolean(document, "strict", at),
    )


def write_schema(form: ResponseFormat) -> dict[str, Any]:
    is_strict = write_strict(form.schema, form.is_strict)
    return {"name": form.name, "schema": dict(form.schema or {}), **({} if is_strict is None else {"strict": is_strict})}


def write_strict(schema: Mapping[str, Any] | None, is_strict: bool | None) -> bool | None:
    """OpenAI holds to a schema whose every property is required and that has no others, and refuses to be held to any else.

    Of another dialect's, which may leave some open, a best effort is the most that can be asked for.
    """
    return None if is_strict and not _is_closed(schema) else is_strict


def _is_closed(schema: Any) -> bool:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if isinstance(properties, dict) and (
        schema.get("additionalProperties") is not False or not _requires(schema.get("required"), properties)
    ):
        return False
    return all(map(_is_closed, inner_schemas(schema)))


def _requires(required: Any, properties: Mapping[str, Any]) -> bool:
    return isinstance(required, list) and all(name in required for name in properties)
