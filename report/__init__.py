"""The report on your own embeddings: read two files, score them, write one page."""
