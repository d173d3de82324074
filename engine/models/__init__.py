"""Language models: connections, providers, prices, and one client for chat completions."""
