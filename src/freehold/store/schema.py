"""The tables, as a list of steps. A step once released is never changed; a new one is added after it.

`PRAGMA user_version` counts the steps that a file has had. A file with more of them than this release knows is refused, never
guessed at.
"""

import sqlite3
from pathlib import Path

from freehold.core.errors import ConfigError, DeviceError

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """
        CREATE TABLE ledger (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            exchange_id TEXT NOT NULL UNIQUE,
            received_at_ns INTEGER NOT NULL,
            key_id TEXT NOT NULL,
            team TEXT,
            dialect TEXT NOT NULL,
            operation TEXT NOT NULL,
            provider TEXT,
            model TEXT NOT NULL,
            model_id TEXT,
            stream INTEGER NOT NULL,
            status TEXT NOT NULL,
            finish_reason TEXT,
            error_code TEXT,
            input_tokens INTEGER,
            output_tokens INTEGER,
            ttft_ms REAL,
            duration_ms REAL NOT NULL,
            energy_grade TEXT NOT NULL,
            energy_source TEXT NOT NULL,
            energy_j REAL,
            energy_low_j REAL,
            energy_high_j REAL,
            policy_digest TEXT NOT NULL,
            CHECK ((energy_j IS NULL) = (energy_grade = 'unknown'))
        ) STRICT
        """,
        "CREATE INDEX ledger_by_time ON ledger (received_at_ns)",
        """
        CREATE TABLE finding (
            ledger_seq INTEGER NOT NULL REFERENCES ledger (seq),
            n INTEGER NOT NULL,
            rule TEXT NOT NULL,
            category TEXT NOT NULL,
            direction TEXT NOT NULL,
            channel TEXT NOT NULL,
            part INTEGER NOT NULL,
            span_start INTEGER NOT NULL,
            span_end INTEGER NOT NULL,
            confidence REAL NOT NULL,
            action TEXT NOT NULL,
            mode TEXT NOT NULL,
            PRIMARY KEY (ledger_seq, n)
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE receipt (
            ledger_seq INTEGER PRIMARY KEY REFERENCES ledger (seq),
            digest TEXT NOT NULL,
            signed_by TEXT NOT NULL,
            salt BLOB NOT NULL,
            envelope BLOB NOT NULL
        ) STRICT
        """,
        """
        CREATE TABLE client_key (
            id TEXT PRIMARY KEY,
            secret_sha256 BLOB NOT NULL UNIQUE,
            shown TEXT NOT NULL,
            name TEXT NOT NULL,
            team TEXT,
            is_admin INTEGER NOT NULL,
            created_at_ns INTEGER NOT NULL,
            revoked_at_ns INTEGER
        ) STRICT
        """,
        # One row, rewritten to learn whether the disk takes writes again.
        "CREATE TABLE probe (id INTEGER PRIMARY KEY CHECK (id = 1), filler BLOB NOT NULL) STRICT",
    ),
    (
        # What a key, or all keys of a team together, may use. No row is no limit; NULL is no limit of that kind.
        """
        CREATE TABLE allowance (
            holder_kind TEXT NOT NULL CHECK (holder_kind IN ('key', 'team')),
            holder TEXT NOT NULL,
            models TEXT NOT NULL,
            labels TEXT NOT NULL,
            expires_at_ns INTEGER,
            requests_per_min INTEGER,
            tokens_per_min INTEGER,
            concurrent INTEGER,
            money_microusd INTEGER,
            money_period TEXT,
            energy_j REAL,
            energy_period TEXT,
            PRIMARY KEY (holder_kind, holder),
            CHECK ((money_microusd IS NULL) = (money_period IS NULL)),
            CHECK ((energy_j IS NULL) = (energy_period IS NULL))
        ) STRICT, WITHOUT ROWID
        """,
        "ALTER TABLE ledger ADD COLUMN cost_microusd INTEGER",
        "ALTER TABLE ledger ADD COLUMN reserved_microusd INTEGER",
    ),
    (
        "ALTER TABLE finding ADD COLUMN value_digest TEXT",
        # The tamper-evident log: `audit.py` says what its columns bind. `facts` is NULL of an exchange, and once purged.
        """
        CREATE TABLE audit (
            n INTEGER PRIMARY KEY AUTOINCREMENT,
            at_ns INTEGER NOT NULL,
            kind TEXT NOT NULL,
            exchange_id TEXT,
            ledger_seq INTEGER,
            facts TEXT,
            digest BLOB NOT NULL,
            link BLOB NOT NULL,
            seal BLOB,
            signed_by TEXT,
            CHECK ((ledger_seq IS NULL) = (kind <> 'exchange')),
            CHECK ((seal IS NULL) = (signed_by IS NULL))
        ) STRICT
        """,
        "CREATE INDEX audit_to_purge ON audit (n) WHERE exchange_id IS NOT NULL AND facts IS NOT NULL",
        "CREATE INDEX audit_purges ON audit (n) WHERE kind = 'retention_purged'",
    ),
    (
        # The hash tree over the log's rows, derived from them: `tree.py`. A tile holds up to 256 hashes of one level.
        """
        CREATE TABLE tree_tile (
            level INTEGER NOT NULL,
            n INTEGER NOT NULL,
            hashes BLOB NOT NULL,
            UNIQUE (level, n),
            CHECK (length(hashes) BETWEEN 32 AND 8192 AND length(hashes) % 32 = 0)
        ) STRICT
        """,
        # Tree heads that this node signed, as signed notes. `cosigned_by` counts the witnesses' signatures in it.
        """
        CREATE TABLE checkpoint (
            size INTEGER PRIMARY KEY,
            at_ns INTEGER NOT NULL,
            note TEXT NOT NULL,
            cosigned_by INTEGER NOT NULL DEFAULT 0
        ) STRICT
        """,
        # Of other nodes' logs that this one is a witness of: the last tree head it cosigned.
        """
        CREATE TABLE witnessed (
            origin TEXT PRIMARY KEY,
            size INTEGER NOT NULL,
            root BLOB NOT NULL,
            note TEXT NOT NULL,
            at_ns INTEGER NOT NULL
        ) STRICT
        """,
    ),
    (
        # What an exchange took beyond joules; NULL is unknown. The two allocations are the same energy, shared out otherwise.
        "ALTER TABLE ledger ADD COLUMN energy_by_tokens_j REAL",
        "ALTER TABLE ledger ADD COLUMN energy_by_time_j REAL",
        "ALTER TABLE ledger ADD COLUMN carbon_g REAL",
        "ALTER TABLE ledger ADD COLUMN carbon_low_g REAL",
        "ALTER TABLE ledger ADD COLUMN carbon_high_g REAL",
        "ALTER TABLE ledger ADD COLUMN carbon_zone TEXT",
        "ALTER TABLE ledger ADD COLUMN carbon_year INTEGER",
        "ALTER TABLE ledger ADD COLUMN carbon_method TEXT",
        "ALTER TABLE ledger ADD COLUMN embodied_g REAL",
        "ALTER TABLE ledger ADD COLUMN water_l REAL",
        "ALTER TABLE ledger ADD COLUMN electricity_microusd REAL",
        "CREATE INDEX audit_of_the_meter ON audit (kind, n) WHERE kind IN ('energy_window', 'efficiency_event')",
    ),
    (
        # What policy keeps of single exchanges, encrypted: `content.py`.
        """
        CREATE TABLE content (
            ledger_seq INTEGER PRIMARY KEY REFERENCES ledger (seq),
            exchange_id TEXT NOT NULL UNIQUE,
            until_ns INTEGER NOT NULL,
            encrypted BLOB NOT NULL
        ) STRICT
        """,
        "CREATE INDEX content_by_end ON content (until_ns)",
    ),
    (
        # When an exchange that could wait had its turn: JSON of `core.deferral.Turn`. NULL of one that could not.
        "ALTER TABLE ledger ADD COLUMN turn TEXT",
        # Batches: `facts` is JSON of `core.batches.Batch`; what files hold is sealed in a folder of its own. No content here.
        """
        CREATE TABLE batch_file (
            n INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            key_id TEXT NOT NULL,
            purpose TEXT NOT NULL,
            filename TEXT NOT NULL,
            size_bytes INTEGER NOT NULL,
            created_at_s INTEGER NOT NULL,
            expires_at_s INTEGER NOT NULL
        ) STRICT
        """,
        """
        CREATE TABLE batch (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            key_id TEXT NOT NULL,
            status TEXT NOT NULL,
            is_over INTEGER NOT NULL,
            input_file_id TEXT NOT NULL,
            created_at_s INTEGER NOT NULL,
            facts TEXT NOT NULL
        ) STRICT
        """,
        # `state`: 0 waits, 1 runs, 2 is answered. `at` and `size_bytes` are its place in the input file.
        """
        CREATE TABLE batch_line (
            batch_id TEXT NOT NULL,
            n INTEGER NOT NULL,
            at INTEGER NOT NULL,
            size_bytes INTEGER NOT NULL,
            state INTEGER NOT NULL DEFAULT 0,
            attempts INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (batch_id, n)
        ) STRICT, WITHOUT ROWID
        """,
        # How far the answers and the errors of a batch that is under way are written.
        """
        CREATE TABLE batch_output (
            file_id TEXT PRIMARY KEY,
            batch_id TEXT NOT NULL,
            kind TEXT NOT NULL CHECK (kind IN ('output', 'error')),
            pieces INTEGER NOT NULL,
            sealed_bytes INTEGER NOT NULL,
            size_bytes INTEGER NOT NULL,
            UNIQUE (batch_id, kind)
        ) STRICT
        """,
        "CREATE INDEX batch_open ON batch (seq) WHERE is_over = 0",
        "CREATE INDEX ledger_deferred ON ledger (json_extract(turn, '$.batch')) WHERE turn IS NOT NULL",
    ),
    ("CREATE INDEX audit_of_trust ON audit (n) WHERE kind = 'trust_changed'",),
)


def migrate(connection: sqlite3.Connection, path: Path, *, may_write: bool = True) -> None:
    """Bring the file up to date, or say why it cannot be used."""
    if _version(connection, path) == len(MIGRATIONS):
        return
    if not may_write:
        raise DeviceError(f"{path} has no up-to-date record yet; start the node once, or run: freehold keys list")
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Asked again under the lock: another process may have migrated meanwhile.
        for step in MIGRATIONS[_version(connection, path) :]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version={len(MIGRATIONS)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection, path: Path) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise ConfigError(
            f"{path} was written by a newer Freehold (schema {version}, this release knows {len(MIGRATIONS)}); upgrade it, or "
            "name another [store] file"
        )
    return version
