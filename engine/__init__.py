"""What Flowport does: flows, nodes, runs, jobs and the verbs that change them. Knows neither a page nor an HTTP status."""
