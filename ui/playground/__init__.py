"""The Flow Playground: the page on which flows are drawn, run and deployed."""
