"""Sizes as people write them on a command line."""

import re

import click

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?")
_SCALES = {"k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "": 1e9}


def bytes_of(text: str) -> int:
    """Of "24G", "600M", "7GB/s"; a bare number is gigabytes. Raises click.BadParameter."""
    found = _SIZE.fullmatch(text.strip().lower().removesuffix("/s"))
    if found is None:
        raise click.BadParameter(f"{text!r} is no size: say 600M, 24G, or a number of gigabytes")
    return int(float(found[1]) * _SCALES[found[2]])


def size_of(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """A callback for an option: bytes, or None where it was not given."""
    return None if value is None else bytes_of(value)
