"""The public API and the command line: one face of the engine. Never imports `ui`."""
