"""Pages over the record: what happens now, and what each receipt says. Read-only and without content, but for waiting calls."""
