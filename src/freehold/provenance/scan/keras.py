"""Keras: layers that carry code, in the JSON of a `.keras` zip and in the attributes of an HDF5 file.

HDF5 itself is not parsed: its strings lie in it as they are, so that a bounded search over all bytes finds a layer's class. A
file that could hide them, behind a filter or by being too large, is not clean.
"""

import builtins
import json
import re
import sys
from collections.abc import Iterator
from typing import Any

from freehold.provenance.scan.configs import check_document
from freehold.provenance.scan.context import Context
from freehold.provenance.scan.findings import shown
from freehold.provenance.scan.source import Source

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
CONFIG_LIMIT_BYTES = 64 << 20
SEARCH_LIMIT_BYTES = 4 << 30
PIECE_BYTES = 4 << 20
_CODE_CLASSES = "Lambda TFOpLambda TFSMLayer __lambda__ __python_function__ TorchModuleWrapper JaxLayer FlaxLayer"
CODE_CLASSES = tuple(_CODE_CLASSES.split())
_SAFE_MODULES = ("keras", "keras_nlp", "keras_hub", "keras_cv", "tf_keras", "tensorflow.keras", "builtins")
_BUILTINS = ("function", "list", "tuple", "dict", "str", "int", "float", "bool", "type", "slice", "set")
_CODE_MARK = re.compile(
    rb'\\?"(?:Lambda|TFOpLambda|TFSMLayer|__lambda__|__python_function__|TorchModuleWrapper)\\?"'
    rb'|"module": ?"(?:os|posix|sys|shutil|subprocess)"'
)
_ESCAPED_LETTER = re.compile(rb"\\u00[2-7][0-9a-fA-F]")
# Keras' own doors to files, processes and names that a config could call: CVE-2025-1550 and its kin.
_DOORS_WORDS = (
    "keras.utils.get_file keras.src.utils.file_utils keras.config.enable_unsafe_deserialization keras.models.load_model"
    " keras.saving keras.src.saving keras.src.legacy keras.src.models.cloning"
)
_DOORS = tuple(_DOORS_WORDS.split())


def scan_config(source: Source, context: Context) -> None:
    """config.json of a `.keras` file."""
    if source.size_bytes > CONFIG_LIMIT_BYTES:
        context.find("limit", f"a Keras config of {source.size_bytes} bytes", 0)
        return
    try:
        document = json.loads(source.read_at(0, source.size_bytes))
    except (ValueError, RecursionError) as exc:
        context.find("unparsed", f"Keras config: {str(exc)[:120]}", 0)
        return
    check_layers(document, context)
    check_document(document, context)


def check_layers(document: Any, context: Context) -> None:
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            _check_object(value, context)
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _check_object(value: dict[str, Any], context: Context) -> None:
    kind, module = value.get("class_name"), value.get("module")
    if isinstance(kind, str) and kind in CODE_CLASSES:
        context.find("keras-code", f"a layer of class {shown(kind)}")
    if "class_name" in value and isinstance(module, str):
        named = f"{module}.{kind}"
        is_pythons = module.partition(".")[0] in sys.stdlib_module_names and module != "builtins"
        if is_pythons or named.startswith(_DOORS):
            context.find("keras-code", f"names {shown(named)}")
        elif not any(module == safe or module.startswith(f"{safe}.") for safe in _SAFE_MODULES):
            context.find("code-hook", f"names {shown(named)}, which is not Keras'")
        elif module == "builtins" and (kind not in _BUILTINS or _is_builtin(value.get("config"))):
            context.find("keras-code", f"names {shown(named)} ({shown(str(value.get('config')))})")
    if value.get("registered_name") and str(value["registered_name"]).startswith(("os>", "subprocess>")):
        context.find("keras-code", f"names {shown(str(value['registered_name']))}")


def _is_builtin(name: object) -> bool:
    """Keras' own functions are named plainly, too: "relu" is none of Python's."""
    return isinstance(name, str) and hasattr(builtins, name)


def scan_hdf5(source: Source, context: Context) -> None:
    if source.size_bytes > SEARCH_LIMIT_BYTES:
        context.find("limit", f"HDF5 of {source.size_bytes} bytes: more than is searched", 0)
        return
    has_config = has_layers = False
    for at, piece in _pieces(source, 64):
        has_config |= b"model_config" in piece
        has_layers |= b'"class_name"' in piece
        for found in _CODE_MARK.finditer(piece):
            context.find("keras-code", f"holds {found[0].decode('latin-1')}", at + found.start())
        escaped = _ESCAPED_LETTER.search(piece)
        if escaped is not None:
            context.find("unparsed", "HDF5: a name is written in escapes, as no writer does", at + escaped.start())
    if has_config and not has_layers:
        context.find("unparsed", "HDF5: a model's config that does not lie in the file as plain text")


def _pieces(source: Source, overlap_bytes: int) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < source.size_bytes:
        yield at, source.read_at(at, PIECE_BYTES + overlap_bytes)
        at += PIECE_BYTES
