"""Who is on the film, and the healthy body as solids that rays cross."""
