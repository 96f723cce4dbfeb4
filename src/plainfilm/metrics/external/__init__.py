"""Metrics that other packages compute, each in an environment of its own."""
