"""The patient, and the healthy body as solids that rays cross."""
