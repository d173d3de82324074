"""Reads HTML pages. Pure code with few imports, because the evaluator process that reads difficult pages imports it."""
