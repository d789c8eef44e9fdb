"""Numerical library for resistive arrays: no engine, no file, no SPICE."""

from __future__ import annotations

from imccircuit.nodal.adjoint import conductance_gradient
from imccircuit.nodal.array import ResistiveArray
from imccircuit.nodal.cells import CellLaw
from imccircuit.nodal.direct import effective_conductance, port_admittance
from imccircuit.nodal.fast import solve_currents, solve_fast
from imccircuit.nodal.sinh import solve_nonlinear, solve_sinh_array
from imccircuit.nodal.solve import ArraySolution, solve_array, solve_crossbar

__all__ = [
    "ArraySolution",
    "CellLaw",
    "ResistiveArray",
    "conductance_gradient",
    "effective_conductance",
    "port_admittance",
    "solve_array",
    "solve_crossbar",
    "solve_currents",
    "solve_fast",
    "solve_nonlinear",
    "solve_sinh_array",
]
