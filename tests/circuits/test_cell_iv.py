"""Netlists of cells side by side: what stands in them, and what is refused."""

import numpy as np
import pytest

from imccircuit.circuits.cell_iv import (
    AccessTransistors,
    CellSet,
    Lines,
    ReadPulse,
    cells_dc,
    cells_read,
)
from imccircuit.circuits.technology import Technology
from imccircuit.devices.cards import load_card
from imccircuit.errors import UsageError

G = np.array([2.0**-15, 2.0**-18])
PULSE = ReadPulse(0.2, 1.2, 10e-9, 1e-10)


def gated(delta=(0.0, 0.0), ratio=(1.0, 1.0), v0=None):
    technology = Technology(load_card("mos_generic", "mos"), "tt", 1.2)
    access = AccessTransistors(technology, 120e-9, 60e-9, np.array(delta), np.array(ratio))
    return CellSet(G, v0, access)


def lines_of(circuit):
    return [line.lower() for line in str(circuit).splitlines()]


def test_resistors_between_bit_line_and_ammeters():
    lines = lines_of(cells_dc(CellSet(G)))
    assert "rc_0 bl s_0 32768.0" in lines
    assert "rc_1 bl s_1 262144.0" in lines
    assert sum(line.startswith("vsense_") for line in lines) == 2
    assert not any(line.startswith("vwl") for line in lines)


def test_a_sinh_cell_names_its_law():
    lines = lines_of(cells_dc(CellSet(G, 0.3)))
    assert "xc_0 bl s_0 cell_1r_sinh g=3.0517578125e-05 v0=0.3" in lines


def test_transistors_have_their_mismatch():
    lines = lines_of(cells_dc(gated(delta=(0.01, 0.0), ratio=(1.1, 1.0))))
    (first,) = [line for line in lines if line.startswith("mc_0")]
    assert first.startswith("mc_0 m_0 wl s_0 0 imc_nmos")
    assert "delvto=0.01 mulu0=1.1" in first
    (second,) = [line for line in lines if line.startswith("mc_1")]
    assert "delvto" not in second


def test_lines_of_a_read():
    lines = lines_of(cells_read(gated(), Lines(1e3, 1e-14, 2e3, 2e-14, 7), PULSE))
    assert "rbl_0 in_bl_0 bl_0 1000.0" in lines
    assert "cfwl_1 wl_1 0 1e-14" in lines
    assert any(line.startswith("mg_0 0 wl_0 0 0 imc_nmos") and "m=7" in line for line in lines)


def test_ideal_lines_have_no_resistor():
    lines = lines_of(cells_read(CellSet(G), Lines(0.0, 1e-14, 0.0, 0.0, 0), PULSE))
    assert not any(line.startswith("rbl") for line in lines)
    assert "cfbl_0 bl_0 0 1e-14" in lines


def test_a_read_rests_as_long_as_it_reads():
    assert PULSE.second_s == (20e-9, 40e-9)


@pytest.mark.parametrize("g", [[], [0.0], [-1e-6], [np.nan], [[1e-6]]])
def test_conductances_that_are_none(g):
    with pytest.raises(UsageError, match="above 0 S"):
        CellSet(np.array(g, dtype=float))


def test_other_faults():
    with pytest.raises(UsageError, match="v0_v"):
        CellSet(G, 0.0)
    with pytest.raises(UsageError, match="delta_vth_v"):
        gated(delta=(0.0,))
