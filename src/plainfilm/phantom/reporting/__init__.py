"""What is said of a film: truth, institutions, the request and the table around it, changes."""
