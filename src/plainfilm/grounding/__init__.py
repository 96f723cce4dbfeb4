"""Where a statement comes from: heatmaps laid over the film."""
