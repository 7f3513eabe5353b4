"""A model as Hugging Face lays it out: config.json, tokenizer.json and *.safetensors, read into what a GGUF file's header says.

Loading and converting know one kind of model after that. Decided here: which directories we read. Every setting that would change
the computation in a way we do not compute is refused by name, and so is what asks for code of its own. No pickle is opened.
Matrices stay the bytes they are; vectors become float32 as they are loaded, Gemma's norms with the 1 that its code adds to them.

    model.layers.7.self_attn.q_proj.weight (rows, columns)   ->   blk.7.attn_q.weight (columns, rows)   the same bytes
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson

from freehold.core.errors import MalformedArtefact, UnsupportedArtefact
from freehold.engine.gguf import Prefix, TensorInfo
from freehold.engine.huggingface_config import config_metadata, text_config
from freehold.engine.huggingface_tokenizer import tokenizer_metadata
from freehold.engine.safetensors import StoredTensor, read_safetensors
from freehold.engine.tensor_types import TensorType

CONFIG, TOKENIZER, INDEX = "config.json", "tokenizer.json", "model.safetensors.index.json"
COMPANIONS: Final = ("tokenizer_config.json", "generation_config.json")
TEMPLATE: Final = "chat_template.jinja"
SUFFIX: Final = ".safetensors"
MAX_JSON_BYTES: Final = 64 << 20  # Gemma's tokenizer.json has 33 MB

_TYPES: Final[Mapping[str, TensorType]] = {"F32": TensorType.F32, "F16": TensorType.F16, "BF16": TensorType.BF16}
_WHOLE: Final[Mapping[str, str]] = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
_LAYER: Final = re.compile(r"model\.layers\.(0|[1-9][0-9]{0,4})\.([a-z_.]+)\.(weight|bias)")
_EXPERT: Final = re.compile(
    r"model\.layers\.(0|[1-9][0-9]{0,4})\.(?:mlp|block_sparse_moe)\.experts\.(0|[1-9][0-9]{0,3})\.(\w+)\.weight"
)
# Qwen's names, and Mixtral's.
_EXPERT_PARTS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("gate_proj", "w1"), "ffn_gate_exps"),
    **dict.fromkeys(("up_proj", "w3"), "ffn_up_exps"),
    **dict.fromkeys(("down_proj", "w2"), "ffn_down_exps"),
}
_PARTS: Final[Mapping[str, str]] = {
    "mlp.gate": "ffn_gate_inp",
    "block_sparse_moe.gate": "ffn_gate_inp",
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.qkv_proj": "attn_qkv",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "mlp.gate_up_proj": "ffn_up",
}
# Gemma 2 and 3 have norms before and after, and other names for them.
_PARTS_AROUND: Final[Mapping[str, str]] = {
    **_PARTS,
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}
# Computed from config.json instead; and the eyes of models whose text part we run.
_NOT_NEEDED: Final = re.compile(r".*rotary_emb\.inv_freq|(model\.)?(vision_tower|multi_modal_projector)\..*")


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryHeader:
    """As a GgufHeader, over several files: a tensor's `part` is its file's place in `files`."""

    metadata: Mapping[str, Any] = field(repr=False)
    tensors: Mapping[str, TensorInfo] = field(repr=False)
    files: tuple[str, ...]
    file_bytes: int  # of `files` together


def is_directory(names: Collection[str]) -> bool:
    return CONFIG in names and any(name.endswith(SUFFIX) for name in names)


def needed(names: Collection[str]) -> list[str]:
    """Of a directory's files those that a model is made of. What else lies there is not looked at."""
    wanted = {CONFIG, TOKENIZER, TEMPLATE, INDEX, *COMPANIONS}
    return sorted(name for name in names if name in wanted or (name.endswith(SUFFIX) and "/" not in name))


