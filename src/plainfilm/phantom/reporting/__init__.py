"""Reporting: truth, institutions, indication and clinical table, changes, reports."""
