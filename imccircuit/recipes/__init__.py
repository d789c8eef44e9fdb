"""Recipes: what is measured, at which points, on how many chips; from TOML to a plan."""
