"""Pages rendered by a headless Chromium in a process of its own."""
