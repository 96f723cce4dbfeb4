"""Films: from a file to an Image."""
