"""What a worker process does: claim jobs, run their flow, and store steps and results."""
