"""Shows a flow without editing: nodes, frames of lists, and the progress of a job on its nodes."""
