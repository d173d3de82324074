"""MCP servers: services whose tools agents may call, reached through the outbound client."""
