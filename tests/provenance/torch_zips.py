"""Writes PyTorch's zip by hand, so that wrong ones can be had. It shares no code with the reader."""

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_NOTHING: Mapping[str, bytes] = MappingProxyType({})


class Named:
    """Pickles as a reference to MODULE.NAME, whatever is installed."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class Made:
    """Pickles as the call of `function`, a Named, with `arguments`."""

    def __init__(self, function: Named, *arguments: object) -> None:
        self.function, self.arguments = function, arguments


class Stored:
    """Pickles as PyTorch's pointer to a storage."""

    def __init__(self, kind: str, key: str, count: int, module: str = "torch") -> None:
        self.pointer = ("storage", Named(module, kind), key, "cpu", count)


_PYTHON_PICKLER: Any = pickle._Pickler  # the one of two whose steps can be changed


class _Pickler(_PYTHON_PICKLER):  # type: ignore[misc]
    def persistent_id(self, value: object) -> object:
        return value.pointer if isinstance(value, Stored) else None

    def save(self, value: Any, save_persistent_id: bool = True) -> None:
        if isinstance(value, Named):
            self.write(f"c{value.module}\n{value.name}\n".encode())
        elif isinstance(value, Made):
            self.save(value.function)
            self.save(value.arguments)
            self.write(b"R")
        else:
            super().save(value, save_persistent_id)


def pickled(value: object, protocol: int = 2) -> bytes:
    out = io.BytesIO()
    _Pickler(out, protocol).dump(value)
    return out.getvalue()


def tensor(storage: object, offset: object, shape: object, stride: object) -> Made:
    return Made(Named("torch._utils", "_rebuild_tensor_v2"), storage, offset, shape, stride, False, OrderedDict())


def torch_zip(
    value: object, storages: dict[str, bytes], *, method: int = zipfile.ZIP_STORED, more: Mapping[str, bytes] = _NOTHING
) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("archive/data.pkl", value if isinstance(value, bytes) else pickled(value))
        for name, content in {"byteorder": b"little", "version": b"3\n", **more}.items():
            archive.writestr(f"archive/{name}", content)
        for key, content in storages.items():
            archive.writestr(f"archive/data/{key}", content)
    return out.getvalue()
