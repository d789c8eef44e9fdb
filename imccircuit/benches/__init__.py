"""Benches: one measurement each, as a Python generator that yields problems."""
