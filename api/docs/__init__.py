"""The documentation of the public API: HTML and Markdown pages, the OpenAPI documents, the reference that is generated
from them, and the search.
"""
