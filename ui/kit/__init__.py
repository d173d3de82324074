"""Shared parts of all pages: frame, small elements, toasts and dialogs, code and values, texts and times."""
