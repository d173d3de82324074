"""Knowledge: texts cut into pieces that flows and people search by words and by meaning.

`reading.py` reads sources, `chunking.py` cuts what it read, `indexer.py` does both in a worker's background,
`search.py` answers questions.
"""
