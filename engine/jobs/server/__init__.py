"""What one process per data folder does for jobs: supervise workers, wake waiting callers, and clean up."""
