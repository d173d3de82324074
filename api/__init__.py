"""The public API and the command line. Both call the engine; neither imports `ui`."""
