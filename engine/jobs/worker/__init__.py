"""The worker process: it claims jobs, runs their flows, and stores steps and results."""
