#!/usr/bin/env python3
"""Checks a file of evidence from a Freehold node, with the node's public key and nothing of Freehold's.

    python verify_evidence.py EVIDENCE.json node.pub [--witness NAME+ID+KEY]...

Read it before you run it: it is short so that you can. It needs Python 3.11 and the package `cryptography`; it opens the files
that it is given and no network. Exit code 0: all holds; 1: something does not, and it says what; 2: the files cannot be read.

What it proves, if you got the public key from the node's operator in person, or from somebody you trust:

1. The node signed the checkpoint: a tree of so many rows with this root (a C2SP signed note, Ed25519).
2. The rows in the file are in that tree (RFC 6962), next to each other, none missing, added, changed or out of order; with a span
   of time, the rows before and after it are there, too, so that none was left out at its ends.
3. What is shown of each row (a decision's facts; an exchange's ledger row, findings and receipt) is what the row was made over.
4. Each receipt was signed by the node (DSSE, Ed25519), is of its row's exchange, is not used twice, and follows the one before.
5. Each witness that you name has cosigned the checkpoint: it has seen this tree, and never one that contradicts it.

What it can't prove: that the node told the truth when it wrote a row. Without a witness, also not that the node did not keep a
second log and show it to somebody else.
"""

import argparse
import base64
import hashlib
import json
import sys
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key


class Broken(Exception):
    """The evidence does not hold."""


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def check(holds: bool, what: str) -> None:
    if not holds:
        raise Broken(what)


def signed(key: Ed25519PublicKey, signature: bytes, message: bytes, what: str) -> None:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        raise Broken(f"{what}: the signature does not hold, it is forged or the content was changed") from None


# --- 1 and 5. the checkpoint: a text, an empty line, and "— NAME base64(4 bytes of key id, signature)" a line each


def note_id(name: str, kind: int, key: Ed25519PublicKey) -> bytes:
    return sha256(name.encode(), b"\n", bytes([kind]), key.public_bytes_raw())[:4]


def read_checkpoint(note: str, key: Ed25519PublicKey, witnesses: list[str]) -> tuple[str, int, bytes]:
    """Origin, size and root, signed by `key` and cosigned by all of `witnesses`."""
    text, _, below = note.rpartition("\n\n")
    text += "\n"
    signatures: dict[tuple[str, bytes], bytes] = {}
    for line in below.splitlines():
        dash, name, blob = line.split(" ")
        raw = base64.b64decode(blob, validate=True)
        check(dash == "—", f"{line[:40]!r} is no line of a signature")
        signatures[name, raw[:4]] = raw[4:]
    origin, size, root = text.splitlines()[:3]
    signature = signatures.get((origin, note_id(origin, 0x01, key)), b"")
    check(bool(signature), f"the checkpoint of {origin} is not signed by this key")
    signed(key, signature, text.encode(), "the checkpoint")
    for vkey in witnesses:
        name, _, material = vkey.split("+", 2)
        raw = base64.b64decode(material)
        check(raw[:1] == b"\x04", f"{name}: the key of a witness has type 4")
        witness = Ed25519PublicKey.from_public_bytes(raw[1:])
        cosigned = signatures.get((name, note_id(name, 0x04, witness)), b"")
        check(bool(cosigned), f"the witness {name} has not cosigned this checkpoint")
        message = f"cosignature/v1\ntime {int.from_bytes(cosigned[:8], 'big')}\n{text}".encode()
        signed(witness, cosigned[8:], message, f"the cosignature by {name}")
    return origin, int(size), base64.b64decode(root, validate=True)


# --- 2. the tree: a leaf is H(0, entry), a node H(1, left, right), the left side the largest power of two below the size


def root_of(leaves: list[bytes], first: int, size: int, proof: list[bytes]) -> bytes:
    """The root of a tree of `size`, from the leaves that begin at `first` and the hashes of all else, left to right."""
    last, outside = first + len(leaves), list(proof)
    check(0 <= first < last <= size, "the rows are not within the tree that was signed")

    def hash_of(low: int, high: int) -> bytes:
        if high <= first or last <= low:
            return outside.pop(0) if outside else b""
        if high - low == 1:
            return leaves[low - first]
        middle = low + (1 << (high - low - 1).bit_length() - 1)
        left = hash_of(low, middle)
        return sha256(b"\1", left, hash_of(middle, high))

    root = hash_of(0, size)
    return b"" if outside else root