def read_directory(names: Collection[str], open_file: Callable[[str], Prefix], name: str) -> DirectoryHeader:
    """`names` are the files there, `open_file` opens one. Raises MalformedArtefact or UnsupportedArtefact."""
    documents = _Documents(names, open_file, name)
    config = documents.required(CONFIG)
    text = text_config(config, name)
    files = _weight_files(names, documents, name)
    metadata, made = config_metadata(text, name)
    architecture = metadata["general.architecture"]
    tensors: dict[str, TensorInfo] = {}
    experts: dict[str, dict[int, TensorInfo]] = {}
    file_bytes = 0
    for part, file in enumerate(files):
        prefix = open_file(file)
        file_bytes += prefix.size_bytes
        for stored in read_safetensors(prefix, file).values():
            info = _tensor(stored, part, architecture, file)
            if info is None:
                continue
            if match := _EXPERT.fullmatch(stored.name):
                experts.setdefault(info.name, {})[int(match[2])] = info
                continue
            if info.name in tensors:
                raise MalformedArtefact(f"{name}: two tensors are {info.name}; the second is in {file}")
            tensors[info.name] = info
    if text.get("tie_word_embeddings", architecture.startswith("gemma")):
        tensors.pop("output.weight", None)  # some files repeat the embedding as the head
    elif "output.weight" not in tensors:
        raise MalformedArtefact(f"{name}: the model has no lm_head.weight, and {CONFIG} does not say that it is the embedding")
    tensors |= {key: _made(key, values) for key, values in made.items()}
    tensors |= {key: _together(key, parts, name) for key, parts in experts.items()}
    if "token_embd.weight" not in tensors:
        raise MalformedArtefact(f"{name}: the model has no tensor model.embed_tokens.weight")
    companions = {CONFIG: config | text, **{file: documents.optional(file) for file in COMPANIONS}}
    metadata |= tokenizer_metadata(documents.required(TOKENIZER), companions, tensors["token_embd.weight"].shape[-1], name)
    if TEMPLATE in names:
        metadata["tokenizer.chat_template"] = documents.text(TEMPLATE)
    return DirectoryHeader(
        metadata=MappingProxyType(metadata), tensors=MappingProxyType(tensors), files=tuple(files), file_bytes=file_bytes
    )


class _Documents:
    """The JSON beside the weights, out of files nobody has vouched for."""

    def __init__(self, names: Collection[str], open_file: Callable[[str], Prefix], name: str) -> None:
        self._names, self._open, self._name = names, open_file, name

    def text(self, file: str) -> str:
        prefix = self._open(file)
        if prefix.size_bytes > MAX_JSON_BYTES:
            raise MalformedArtefact(f"{self._name}: {file} has {prefix.size_bytes} bytes; the limit is {MAX_JSON_BYTES}")
        try:
            return bytes(prefix.upto(prefix.size_bytes)[: prefix.size_bytes]).decode()
        except UnicodeDecodeError as exc:
            raise MalformedArtefact(f"{self._name}: {file} is not UTF-8: {exc.reason} at its byte {exc.start}") from exc

    def required(self, file: str) -> dict[str, Any]:
        if file not in self._names:
            raise UnsupportedArtefact(f"{self._name}: there is no {file}, which a model in safetensors needs")
        try:
            document = orjson.loads(self.text(file))
        except orjson.JSONDecodeError as exc:
            raise MalformedArtefact(f"{self._name}: {file} is not JSON (line {exc.lineno})") from exc
        if not isinstance(document, dict):
            raise MalformedArtefact(f"{self._name}: {file} is not a JSON object")
        return document

    def optional(self, file: str) -> dict[str, Any]:
        return self.required(file) if file in self._names else {}


