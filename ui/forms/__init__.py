"""Forms generated from schemas, for node settings, sample payloads and settings pages."""
