"""Read-only pages over the record: what happens now, and what each receipt says. Never content."""
