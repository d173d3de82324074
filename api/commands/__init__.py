"""The command line, for example `app.py flows import page.json`. Commands need no running server and work beside one.

A command writes only its result to stdout and notes to stderr. Exit codes: 0 success, 1 refused, 2 wrong usage.
"""
