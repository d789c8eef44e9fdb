"""Bit lines whose virtual grounds do not stand at 0 V."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import fsolve

from imccircuit.errors import UsageError
from imccircuit.nodal import (
    CellLaw,
    ResistiveArray,
    port_admittance,
    solve_array,
    solve_currents,
    solve_fast,
    solve_nonlinear,
)
from imccircuit.nodal.lines import solve_lines

LAWS = {"linear": CellLaw(), "sinh": CellLaw.sinh(0.08), "rise": CellLaw.rise(2e8)}
WIRES = {
    "all": {"r_row_ohm": 2.0, "r_col_ohm": 3.0, "r_driver_ohm": 40.0, "r_sense_ohm": 15.0},
    "ideal ends": {"r_row_ohm": 2.0, "r_col_ohm": 3.0},
    "merged bit lines": {"r_row_ohm": 2.0, "r_sense_ohm": 15.0},
    "no wires": {},
}
SHAPE = (7, 5)


def case(wires: str = "all") -> tuple[ResistiveArray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    array = ResistiveArray(1e-6 * rng.uniform(1, 100, SHAPE), **WIRES[wires])
    return array, rng.uniform(-0.2, 0.2, (4, SHAPE[0])), rng.uniform(-0.05, 0.05, SHAPE[1])


def of_all_solvers(array, voltage, law, sense):
    """Currents (batch, col) by name of the solver."""
    found = {
        "compiled": solve_currents(array, voltage, law, sense),
        "compiled, whole": solve_fast(array, voltage, law, sense).output_current_a,
        "sparse": (
            solve_array(array, voltage, sense)
            if law.linear
            else solve_nonlinear(array, law, voltage, sense)
        ).output_current_a,
    }
    names = ("r_row_ohm", "r_col_ohm", "r_driver_ohm", "r_sense_ohm")
    of_law = {"sinh": {"v0_v": 0.08}, "rise": {"r_rise_ohm_per_a": 2e8}}.get(law.kind, {})
    found["lines"] = solve_lines(
        array.conductance_s, voltage, **{n: getattr(array, n) for n in names}, sense_v=sense,
        **of_law,
    )[0]  # fmt: skip
    return found


@pytest.mark.parametrize("wires", WIRES)
@pytest.mark.parametrize("law", LAWS)
def test_all_ends_at_one_voltage_are_all_drivers_lower_by_it(law: str, wires: str) -> None:
    array, voltage, _ = case(wires)
    wanted = of_all_solvers(array, voltage - 0.03, LAWS[law], None)["sparse"]
    for name, found in of_all_solvers(array, voltage, LAWS[law], np.full(5, 0.03)).items():
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-9 * np.abs(wanted).max(),
                                   err_msg=name)  # fmt: skip


@pytest.mark.parametrize("wires", ["all", "merged bit lines"])
def test_linear_cells_add_the_admittance_of_the_ends(wires: str) -> None:
    array, voltage, sense = case(wires)
    wanted = solve_array(array, voltage).output_current_a - sense @ port_admittance(array)
    for name, found in of_all_solvers(array, voltage, LAWS["linear"], sense).items():
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-9 * np.abs(wanted).max(),
                                   err_msg=name)  # fmt: skip


def test_two_sinh_cells_by_kirchhoff() -> None:
    """One row behind 1 kohm with a cell to each of two ends: one equation for the row's voltage."""
    g, v0, drive, ends = np.array([50e-6, 80e-6]), 0.1, 0.3, np.array([0.04, -0.02])

    def cells(row_v: float) -> np.ndarray:
        return g * v0 * np.sinh((row_v - ends) / v0)

    row_v = fsolve(lambda v: (drive - v) / 1e3 - cells(v[0]).sum(), 0.2, xtol=1e-14)[0]
    array = ResistiveArray(g[None], r_driver_ohm=1e3)
    for found in (
        solve_currents(array, [drive], CellLaw.sinh(v0), ends),
        solve_nonlinear(array, CellLaw.sinh(v0), [drive], ends).output_current_a,
        solve_lines(g[None], np.array([[drive]]), r_driver_ohm=1e3, sense_v=ends, v0_v=v0)[0],
    ):
        np.testing.assert_allclose(found[0], cells(row_v), rtol=1e-9)


@pytest.mark.parametrize("law", ["sinh", "rise"])
@pytest.mark.parametrize("wires", WIRES)
def test_solvers_of_nonlinear_cells_agree(law: str, wires: str) -> None:
    array, voltage, sense = case(wires)
    found = of_all_solvers(array, voltage, LAWS[law], sense)
    without = solve_currents(array, voltage, LAWS[law])
    assert np.abs(found["sparse"] - without).max() > 1e-2 * np.abs(without).max()
    for name, current in found.items():
        np.testing.assert_allclose(current, found["sparse"], rtol=0,
                                   atol=1e-9 * np.abs(without).max(), err_msg=name)  # fmt: skip


def test_drivers_at_rest_leave_the_ends_alone() -> None:
    array, _, sense = case()
    rest = np.zeros((1, SHAPE[0]))
    found = solve_currents(array, rest, LAWS["sinh"], sense)
    wanted = solve_nonlinear(array, LAWS["sinh"], rest, sense).output_current_a
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-9 * np.abs(wanted).max())
    assert np.all(found[0] * sense < 0)


def test_a_far_end_stands_at_the_same_voltage() -> None:
    array, voltage, _ = case()
    both = ResistiveArray(
        array.conductance_s, **WIRES["all"], r_driver_far_ohm=30.0, r_sense_far_ohm=20.0
    )
    for law in LAWS.values():
        found = solve_fast(both, voltage, law, np.full(5, 0.03))
        wanted = solve_fast(both, voltage - 0.03, law).output_current_a
        np.testing.assert_allclose(found.output_current_a, wanted, rtol=0,
                                   atol=1e-9 * np.abs(wanted).max())  # fmt: skip
        assert found.kcl_residual_a < 1e-9 * np.abs(wanted).max()


def test_wrong_voltages_of_ends_are_refused() -> None:
    array, voltage, _ = case()
    for wrong in (np.zeros(4), np.full(5, np.nan), np.zeros((1, 5))):
        with pytest.raises(UsageError, match=r"sense ends must be finite, of shape \(5,\)"):
            solve_currents(array, voltage, LAWS["sinh"], wrong)
    with pytest.raises(ValueError, match="do not fit"):
        solve_lines(array.conductance_s, voltage, sense_v=np.zeros(4))
    with pytest.raises(UsageError, match="outside the sinh law"):
        solve_currents(array, voltage, LAWS["sinh"], np.full(5, 5.0))
