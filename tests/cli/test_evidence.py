import asyncio
import base64
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freehold.cli import main
from freehold.core.errors import ArtefactError, MalformedArtefact, VerificationError
from freehold.provenance import evidence as bundles
from freehold.provenance.files import write_durably
from freehold.provenance.keys import PRIVATE_NAME, PUBLIC_NAME, NodeKey, key_directory, trusted
from freehold.provenance.signer import NodeSigner
from freehold.store.audit import ExchangeParts
from freehold.store.config import StoreConfig
from freehold.store.retention import Retention
from freehold.store.writer import RecordWriter
from freehold.tile_log import TileLog
from tests.store.logs import KEY, tamper, write_log

PAGE = Path(__file__).parent.parent.parent / "docs" / "verify_evidence.py"
Bundle = dict[str, Any]


def load_page() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verify_evidence", PAGE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


page = load_page()
PUBLIC = load_pem_public_key(KEY.public.pem())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a node with a log of twelve rows, every second one an exchange."""
    home = tmp_path_factory.mktemp("home")
    asyncio.run(write_log(home / "record.db"))
    keys = key_directory(home)
    keys.mkdir(parents=True, mode=0o700)
    write_durably(keys / PRIVATE_NAME, KEY.pem(), mode=0o600)
    write_durably(keys / PUBLIC_NAME, KEY.public.pem(), mode=0o644)
    return home


@pytest.fixture
def home(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FREEHOLD_HOME", str(made))
    return made


@pytest.fixture
def bundle(home: Path) -> Bundle:
    """Rows 3 to 10 of the twelve."""
    return evidence("--from", "3", "--to", "10")


def run(*words: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, list(words), input=stdin)


def evidence(*words: str) -> Bundle:
    result = run("evidence", *words)
    assert result.exit_code == 0, result.output
    document: Bundle = json.loads(result.output)
    return document


def judged(bundle: Bundle) -> tuple[str | None, str | None]:
    """What our verifier and the page say is wrong; None for what holds."""
    raw = json.dumps(bundle).encode()
    ours = theirs = None
    try:
        bundles.verify(raw, trusted(KEY.public))
    except ArtefactError as error:
        ours = error.message
    try:
        page.verify(raw, PUBLIC, [])
    except page.Broken as broken:
        theirs = str(broken)
    return ours, theirs


def test_the_page_can_be_read_in_ten_minutes_and_needs_nothing_of_ours() -> None:
    text = PAGE.read_text()
    assert len(text.splitlines()) < 250
    imported = {line.split()[1].split(".")[0] for line in text.splitlines() if line.startswith(("import ", "from "))}
    assert imported <= set(sys.stdlib_module_names) | {"cryptography"}


def test_evidence_holds_and_shows_no_content_and_no_salt(bundle: Bundle, home: Path) -> None:
    assert judged(bundle) == (None, None)
    assert (bundle["first"], len(bundle["rows"])) == (3, 8)
    report = bundles.verify(json.dumps(bundle).encode(), trusted(KEY.public))
    assert (report.first_n, report.last_n, report.size, len(report.receipts), report.decisions) == (3, 10, 12, 4, 4)
    assert b"xc_1".hex() not in json.dumps(bundle)  # the salts of these exchanges are their names


def test_the_page_runs_alone_on_two_files(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "e.json").write_text(json.dumps(bundle))
    (tmp_path / "node.pub").write_bytes(KEY.public.pem())
    (tmp_path / "other.pub").write_bytes(NodeKey.generate().public.pem())
    good = subprocess.run([sys.executable, "-I", str(PAGE), "e.json", "node.pub"], cwd=tmp_path, capture_output=True, check=False)
    bad = subprocess.run([sys.executable, "-I", str(PAGE), "e.json", "other.pub"], cwd=tmp_path, capture_output=True, check=False)
    assert (good.returncode, bad.returncode) == (0, 1)
    assert b"It holds: rows 3 to 10 of the 12" in good.stdout
    assert b"is not signed by this key" in bad.stderr
    odd = subprocess.run(
        [sys.executable, "-I", str(PAGE), "e.json", "node.pub", "--witness", "no key"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert (odd.returncode, b"--witness" in odd.stderr) == (2, True)


def drop(at: int) -> Callable[[Bundle], None]:
    return lambda bundle: bundle["rows"].pop(at)


def drop_first(bundle: Bundle) -> None:
    bundle["rows"].pop(0)
    bundle["first"] += 1


def swap_rows(bundle: Bundle) -> None:
    rows = bundle["rows"]
    rows[2], rows[3] = rows[3], rows[2]


def change_entry(bundle: Bundle) -> None:
    bundle["rows"][2]["entry"] = bundle["rows"][2]["entry"].replace("placement", "placemenT")


def change_facts(bundle: Bundle) -> None:
    bundle["rows"][0]["facts"] = bundle["rows"][0]["facts"].replace("here", "there")


def change_ledger(bundle: Bundle) -> None:
    bundle["rows"][1]["exchange"]["ledger"] = bundle["rows"][1]["exchange"]["ledger"].replace('"key_1"', '"key_2"')


def change_receipt(bundle: Bundle) -> None:
    exchange = bundle["rows"][1]["exchange"]
    envelope = json.loads(exchange["envelope"])
    payload = base64.b64decode(envelope["payload"]).replace(b'"input_tokens":12', b'"input_tokens":13')
    envelope["payload"] = base64.b64encode(payload).decode()
    exchange["envelope"] = json.dumps(envelope)


def lose_what_opens(bundle: Bundle) -> None:
    """And with it what binds the ledger row beside it."""
    exchange = bundle["rows"][1]["exchange"]
    del exchange["receipt_sha256"]
    exchange["ledger"] = exchange["ledger"].replace('"key_1"', '"key_2"')


def lose_findings(bundle: Bundle) -> None:
    del bundle["rows"][1]["exchange"]["findings"]


def claim_facts_of_an_exchange(bundle: Bundle) -> None:
    bundle["rows"][1]["facts"] = "{}"


def claim_an_exchange_of_a_decision(bundle: Bundle) -> None:
    bundle["rows"][0]["exchange"] = bundle["rows"][1]["exchange"]


def claim_a_digest_twice(bundle: Bundle) -> None:
    bundle["rows"][1]["exchange"]["ledger_sha256"] = "ab" * 32


def replay(bundle: Bundle) -> None:
    bundle["rows"][3]["exchange"]["envelope"] = bundle["rows"][1]["exchange"]["envelope"]


def replay_of_another(bundle: Bundle) -> None:
    """Of an exchange that the evidence does not hold."""
    other = evidence("--from", "12", "--to", "12")["rows"][0]
    bundle["rows"][1]["exchange"]["envelope"] = other["exchange"]["envelope"]


def lose_facts(bundle: Bundle) -> None:
    del bundle["rows"][0]["facts"]


def lose_receipt(bundle: Bundle) -> None:
    del bundle["rows"][1]["exchange"]


def forge_checkpoint(bundle: Bundle) -> None:
    bundle["checkpoint"] = bundle["checkpoint"].replace("\n12\n", "\n11\n")


def change_proof(bundle: Bundle) -> None:
    bundle["proof"][0] = base64.b64encode(bytes(32)).decode()


def claim_a_model(bundle: Bundle) -> None:
    bundle["models"] = ["cd" * 32]


TAMPERED: list[tuple[Callable[[Bundle], object], str, str]] = [
    (drop(3), "row 6: deleted: row 7 stands in its place", "row 6 is missing"),
    (drop(-1), "rows 3 to 9 are not those in the tree", "are not those of the tree"),
    (drop_first, "rows 4 to 10 are not those in the tree", "are not those of the tree"),
    (swap_rows, "row 5: reordered: row 6 stands in its place", "row 5 is missing or out of order"),
    (change_entry, "row 6: changed: it does not follow row 5", "row 6 does not follow"),
    (change_facts, "row 3: changed: its facts", "row 3: its facts were changed"),
    (change_ledger, "row 4: changed: its ledger row", "row 4: its ledger row"),
    (lose_what_opens, "row 4: changed: parts of it are shown without what", "row 4: parts of it are shown that nothing vouches"),
    (lose_findings, "row 4: changed: parts of it are shown without what", "row 4: parts of it are shown that nothing vouches"),
    (claim_facts_of_an_exchange, "row 4: changed: a row of the kind 'exchange' does not", "row 4: things are shown that nothing"),
    (claim_an_exchange_of_a_decision, "row 3: changed: a row of the kind 'placement'", "row 3: things are shown that nothing"),
    (claim_a_digest_twice, "a part of an exchange is there twice", "row 4: parts of it are shown that nothing vouches for"),
    (change_receipt, "row 4: forged: its receipt does not hold", "row 4: its receipt: the signature does not hold"),
    (replay, "row 6: replayed: its receipt is that of exchange xc_1, given again", "row 6: its receipt was used before"),
    (replay_of_another, "row 4: replayed: its receipt is of another exchange, xc_5", "row 4: its receipt is of another exchange"),
    (lose_facts, "row 3: deleted: its facts are gone", "row 3: its facts are gone"),
    (lose_receipt, "row 4: deleted: its facts are gone", "row 4: its facts are gone"),
    (forge_checkpoint, "the signature by freehold/", "the checkpoint: the signature does not hold"),
    (change_proof, "rows 3 to 10 are not those in the tree", "rows 3 to 10 are not those of the tree"),
    (claim_a_model, "the models named are", "the models named are not"),
]


@pytest.mark.parametrize(("how", "ours", "theirs"), TAMPERED)
def test_every_tampering_is_caught_and_named_by_both(
    bundle: Bundle, how: Callable[[Bundle], object], ours: str, theirs: str
) -> None:
    how(bundle)
    said, told = judged(bundle)
    assert said is not None
    assert told is not None
    assert said.startswith(ours)
    assert theirs in told


def test_an_old_checkpoint_does_not_stand_for_later_rows(home: Path, tmp_path: Path) -> None:
    old = evidence("--from", "12", "--to", "12")
    asyncio.run(write_log(tmp_path / "record.db", exchanges=7))
    TileLog(tmp_path / "record.db", StoreConfig(), KEY).publish()
    later = evidence("--from", "13", "--to", "13", "--file", str(tmp_path / "record.db"))
    later["checkpoint"] = old["checkpoint"]
    ours, theirs = judged(later)
    assert ours == "rows 13 to 13 are not in the tree of 12 rows that the node signed"
    assert theirs == "the rows are not within the tree that was signed"


async def write_days(record: Path) -> None:
    """Nine rows, the first on 2001-09-09, one a day."""
    times = iter(range(10**9, 10**10, 86_400))
    with closing(RecordWriter(record, NodeSigner(KEY), sealer=KEY, unix_ns=lambda: next(times) * 10**9)) as writer:
        for _ in range(9):
            await writer.append("test", {})


def test_a_span_of_time_brings_the_rows_around_it_so_that_none_is_left_out(tmp_path: Path, home: Path) -> None:
    record = tmp_path / "record.db"
    asyncio.run(write_days(record))
    TileLog(record, StoreConfig(), KEY).publish()
    made = evidence("--from", "2001-09-11", "--to", "2001-09-13", "--file", str(record))
    assert (made["first"], len(made["rows"])) == (2, 5)  # rows 3 to 5 are of these days
    assert judged(made) == (None, None)
    for first, last, side in (("3", "6", "before"), ("2", "5", "after"), ("4", "6", "before")):
        cut = evidence("--from", first, "--to", last, "--file", str(record))
        ours, theirs = judged(cut | {"from_ns": made["from_ns"], "to_ns": made["to_ns"]})
        assert f"the row {side} the span is missing" in str(ours)
        assert f"the row {side} the span is missing" in str(theirs)


def test_what_was_purged_holds_by_the_purge_that_says_so(tmp_path: Path, home: Path) -> None:
    record = tmp_path / "record.db"
    asyncio.run(write_log(record))
    TileLog(record, StoreConfig(), KEY).publish()
    tamper(record, "UPDATE checkpoint SET cosigned_by = 1")  # this head is over the rows, not over the purge
    Retention(
        record, StoreConfig(retention_days=31), KEY, unix_ns=lambda: 1_795_000_000_000_000_000 + 40 * 86_400 * 10**9
    ).purge()
    TileLog(record, StoreConfig(), KEY).publish()
    made = evidence("--to", "12", "--file", str(record))
    assert judged(made) == (None, None)
    report = bundles.verify(json.dumps(made).encode(), trusted(KEY.public))
    assert (report.purged, report.decisions) == (6, 6)
    del made["purge"]
    ours, theirs = judged(made)
    assert ours == "row 2: deleted: its facts are gone, and no purge says so"
    assert theirs == "row 2: its facts are gone, and no purge says so"


def test_a_proof_is_evidence_of_one_row_that_shows_the_receipt_alone(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "proof.json"
    assert run("log", "proof", "8", "-o", str(file)).exit_code == 0
    proof = json.loads(file.read_text())
    (row,) = proof["rows"]
    assert set(row["exchange"]) == {"envelope", "ledger_sha256", "findings_sha256", "receipt_sha256"}
    assert judged(proof) == (None, None)
    receipt = tmp_path / "receipt.json"
    receipt.write_text(row["exchange"]["envelope"])
    result = run("receipt", "verify", str(receipt), "--proof", str(file))
    assert result.exit_code == 0, result.output
    assert "row 8 of 12 of freehold/" in result.output
    other = json.loads(run("log", "proof", "6").output)["rows"][0]["exchange"]["envelope"]
    receipt.write_text(other)
    result = run("receipt", "verify", str(receipt), "--proof", str(file))
    assert result.exit_code == 1
    assert "the proof is not of exchange xc_2, but of xc_3" in result.stderr


def test_rows_of_an_earlier_release_hold_by_their_signatures(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = tmp_path / "record.db"
    monkeypatch.setattr(ExchangeParts, "digest", ExchangeParts.older_digest)
    asyncio.run(write_log(record))
    monkeypatch.undo()
    monkeypatch.setenv("FREEHOLD_HOME", str(home))
    assert run("log", "verify", "--file", str(record)).exit_code == 0
    TileLog(record, StoreConfig(), KEY).publish()
    made = evidence("--file", str(record))
    assert judged(made) == (None, None)
    assert bundles.verify(json.dumps(made).encode(), trusted(KEY.public)).unopened == 6


def test_a_record_that_was_tampered_with_gives_no_evidence(tmp_path: Path, home: Path) -> None:
    record = tmp_path / "record.db"
    asyncio.run(write_log(record))
    TileLog(record, StoreConfig(), KEY).publish()
    tamper(record, "UPDATE ledger SET key_id = 'key_2' WHERE seq = 2")
    result = run("evidence", "--file", str(record))
    assert result.exit_code == 1
    assert "row 4 of the log is not as it was written; see: freehold log verify" in result.stderr


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
@given(st.data())
def test_whatever_becomes_of_the_bytes_the_errors_are_ours(bundle: Bundle, data: st.DataObject) -> None:
    text = json.dumps(bundle)
    at = data.draw(st.integers(0, len(text) - 1))
    piece = data.draw(st.text(max_size=3) | st.sampled_from(["null", "-1", "[]", "{}", '"', "1e400", "\\ud800", "9" * 30]))
    raw = (text[:at] + piece + text[at + data.draw(st.integers(0, 6)) :]).encode(errors="surrogatepass")
    ours = theirs = True
    try:
        bundles.verify(raw, trusted(KEY.public))
    except (MalformedArtefact, VerificationError):
        ours = False
    try:
        page.verify(raw, PUBLIC, [])
    except page.Broken:
        theirs = False
    assert theirs or not ours  # the page reads some things less strictly, never more


def documents() -> st.SearchStrategy[object]:
    return st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


@settings(max_examples=30)
@given(st.binary() | documents().map(lambda document: json.dumps(document).encode()))
def test_nonsense_is_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedArtefact):
        bundles.decode(raw)
    with pytest.raises(page.Broken):
        page.verify(raw, PUBLIC, [])
