"""Numerical library for resistive arrays: no engine, no file, no SPICE."""

from __future__ import annotations

from imccircuit.nodal.array import ResistiveArray
from imccircuit.nodal.sinh import solve_sinh_array
from imccircuit.nodal.solve import (
    ArraySolution,
    effective_conductance,
    solve_array,
    solve_crossbar,
)

__all__ = [
    "ArraySolution",
    "ResistiveArray",
    "effective_conductance",
    "solve_array",
    "solve_crossbar",
    "solve_sinh_array",
]