def in_tree(rows: list[dict], first_n: int, proof: list[str], size: int, root: bytes) -> None:
    leaves = [sha256(b"\0", row["entry"].encode()) for row in rows]
    hashes = [base64.b64decode(hash_, validate=True) for hash_ in proof]
    what = f"rows {first_n} to {first_n + len(rows) - 1} are not those of the tree that was signed: changed, left out, or others"
    check(root_of(leaves, first_n - 1, size, hashes) == root, what)


def in_order(evidence: dict, size: int) -> list[list]:
    """The entries: link, seal and signer of the row before; number, time, kind, exchange, ledger row and digest of this one."""
    rows, first = evidence["rows"], evidence["first"]
    entries = [json.loads(row["entry"]) for row in rows]
    for at, entry in enumerate(entries):
        check(len(entry) == 9, f"row {first + at}: its entry has {len(entry)} fields, not 9")
        check(entry[3] == first + at, f"row {first + at} is missing or out of order: row {entry[3]} stands in its place")
        if at:
            before = sha256(rows[at - 1]["entry"].encode()).hex()
            check(entry[0] == before, f"row {entry[3]} does not follow the row before it: one of the two was changed")
    from_ns, to_ns = evidence.get("from_ns"), evidence.get("to_ns")
    if from_ns is not None and first > 1:
        check(entries[0][4] < from_ns, f"the row before the span is missing: rows before {first} may have been left out")
    if to_ns is not None and entries[-1][3] < size:
        check(entries[-1][4] >= to_ns, f"the row after the span is missing: rows after {entries[-1][3]} may have been left out")
    return entries


# --- 3 and 4. what the rows were made over


def read_receipt(envelope: str, key: Ed25519PublicKey, what: str) -> tuple[dict, str]:
    """The predicate of a receipt that `key` signed, and the receipt's digest."""
    dsse = json.loads(envelope)
    payload, kind = base64.b64decode(dsse["payload"], validate=True), dsse["payloadType"].encode()
    check(kind == b"application/vnd.in-toto+json", f"{what}: its receipt is of another kind")
    message = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    signed(key, base64.b64decode(dsse["signatures"][0]["sig"], validate=True), message, f"{what}: its receipt")
    statement = json.loads(payload)
    check(statement["predicateType"] == "urn:freehold:receipt:v1", f"{what}: its receipt is of another kind")
    return statement["predicate"], sha256(payload).hex()


def part(exchange: dict, name: str) -> bytes:
    """The SHA-256 of a part of an exchange, whether it is shown or not."""
    return sha256(exchange[name].encode()) if name in exchange else bytes.fromhex(exchange[f"{name}_sha256"])


def exchange_digest(exchange: dict) -> str:
    parts = [part(exchange, name) for name in ("ledger", "findings", "receipt")]
    return sha256(b"freehold-exchange-v2\n", *parts, sha256(exchange["envelope"].encode())).hex()


def purged_through(evidence: dict, size: int, root: bytes) -> tuple[int, int]:
    """The last row, and the last ledger row, that a purge says is gone: such rows keep their digest and lose their facts."""
    if (purge := evidence.get("purge")) is None:
        return 0, 0
    row = purge["row"]
    entry = json.loads(row["entry"])
    in_tree([row], entry[3], purge["proof"], size, root)
    is_purge = entry[5] == "retention_purged" and sha256(row["facts"].encode()).hex() == entry[8]
    check(is_purge, f"row {entry[3]} is not the row of a purge with its facts")
    facts = json.loads(row["facts"])
    return facts["through_n"], facts["through_ledger_seq"]


