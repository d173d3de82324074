"""The Flow Playground: palette, canvas, inspector, Run panel."""
