"""Model families, one folder each; :mod:`plainfilm.models.family` defines their interface."""
