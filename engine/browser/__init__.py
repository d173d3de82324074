"""Renders pages with a headless Chromium in a process of its own."""
