"""Jobs from acceptance to their end.

The jobs table holds their state; the queue only tells workers that a job exists.
"""
