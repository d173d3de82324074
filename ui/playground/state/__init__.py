"""The state of the Playground, without NiceGUI: what is derived from the draft, the data a node can use, and the last
run.
"""
