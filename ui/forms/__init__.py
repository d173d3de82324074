"""Forms from schemas: one mapping for node settings, sample payloads and settings pages."""
