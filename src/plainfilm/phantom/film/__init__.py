"""What a detector sees of patient and disease: films, masks and measures."""
