"""Model families, a folder each; :mod:`plainfilm.models.family` says what a family owes."""
