"""The documentation of the public API: pages, the OpenAPI document, the reference read from it, and search."""
