"""Reads documents: PDF, Word, PowerPoint, tables of Excel and OpenDocument, CSV, web pages, e-mails and text.

`reading.py` is what nodes call: it imports no reader library and sends the file to an evaluator process. Everything
else here, but `sentences.py` and `page_ranges.py`, runs in that process only.
"""
