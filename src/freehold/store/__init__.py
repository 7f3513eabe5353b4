"""SQLite: the ledger, the receipts, the keys."""
