"""What one rendering may take (security.md S5, S6)."""

from __future__ import annotations

SECONDS = 2.0
MEMORY = 400 << 20
OUTPUT = 1 << 20
DEPTH = 64
#: Data that a template may name, as JSON.
INPUT = 16 << 20
#: A process is replaced after so many renderings.
CALLS = 500
