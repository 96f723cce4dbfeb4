"""Training: recipes, stages, runs, tables."""
