"""How outbound requests name this program to the sites they reach."""

from __future__ import annotations

from typing import Final

USER_AGENT: Final = "Flowport/1.0"
