"""The canvas of the Playground: its element, the handlers of its events, the palette and the list of steps."""
