"""Options of `freehold sign` for signing by an identity, without a key."""

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from freehold.cli import Unusable
from freehold.provenance.oms_bundle import Keyless, Login

TOKEN_ENV = "FREEHOLD_IDENTITY_TOKEN"  # noqa: S105 - its name

_OPTIONS = (
    click.option(
        "--sigstore", is_flag=True, help="Sign by an identity instead of a key, which a public log keeps. Makes it --format oms."
    ),
    click.option(
        "--identity-token",
        envvar=TOKEN_ENV,
        show_envvar=True,
        metavar="TOKEN",
        help="The identity's token, for --sigstore. Default: the build system's.",
    ),
    click.option(
        "--login",
        type=click.Choice([one.value for one in Login]),
        help="Log in for --sigstore, in a browser here or by a code from one.",
    ),
    click.option("--staging", is_flag=True, help="Sigstore's instance for trying things out."),
    click.option("--trust-config", type=click.Path(path_type=Path), help="The file of a Sigstore instance of your own."),
)


def keyless_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Hands `command` one `keyless: Keyless | None` for all of them."""

    @functools.wraps(command)
    def called(
        *, sigstore: bool, identity_token: str | None, login: str | None, staging: bool, trust_config: Path | None, **others: Any
    ) -> Any:
        given = click.get_current_context().get_parameter_source("identity_token") is ParameterSource.COMMANDLINE
        if not sigstore:
            if given or login or staging or trust_config:
                raise Unusable("--identity-token, --login, --staging and --trust-config go with --sigstore")
            return command(keyless=None, **others)
        if login and given:
            raise Unusable("--login and --identity-token are two ways to say who you are: leave one out")
        if staging and trust_config:
            raise Unusable("--staging and --trust-config are two instances of Sigstore: leave one out")
        if login and not on_terminal():
            raise Unusable(f"--login needs a terminal; elsewhere, give a token: set {TOKEN_ENV}")
        token = None if login else identity_token
        return command(
            keyless=Keyless(token=token, login=Login(login) if login else None, staging=staging, trust_config=trust_config),
            **others,
        )

    for option in reversed(_OPTIONS):
        called = option(called)
    return called


def on_terminal() -> bool:
    return sys.stdin.isatty()
