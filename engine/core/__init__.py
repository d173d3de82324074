"""What every package may use: errors, clock, ids, plans, settings and logging.

It knows no flows, storage or network.
"""
