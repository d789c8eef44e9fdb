"""Compiled kernels of surrogates, each with a twin in numpy that its tests compare it with."""
