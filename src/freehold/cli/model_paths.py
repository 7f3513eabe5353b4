"""Which files a command means by a model: a path, or the name of a model that was pulled or added."""

import json
from pathlib import Path

import click

from freehold import config as configuration
from freehold.core.errors import DeviceError, NotFound, UnsupportedArtefact
from freehold.core.models import VerifiedModel
from freehold.engine.header import files_at
from freehold.engine.inspect import ModelFacts, inspect
from freehold.provenance import local
from freehold.provenance.local import Bringing, added_names, name_for, open_added, trust_words
from freehold.provenance.progress import Progress
from freehold.provenance.publisher import signature_beside
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
            raise DeviceError(f"there is no file or folder {path}") from exc
        raise


def bring(path: Path, name: str | None, progress: Progress, *, replace: bool = False) -> VerifiedModel:
    """Add the model at `path` as it is now. Raises ArtefactError for what is not run here, and as `local.add` does."""
    facts = inspect(path)
    refuse_unsupported(path, facts)
    if facts.must_be_converted:
        raise UnsupportedArtefact(f"{path.name} keeps its experts apart; run: freehold models convert '{path}'")
    directory, names = files_at(path)
    origin = f"added from {path.resolve()}"
    bringing = Bringing(
        directory=directory,
        names=names,
        name=name or name_for(path),
        origin=origin,
        licence=facts.licence,
        signature=signature_beside(path),
    )
    return local.add(bringing, configuration.home(), progress, overwrite=replace)


def refuse_unsupported(path: Path, facts: ModelFacts) -> None:
    if not facts.supported:
        raise UnsupportedArtefact(f"{path.name} is not run here: {'; '.join(facts.unsupported)}")


def tell_added(model: VerifiedModel, *, quiet: bool, as_json: bool) -> None:
    name, path = model.manifest.name, files_of(model)
    if as_json:
        click.echo(json.dumps({"name": name, "path": str(path), "model_id": model.manifest.model_id}))
    elif not quiet:
        click.echo(
            f"{name} is pinned from here on, as it is now (model id {model.manifest.model_id[:16]}), {trust_words(model)}.\n"
            f"Serve it with: freehold serve --model {name}"
        )


def name_on_first_use(model: str, progress: Progress) -> str:
    """The name to serve `model` by. A path that is there is added when it is first used; from then on its bytes are pinned."""
    path = Path(model)
    if not ("/" in model or model.endswith(".gguf")) or not path.exists():
        return model
    home, name = configuration.home(), name_for(path)
    if name not in added_names(home) or open_added(home, name).directory != files_at(path)[0].resolve():
        bring(path, None, progress)
    return name


def files_of(model: VerifiedModel) -> Path:
    first = next((file.name for file in model.manifest.files if file.name.endswith(".gguf")), None)
    return model.directory / first if first is not None else model.directory
