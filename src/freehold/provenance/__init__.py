"""Signs and verifies: models, receipts, the log."""
