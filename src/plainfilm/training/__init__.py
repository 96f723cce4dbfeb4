"""Training and evaluation: recipes, stages, tables."""
