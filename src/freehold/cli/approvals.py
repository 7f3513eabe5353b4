"""`freehold approvals`: tool calls that wait for a person, over the running node's API.

What a call says was written by a model, perhaps at somebody else's wish: it is shown with everything escaped that a terminal
would act on. Exit codes: 0 done, 1 the node says no (the call is gone, or decided), 2 the node can't be asked.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any, NoReturn

import aiohttp
import click
from rich.table import Column, Table

from freehold import config as configuration
from freehold.cli import Failed, Unusable
from freehold.cli.terminal import print_table
from freehold.core.approvals import members, plain, plain_lines
from freehold.core.errors import reason_of
from freehold.gateway.config import GatewayConfig

_POLL_S = 1.0
_TIMEOUT = aiohttp.ClientTimeout(total=15)


@click.group()
@click.option(
    "--url", envvar="FREEHOLD_URL", show_envvar=True, help="The node. Default: the one that the configuration describes."
)
@click.option("--key", envvar="FREEHOLD_ADMIN_KEY", show_envvar=True, default="", help="An admin key.")
@click.pass_context
def approvals(context: click.Context, url: str | None, key: str) -> None:
    """See the tool calls that wait for a person, and decide on them."""
    context.obj = Node(url or _address(configuration.load().gateway), key)


class Node:
    """The API of a running node."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url.rstrip("/").removesuffix("/v1")
        self._key = key.strip()  # a variable read from a file ends in a line break

    def get(self, path: str = "") -> Any:
        return asyncio.run(self._ask("GET", path, None))

    def decide(self, question_id: str, decision: str, note: str) -> None:
        asyncio.run(self._ask("POST", f"/{question_id}", {"decision": decision, "note": note}))

    async def _ask(self, method: str, path: str, body: dict[str, str] | None) -> Any:
        if not self._key:
            raise Unusable("no admin key: set FREEHOLD_ADMIN_KEY, or give --key; 'freehold keys create NAME --admin' makes one")
        headers = {"authorization": f"Bearer {self._key}"}
        address = f"{self._url}/v1/approvals{path}"
        try:
            async with (
                aiohttp.ClientSession(timeout=_TIMEOUT) as http,
                http.request(method, address, json=body, headers=headers, allow_redirects=False) as answer,
            ):
                document = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as exc:
            raise Unusable(f"cannot ask the node at {self._url}: {reason_of(exc)}; is it running, and is --url right?") from exc
        if answer.status != 200:
            message = document.get("error", {}).get("message") if isinstance(document, dict) else None
            kind = Unusable if answer.status in (401, 403) else Failed
            raise kind(plain(str(message or f"the node answered with HTTP {answer.status}")))
        return document


_node = click.make_pass_decorator(Node)
_json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document, for a program.")
_note_option = click.option("--note", default="", help="Why, for the log.")


@approvals.command("list")
@_json_option
@_node
def list_waiting(node: Node, as_json: bool) -> None:
    """List the calls that wait, oldest first."""
    waiting = node.get()["data"]
    if as_json:
        click.echo(json.dumps(waiting, indent=2))
        return
    if not waiting:
        click.echo("no call waits")
        return
    table = Table(Column("id", no_wrap=True), "left", "key", "tool", "effects")
    for one in waiting:
        names = [plain(str(one[what])) for what in ("id", "tool")]
        table.add_row(names[0], _left(one), plain(str(one["key"]["name"])), names[1], ", ".join(_effects(one)))
    print_table(table)


@approvals.command()
@click.argument("question", metavar="ID")
@_json_option
@_node
def show(node: Node, question: str, as_json: bool) -> None:
    """Show what a call would do, and all that it says."""
    found = node.get(f"/{_checked(question)}")
    click.echo(json.dumps(found, indent=2) if as_json else described(found))


@approvals.command()
@click.argument("question", metavar="ID")
@_note_option
@_node
def approve(node: Node, question: str, note: str) -> None:
    """Let a call go on."""
    node.decide(_checked(question), "approve", note)
    click.echo("approved: the call goes on")


@approvals.command()
@click.argument("question", metavar="ID")
@_note_option
@_node
def deny(node: Node, question: str, note: str) -> None:
    """Stop a call: its agent is told so, and goes on without it."""
    node.decide(_checked(question), "deny", note)
    click.echo("denied: the agent is told that the call was refused")


@approvals.command()
@_node
def watch(node: Node) -> None:
    """Wait for calls, show each, and ask for a decision. Ctrl-C ends it; what is undecided then goes on waiting."""
    click.echo("waiting for calls; Ctrl-C ends this", err=True)
    with contextlib.suppress(KeyboardInterrupt, click.Abort):
        _watch(node)


def _watch(node: Node) -> NoReturn:
    seen: set[str] = set()
    while True:
        for one in node.get()["data"]:
            if one["id"] in seen:
                continue
            seen.add(one["id"])
            click.echo(f"\n{described(one)}")
            answer = click.prompt("let it go on?", type=click.Choice(["yes", "no", "later"]), default="later")
            if answer == "later":
                continue
            try:
                node.decide(one["id"], "approve" if answer == "yes" else "deny", "")
            except Failed as failure:
                click.echo(failure.message, err=True)
        time.sleep(_POLL_S)


def described(question: dict[str, Any]) -> str:
    """A question in words, safe for a terminal."""
    key = question["key"]
    lines = [
        f"{question['id']}  {plain(str(question['tool']))}, called by {plain(str(key['name']))} ({plain(str(key['id']))})",
        f"  {_left(question)} left; {_origin(question['exchange_id'])}",
        f"  {plain(str(question['words']))}",
    ]
    for reason in question["reasons"]:
        target = f" {plain(str(reason['target']))}" if reason["target"] else ""
        because, rule = plain(str(reason["because"])), plain(str(reason["rule"]))
        lines.append(f"  {reason['action']}: {reason['effect']}{target}: {because} ({rule})")
    return "\n".join([*lines, *_arguments(question["arguments"])])


def _origin(exchange_id: str | None) -> str:
    return (
        f"exchange {plain(exchange_id)}" if exchange_id else "put by a client outside an exchange, which also says what it does"
    )


def _arguments(text: str) -> Iterator[str]:
    """A member a line; a further line of a value is set in, so that it can't look like another member."""
    for name, value in members(text):
        first, *others = plain_lines(value).split("\n")
        yield f"  | {plain(name)}: {first}" if name else f"  | {first}"
        yield from (f"  |   {line}" for line in others)


def _effects(question: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(reason["effect"].removeprefix("effect-") for reason in question["reasons"]))


def _left(question: dict[str, Any]) -> str:
    left_s = max(0, (question["expires_at_ns"] - time.time_ns()) // 1_000_000_000)
    return f"{left_s // 60}:{left_s % 60:02} min"


def _checked(question_id: str) -> str:
    """An id goes into an address as it is."""
    if not question_id.replace("_", "").isalnum() or not question_id.isascii():
        raise Unusable("an id looks like ap_0123456789abcdef; 'freehold approvals list' names those that wait")
    return question_id


def _address(gateway: GatewayConfig) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(gateway.host, gateway.host)  # noqa: S104 - where it listens, not where we do
    return f"{'https' if gateway.tls_certificate else 'http'}://{f'[{host}]' if ':' in host else host}:{gateway.port}"
