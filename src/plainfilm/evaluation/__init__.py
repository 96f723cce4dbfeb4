"""A model held against a test set: scores, tables, plots, and pages of errors."""
