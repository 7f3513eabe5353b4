"""Which files a command means by a model: a path, or the name of a model that was pulled or added."""

from pathlib import Path

from freehold import config as configuration
from freehold.core.errors import DeviceError, NotFound
from freehold.core.models import VerifiedModel
from freehold.provenance.pull import open_model


def model_path(model: str) -> Path:
    """A GGUF file (the first of several), or a folder of safetensors. A path that is there wins over a name."""
    path = Path(model)
    if path.exists():
        return path
    try:
        return files_of(open_model(configuration.home(), model))
    except NotFound as exc:
        if "/" in model or model.endswith(".gguf"):
            raise DeviceError(f"there is no {path}") from exc
        raise


def files_of(model: VerifiedModel) -> Path:
    first = next((file.name for file in model.manifest.files if file.name.endswith(".gguf")), None)
    return model.directory / first if first is not None else model.directory
