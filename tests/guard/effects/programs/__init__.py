"""Short programs with what they do, one file a language: `--- delete-system` above a program names an effect it must have, and
`--- nothing` says that there is nothing in it a person would want to be asked about. Our own, written for these tests."""

from importlib.resources import files

from freehold.core.effects import Effect, EffectKind, Place

MILD = {
    *(EffectKind.READ, EffectKind.WRITE, EffectKind.OVERWRITE, EffectKind.DELETE, EffectKind.DOWNLOAD, EffectKind.DISCOVER),
    EffectKind.RUN,
}
NEAR = {Place.NOTHING, Place.TEMP, Place.WORKSPACE, Place.DATABASE, Place.HOST}


def programs(language: str) -> list[tuple[str, str]]:
    """(text, effect) of each."""
    parts = files(__package__).joinpath(f"{language}.txt").read_text("utf-8").split("--- ")[1:]
    return [(text.strip("\n"), rule) for rule, _, text in (part.partition("\n") for part in parts)]


def asked_about(effects: tuple[Effect, ...]) -> list[Effect]:
    """Those that are more than work on what is near."""
    return [effect for effect in effects if effect.kind not in MILD or effect.place not in NEAR]
