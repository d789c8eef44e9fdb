"""Engines: what solves problems, behind one contract."""
