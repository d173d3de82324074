"""The command line: `app.py flows import page.json`. It needs no server and works beside a running one.

Every command writes its value alone to stdout and notes to stderr; it ends with 0 done, 1 refused, 2 used wrongly.
"""
