"""Visual evidence for statements: heatmaps over the film."""
