"""An MCP server with a tool that works and one that does not; run as a program, it speaks over stdio."""

from mcp.server.mcpserver import MCPServer

server = MCPServer("shop", log_level="CRITICAL")


@server.tool()
def price(item: str) -> int:
    """Tells the price."""
    return len(item)


@server.tool()
def broken() -> str:
    """Fails."""
    raise ValueError("no such order")


if __name__ == "__main__":
    server.run("stdio")
