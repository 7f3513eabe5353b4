"""Facts of a model on disk for people: what it is, and whether we run it. Reads its header alone, signed or not."""

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from freehold.core.errors import ArtefactError
from freehold.engine.header import ModelHeader, read_path
from freehold.engine.models.shape import shape_of
from freehold.engine.template import chat_template
from freehold.engine.tokenizer import read_tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeShare:
    """All tensors of one type."""

    type: str
    tensors: int
    parameters: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """None is unknown: the file does not say, or says it in a way we do not read."""

    name: str | None
    architecture: str | None
    licence: str | None
    parameters: int
    file_bytes: int
    format: str  # "GGUF 3", "safetensors"
    tensors: tuple[TypeShare, ...]  # most bytes first
    layers: int | None
    embedding: int | None
    heads: int | None
    kv_heads: int | None
    vocabulary: int | None
    context_tokens: int | None
    tokenizer: str | None  # "gpt2/smollm"
    template_digest: str | None
    supports_tools: bool | None
    unsupported: tuple[str, ...]  # why we do not run it; empty where we do
    must_be_converted: bool  # before it runs

    @property
    def supported(self) -> bool:
        return not self.unsupported


def inspect(path: Path) -> ModelFacts:
    """Raises MalformedArtefact or UnsupportedArtefact where the header cannot be read, DeviceError where the file cannot."""
    header = read_path(path)
    metadata = header.metadata
    architecture = _text(metadata, "general.architecture")
    reasons: list[str] = []
    tools = digest = None
    try:
        shape_of(metadata, header.tensors)
    except ArtefactError as exc:
        reasons.append(exc.message)
    bos = eos = ""
    try:
        tokenizer = read_tokenizer(metadata, path.name)
        bos, eos = tokenizer.text_of(tokenizer.bos_id), tokenizer.text_of(tokenizer.eos_id)
    except ArtefactError as exc:
        reasons.append(exc.message)
    try:
        template = chat_template(metadata, path.name, bos=bos, eos=eos)
        tools, digest = template.supports_tools, template.digest
    except ArtefactError as exc:
        reasons.append(exc.message)
    types = _types(header)
    tokens = metadata.get("tokenizer.ggml.tokens")
    return ModelFacts(
        name=_text(metadata, "general.name"),
        architecture=architecture,
        licence=_text(metadata, "general.license"),
        parameters=sum(share.parameters for share in types),
        file_bytes=header.file_bytes,
        format=header.format,
        tensors=types,
        layers=_count(metadata, f"{architecture}.block_count"),
        embedding=_count(metadata, f"{architecture}.embedding_length"),
        heads=_count(metadata, f"{architecture}.attention.head_count"),
        kv_heads=_count(metadata, f"{architecture}.attention.head_count_kv"),
        vocabulary=len(tokens) if isinstance(tokens, list) else None,
        context_tokens=_count(metadata, f"{architecture}.context_length"),
        tokenizer=_tokenizer(metadata),
        template_digest=digest,
        supports_tools=tools,
        unsupported=tuple(reasons),
        must_be_converted=header.must_be_converted,
    )


def _types(header: ModelHeader) -> tuple[TypeShare, ...]:
    tensors: Counter[str] = Counter()
    parameters: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for info in header.tensors.values():
        kind = info.type.name
        tensors[kind] += 1
        parameters[kind] += math.prod(info.shape)
        sizes[kind] += info.size_bytes
    return tuple(
        TypeShare(type=kind, tensors=tensors[kind], parameters=parameters[kind], size_bytes=size)
        for kind, size in sizes.most_common()
    )


def _tokenizer(metadata: Any) -> str | None:
    parts = [_text(metadata, "tokenizer.ggml.model"), _text(metadata, "tokenizer.ggml.pre")]
    return "/".join(part for part in parts if part) or None


def _text(metadata: Any, key: str) -> str | None:
    """A text out of the file, safe to print and short."""
    value = metadata.get(key)
    return "".join(symbol for symbol in value[:200] if symbol.isprintable()) if isinstance(value, str) else None


def _count(metadata: Any, key: str) -> int | None:
    value = metadata.get(key)
    return value if type(value) is int else None