def _weight_files(names: Collection[str], documents: _Documents, name: str) -> list[str]:
    """All *.safetensors, or those that the index names: a directory may have the same weights twice."""
    index = documents.optional(INDEX).get("weight_map")
    if index is None:
        return sorted(file for file in names if file.endswith(SUFFIX) and "/" not in file)
    files = set(index.values()) if isinstance(index, dict) and all(isinstance(v, str) for v in index.values()) else set()
    if not files:
        raise MalformedArtefact(f"{name}: {INDEX} has no weight_map of names to files")
    if absent := sorted(file for file in files if file not in names or not file.endswith(SUFFIX)):
        raise MalformedArtefact(f"{name}: {INDEX} names {absent[0]!r:.80}, which is not there: fetch the model again")
    return sorted(files)


def _tensor(stored: StoredTensor, part: int, architecture: str, file: str) -> TensorInfo | None:
    """What a tensor is called here, and how it is stored; None for one that is not needed."""
    if _NOT_NEEDED.fullmatch(stored.name):
        return None
    name = _name(re.sub(r"^(model\.)?language_model\.(model\.)?", "model.", stored.name), architecture)
    what = f"{file}: tensor {ascii(stored.name)[:90]}"
    if name is None:
        raise UnsupportedArtefact(f"{what} is of a kind that {architecture} does not have here")
    kind = _TYPES.get(stored.dtype)
    if kind is None:
        raise UnsupportedArtefact(f"{what} has type {stored.dtype}; supported are {', '.join(_TYPES)}")
    if not stored.size_bytes or stored.offset % kind.block_bytes:
        raise UnsupportedArtefact(f"{what} is empty, or lies at byte {stored.offset}, no multiple of {kind.block_bytes}")
    convert = None
    if len(stored.shape) == 1:
        convert = _to_float32(kind, 1.0 if architecture.startswith("gemma") and name.endswith("norm.weight") else 0.0)
        kind = TensorType.F32
    return TensorInfo(
        name=name,
        type=kind,
        shape=stored.shape[::-1],
        offset=stored.offset,
        size_bytes=stored.size_bytes,
        part=part,
        convert=convert,
    )


def _together(key: str, parts: Mapping[int, TensorInfo], name: str) -> TensorInfo:
    """The same matrix of all experts of a layer, which lie apart."""
    found = tuple(parts[i] for i in sorted(parts))
    first = found[0]
    if sorted(parts) != list(range(len(parts))) or any((part.type, part.shape) != (first.type, first.shape) for part in found):
        raise MalformedArtefact(f"{name}: the experts of {key} are not numbered from 0 on, or are not of one shape and type")
    size_bytes = sum(part.size_bytes for part in found)
    return TensorInfo(name=key, type=first.type, shape=(*first.shape, len(found)), offset=0, size_bytes=size_bytes, apart=found)


def _name(name: str, architecture: str) -> str | None:
    if name in _WHOLE:
        return _WHOLE[name]
    if match := _EXPERT.fullmatch(name):
        part = _EXPERT_PARTS.get(match[3])
        return None if part is None else f"blk.{match[1]}.{part}.weight"
    match = _LAYER.fullmatch(name)
    parts = _PARTS_AROUND if architecture in ("gemma2", "gemma3") else _PARTS
    if match is None or match[2] not in parts:
        return None
    return f"blk.{match[1]}.{parts[match[2]]}.{match[3]}"


def _to_float32(kind: TensorType, added: float) -> Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.uint8]]:
    def convert(stored: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        return (floats(kind, stored) + np.float32(added)).view(np.uint8)

    return convert


def floats(kind: TensorType, stored: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Numbers of one of the three float types."""
    raw = np.frombuffer(stored.tobytes(), {TensorType.F32: "<f4", TensorType.F16: "<f2", TensorType.BF16: "<u2"}[kind])
    if kind is TensorType.BF16:
        return (raw.astype(np.uint32) << 16).view(np.float32)
    return raw.astype(np.float32)


def _made(name: str, values: npt.NDArray[np.float32]) -> TensorInfo:
    """A vector that lies in no file."""
    made = np.ascontiguousarray(values, np.float32).view(np.uint8)
    return TensorInfo(name=name, type=TensorType.F32, shape=(len(values),), offset=0, size_bytes=0, convert=lambda _: made)
