"""Data sources: each public collection is read from its own layout into a dataset directory."""
