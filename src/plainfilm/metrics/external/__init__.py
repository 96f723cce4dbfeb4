"""Metrics computed by other packages, each in a separate environment."""
