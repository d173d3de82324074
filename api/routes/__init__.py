"""The routes of the public API, one module per resource, and the routes for health and metrics of the server."""
