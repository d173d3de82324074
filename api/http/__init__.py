"""What the routes of the public API share: request bodies, parameters, API keys, limits, and refusals as problem+json."""
