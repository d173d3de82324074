"""What everything else may use: errors, clock, ids, plans, settings and logging. Knows no flow, no storage and no network."""
