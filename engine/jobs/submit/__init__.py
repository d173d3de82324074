"""Taking jobs in: accepting single jobs and batches, limits, and batch items that wait for a slot."""
