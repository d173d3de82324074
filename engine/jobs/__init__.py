"""Jobs from acceptance to their end: the jobs table is the truth, the queue only wakes workers."""
