"""Exports of fitted models: one folder for each target, one line in the registry."""
