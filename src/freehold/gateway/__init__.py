"""HTTP edge: reads requests, passes them on, writes answers."""
