"""Device cards, technologies and samplers of their spread."""
