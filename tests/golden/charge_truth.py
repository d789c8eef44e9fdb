"""Charge-domain columns by hand: what SPICE is held against. Nothing here is from the library.

While sampling, capacitor C_i of a column holds p_i·VDD·C_i, and its line, which was reset, holds
nothing. Sharing connects them all, and the charge stays:

    V·(Σ C_i + C_line) = VDD·Σ p_i·C_i.
"""

from types import SimpleNamespace

import numpy as np

from imccircuit.benches.charge_mvm import BENCH
from imccircuit.benches.charge_parameters import ChargeParameters
from imccircuit.validation import validate

VDD, UNIT_F = 0.9, 1e-15
BOLTZMANN = 1.380649e-23


def line_f(rows):
    """Published: 0.3·N·C + 2 fF."""
    return 0.3 * rows * UNIT_F + 2e-15


def shared_voltage(products, capacitors_f, vdd=VDD):
    """(batch, col) voltages of columns; products (batch, row, col) of 0 and 1."""
    rows = capacitors_f.shape[0]
    held = np.sum(products * capacitors_f[None] * vdd, axis=1)
    return held / (np.sum(capacitors_f, axis=0) + line_f(rows))


def step_v(rows, vdd=VDD):
    """One product more, nominal."""
    return vdd * UNIT_F / (rows * UNIT_F + line_f(rows))


def parameters(circuit=None, stimulus=None, conditions=None):
    """Parameters of the bench, by a recipe's tables."""
    tables = {
        "circuit": {"unit_capacitor": f"{UNIT_F} F", **(circuit or {})},
        "stimulus": stimulus or {},
        "conditions": {"supply": f"{VDD} V", **(conditions or {})},
    }
    return validate(ChargeParameters, tables, file="test")


def run(engine, measure, **kwargs):
    """Arrays of the bench as attributes."""
    quantities, entropy = kwargs.pop("quantities", ()), kwargs.pop("entropy", 0)
    arrays = measure(BENCH, parameters(**kwargs), engine, quantities=quantities, entropy=entropy)
    return SimpleNamespace(**arrays)