def check_rows(evidence: dict, entries: list[list], key: Ed25519PublicKey, purged: tuple[int, int]) -> dict[str, int]:
    counts = {"decisions": 0, "exchanges": 0, "purged": 0, "not opened": 0}
    seen: dict[str, str] = {}
    before: tuple[int, str] = (-1, "")
    models: set[str] = set()
    for row, (*_, n, _at_ns, kind, exchange_id, seq, digest) in zip(evidence["rows"], entries, strict=True):
        what, exchange = f"row {n}", row.get("exchange")
        strange = set(row) - {"entry", "exchange" if kind == "exchange" else "facts"}
        check(not strange, f"{what}: things are shown that nothing vouches for: {sorted(strange)}")
        if kind == "exchange" and exchange is not None:
            predicate, receipt = read_receipt(exchange["envelope"], key, what)
            check(receipt not in seen, f"{what}: its receipt was used before, by exchange {seen.get(receipt)}: replayed")
            check(predicate["exchange_id"] == exchange_id, f"{what}: its receipt is of another exchange: replayed")
            follows = before[0] != seq - 1 or predicate["previous"] == before[1]
            check(follows, f"{what}: its receipt does not follow the one before: reordered")
            seen[receipt], before = exchange_id, (seq, receipt)
            if "receipt_sha256" in exchange:
                check(len(exchange) == 4, f"{what}: parts of it are shown that nothing vouches for")
                check(exchange_digest(exchange) == digest, f"{what}: its ledger row, findings or receipt were changed")
            else:  # made by an early release, whose digest only a salt opens, which is not shown: the receipt alone may be here
                check(set(exchange) == {"envelope"}, f"{what}: parts of it are shown that nothing vouches for")
                counts["not opened"] += 1
            if predicate["served"] and predicate["served"]["model_id"]:
                models.add(predicate["served"]["model_id"])
            counts["exchanges"] += 1
        elif kind != "exchange" and row.get("facts") is not None:
            check(sha256(row["facts"].encode()).hex() == digest, f"{what}: its facts were changed")
            counts["decisions"] += 1
        else:
            gone = seq <= purged[1] if kind == "exchange" else exchange_id is not None and n <= purged[0]
            check(gone, f"{what}: its facts are gone, and no purge says so")
            counts["purged"] += 1
    check(sorted(models) == evidence.get("models", []), "the models named are not those of the receipts")
    return counts


def verify(raw: bytes, key: Ed25519PublicKey, witnesses: list[str]) -> str:
    """What holds, in words. Raises Broken for what does not."""
    try:
        evidence = json.loads(raw)
        check(evidence["format"] == "freehold-evidence-v1" and evidence["rows"], "this is no evidence of a Freehold node")
        origin, size, root = read_checkpoint(evidence["checkpoint"], key, witnesses)
        entries = in_order(evidence, size)
        in_tree(evidence["rows"], evidence["first"], evidence["proof"], size, root)
        counts = check_rows(evidence, entries, key, purged_through(evidence, size, root))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise Broken(f"this is not evidence in its format ({type(error).__name__}: {error})") from error
    told = ", ".join(f"{number} {name}" for name, number in counts.items() if name != "not opened")
    if counts["not opened"]:
        told += f"; of {counts['not opened']} exchanges the receipt holds by its signature alone, and nothing else is shown"
    cosigned = f", cosigned by {len(witnesses)}" if witnesses else ""
    return f"rows {entries[0][3]} to {entries[-1][3]} of the {size} that {origin} signed{cosigned}: {told}"


def main() -> int:
    parser = argparse.ArgumentParser(description="Check a file of evidence from a Freehold node.")
    parser.add_argument("evidence", type=Path)
    parser.add_argument("key", type=Path, help="the node's node.pub")
    parser.add_argument("--witness", action="append", default=[], metavar="NAME+ID+KEY", help="must have cosigned; repeatable")
    given = parser.parse_args()
    if any(vkey.count("+") < 2 for vkey in given.witness):
        parser.error("--witness takes NAME+ID+KEY, as `freehold log keys` shows it")
    try:
        raw, key = given.evidence.read_bytes(), load_pem_public_key(given.key.read_bytes())
    except (OSError, ValueError) as error:
        print(f"cannot read: {error}", file=sys.stderr)
        return 2
    if not isinstance(key, Ed25519PublicKey):
        parser.error(f"{given.key} holds no Ed25519 key")
    try:
        print(f"It holds: {verify(raw, key, given.witness)}.")
    except Broken as broken:
        print(f"It does not hold: {broken}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
