"""Model families, each with configuration_*, modeling_* and processing_* of its own."""
