"""`freehold replay`: run a kept exchange again, and say whether its answer comes out the same.

Exit codes: 0 the same, 1 it differs, 2 it cannot be run as it was.
"""

import asyncio
import json
import logging
import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from freehold.cli import Unusable
from freehold.cli.audit_record import NodeProofs
from freehold.cli.engine_options import engine_options, engine_settings
from freehold.cli.receipt import given_receipt
from freehold.cli.record import record_at
from freehold.core.content import KeptExchange
from freehold.core.errors import FreeholdError, NotFound, VerificationError
from freehold.core.receipts import Claims
from freehold.place import Place, find_place
from freehold.provenance.content import content_key, opened
from freehold.provenance.files import named
from freehold.provenance.keys import key_directory, node_key, trusted
from freehold.provenance.verifier import verify_receipt
from freehold.replaying import Replay, engine_of
from freehold.replaying import replay as run_again
from freehold.store.content import ContentStore
from freehold.store.database import connected, open_reader
from freehold.store.reader import RecordReader
from freehold.store.verify import verify_log

_EXIT = {"same": 0, "differs": 1, "cannot": 2}
_ROW = "SELECT n FROM audit WHERE exchange_id = ? AND kind = 'exchange'"


@click.command()
@click.argument("receipt")
@click.option("--anyway", is_flag=True, help="Run it although something is not as it was, and say what.")
@click.option("--kernels", type=click.Choice(["vnni", "avx2", "portable"]), help="Another kernel set than the receipt names.")
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="The configuration file.")
@engine_options
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
def replay(
    receipt: str, anyway: bool, kernels: str | None, config_path: Path | None, as_json: bool, **engine: int | None
) -> None:
    """Run the exchange of RECEIPT again and compare its answer, token for token.

    RECEIPT is the id of an exchange of this node, or a file as /v1/receipts/ID answers it. The exchange must have been kept: see
    [[keep]]. Exit code 0: the same; 1: it differs; 2: it cannot be run as it was.
    """
    try:
        place = find_place(config_path)
        claims, row, kept = _proven(receipt, place)
        logging.getLogger("freehold").addHandler(logging.NullHandler())  # what the engine's end logs, the error says
        given: dict[str, Any] = engine_settings(engine) | ({} if kernels is None else {"kernels": kernels})
        result = asyncio.run(run_again(claims, kept, engine_of(claims, place, given), anyway=anyway))
    except FreeholdError as error:
        raise Unusable(error.message) from error
    if as_json:
        click.echo(json.dumps(_document(claims, row, result), indent=2))
    else:
        _tell(row, kept, result)
    sys.exit(_EXIT[result.outcome])


def _proven(receipt: str, place: Place) -> tuple[Claims, int, KeptExchange]:
    """The receipt's claims, its row in the log, and what was kept, each checked against the others."""
    given, keys = given_receipt(receipt), key_directory(place.home)
    record_at(place.record, place.config.store)
    node_keys = trusted(node_key(keys).public)
    with named(receipt):
        signed = verify_receipt(given.envelope, node_keys)
    exchange_id = signed.claims.exchange_id
    with closing(RecordReader(place.record, place.config.store)) as reader:
        stored = reader.receipt(exchange_id)
    if stored is None or stored.receipt.digest != signed.digest:
        raise NotFound(f"this node's record does not have this receipt of {exchange_id}: replay it where it was made")
    claims = verify_receipt(stored.receipt.envelope, node_keys, salt=stored.salt).claims
    row = _logged(place, exchange_id, NodeProofs(node_keys))
    encrypted = ContentStore(place.record, place.config.store).read(exchange_id)
    if encrypted is None:
        raise NotFound(_not_kept(claims))
    kept = opened(encrypted, content_key(keys), claims)
    if not kept.is_rewritten:
        verify_receipt(stored.receipt.envelope, node_keys, salt=stored.salt, request=kept.body.encode())
    return claims, row, kept


def _logged(place: Place, exchange_id: str, proofs: NodeProofs) -> int:
    """The exchange's row in the log, once that and all up to the next seal hold. Raises VerificationError."""
    with connected(open_reader, place.record, place.config.store.busy_timeout_s) as connection:
        row = connection.execute(_ROW, (exchange_id,)).fetchone()
        if row is None:
            raise VerificationError(f"the log has no row of {exchange_id}: run freehold log verify")
        n = int(row["n"])
        report = verify_log(connection, proofs, first_n=n, last_n=n)
    if report.broken is not None:
        raise VerificationError(f"row {n} of the log does not hold ({report.broken.what}: {report.broken.detail})")
    return n


def _not_kept(claims: Claims) -> str:
    if claims.content_digest is None:
        return f"{claims.exchange_id} was not kept: an entry [[keep]] of the configuration says which exchanges are"
    return f"{claims.exchange_id} was kept and is no more: its time is over, or it was deleted. Its digest is in the receipt"


def _document(claims: Claims, row: int, result: Replay) -> dict[str, Any]:
    return {
        "exchange_id": claims.exchange_id,
        "result": result.outcome,
        "log_row": row,
        "differences": [asdict(difference) for difference in result.differences],
        "tokens": "not computed" if not result.ran else result.tokens or "not compared: the answer was stopped before its end",
        "first_different_token": None if result.first is None else asdict(result.first),
        "response": result.response or None,
    }


def _tell(row: int, kept: KeptExchange, result: Replay) -> None:
    click.echo(f"The receipt holds, and so does row {row} of the log that has it.")
    for difference in result.differences:
        click.echo(f"Not as it was: {difference}", err=not result.ran)
    if not result.ran:
        click.echo("Not run: the answer could be another. Run it all the same with --anyway.", err=True)
        return
    first = result.first
    if first is not None:
        choice = f" of choice {first.choice}" if len(kept.tokens or ()) > 1 else ""
        click.echo(f"Token {first.place}{choice} is another: {_token(first.then)} then, {_token(first.now)} now.")
    elif result.tokens is not None:
        click.echo(f"The same {result.output_tokens} tokens." if result.tokens == "same" else "The tokens are others.")
    else:
        click.echo("Tokens were not compared: the answer was stopped before its end.")
    words = {"same": "The answer as it was sent is the same, byte for byte.", "differs": "The answer as it was sent differs."}
    click.echo(words.get(result.response, f"The answer as it was sent was {result.response}."))


def _token(token: int | None) -> str:
    return "the end" if token is None else str(token)
