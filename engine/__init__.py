"""Flows, nodes, runs, jobs and the actions that change them. This package knows neither pages nor HTTP statuses."""
