"""Image backbones and what prepares a film for them; torch is imported by the modules, not here."""
