"""Energy, carbon and cost of what happened."""
