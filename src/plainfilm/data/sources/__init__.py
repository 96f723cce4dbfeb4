"""Public collections and others, each read from its own layout into a dataset directory."""
