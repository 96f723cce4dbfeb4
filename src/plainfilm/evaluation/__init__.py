"""Evaluation of a model on a test set: scores, tables, plots, and error pages."""
