"""What every call of the public API shares: bodies, parameters, keys, limits, and refusals as problem+json."""
