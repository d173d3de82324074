"""The pages of knowledge: the list of collections, and a collection with its sources, its pieces and a search."""
