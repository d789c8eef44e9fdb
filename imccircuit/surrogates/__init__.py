"""Behavioural models fitted to results files, each with a verdict that travels with it."""
