"""The canvas of the Playground: its element, its events, the palette and the list of steps."""
