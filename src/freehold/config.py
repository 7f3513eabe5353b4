"""One frozen configuration per room, out of one TOML file."""
