"""A guarding proxy between MCP clients and servers. Needs the extra `freehold[mcp]`, but for its settings and pins."""
