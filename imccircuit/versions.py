"""Versions of the libraries that can change a number."""

from __future__ import annotations

import platform
from importlib.metadata import version

import imccircuit


def library_versions() -> dict[str, str]:
    """Version of imccircuit, Python, PySpice, numpy and scipy."""
    names = {"pyspice": "PySpice", "numpy": "numpy", "scipy": "scipy"}
    return {
        "imccircuit": imccircuit.__version__,
        "python": platform.python_version(),
        **{key: version(name) for key, name in names.items()},
    }
