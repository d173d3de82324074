"""What the Playground knows, without NiceGUI: the draft, the data a step can use, and the last run."""
