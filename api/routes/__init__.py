"""The routes of the public API, one file per noun, and the health and metrics of the server."""
