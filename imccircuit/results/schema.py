"""What stands in a results file.

Variables are ``(point, sample, …)``. Points whose arrays differ in shape go into groups
``/shape_0``, ``/shape_1`` …; where all agree, variables stand in the root. ``/provenance`` and
``/inputs`` say how to make the numbers again; ``/run`` holds all that may differ between two runs
of one recipe (times, host), and nothing else does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.bench import Along, Variable
from imccircuit.engines.contract import Status

SCHEMA = "imccircuit-results-1"
INT_FILL = -1

STATUS_MEANINGS = " ".join(status.name.lower() for status in Status)


@dataclass(frozen=True)
class Coordinate:
    """Values of a swept key along ``point``.

    Attributes
    ----------
    values : (point,) numbers in SI, or strings.
    unit : SI unit, ``1`` for numbers without, empty for strings.
    """

    values: NDArray[Any]
    unit: str


@dataclass(frozen=True)
class ShapeGroup:
    """Points whose arrays have the same shape.

    Attributes
    ----------
    points : indices of the points, ascending.
    sizes : length of every dimension.
    variables : the arrays of these points.
    coordinates : values along dimensions that are more than an index.
    swept : values of the swept keys along ``point``.
    """

    points: NDArray[np.int64]
    sizes: Mapping[str, int]
    variables: tuple[Variable, ...]
    coordinates: Mapping[str, NDArray[Any] | Along]
    swept: Mapping[str, Coordinate] = field(default_factory=dict)


@dataclass(frozen=True)
class TaskRecord:
    """What became of one point and sample.

    Attributes
    ----------
    point, sample : which one.
    status : good or why not.
    reason : one line, empty if good.
    rung : the farthest rung of convergence options any of its problems needed.
    deck_sha256 : hashes of the decks of its problems in order, separated by blanks.
    wall_s : seconds its problems took.
    analysis_s : the part of them that simulators spent in analyses.
    arrays : the named arrays; empty if not good.
    """

    point: int
    sample: int
    status: Status
    reason: str = ""
    rung: str = "default"
    deck_sha256: str = ""
    wall_s: float = 0.0
    analysis_s: float = 0.0
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Provenance:
    """How the numbers were made.

    Attributes
    ----------
    recipe_name, recipe_text : name and text of the recipe's file.
    recipe_resolved : JSON of all its tables with defaults and ``--set``; arrays are in ``inputs``.
    inputs : arrays the recipe gives.
    bench, title : as in the recipe.
    seed : entropy of the draws.
    digest : SHA-256 of all that decides the numbers but the engine.
    file_hashes : SHA-256 of cards, libraries and cells by file name.
    versions : of engine, solver, PySpice, numpy, imccircuit.
    """

    recipe_name: str
    recipe_text: str
    recipe_resolved: str
    inputs: Mapping[str, NDArray[np.float64]]
    bench: str
    title: str
    seed: int
    digest: str
    file_hashes: Mapping[str, str]
    versions: Mapping[str, str]
