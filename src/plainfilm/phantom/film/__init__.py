"""From patient and disease to films, masks and measures."""
