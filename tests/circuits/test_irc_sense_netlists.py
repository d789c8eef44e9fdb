"""Netlists of the 1T1R column and of the sense amplifier, without a simulator."""

import numpy as np
import pytest

from imccircuit.circuits.irc_column import IrcColumn, Pulse, irc_column
from imccircuit.circuits.sense_amp import Behavioural, Latch, LatchSizes, SenseAmp, sense_amp
from imccircuit.circuits.technology import Technology
from imccircuit.devices.cards import load_card
from imccircuit.errors import UsageError

CARD = load_card("mos_generic", "mos")
AT = Technology(CARD, "tt", 1.2)


def column(rows=3, cols=1, **changes):
    shape = (rows, cols)
    values = {
        "technology": AT, "conductance_s": np.full(shape, 1e-4), "delta_vth_v": np.zeros(shape),
        "mobility": np.ones(shape), "w_m": 360e-9, "l_m": 60e-9, "read_v": 0.2, "r_bit_ohm": 2.0,
        "r_source_ohm": 3.0, "r_clamp_ohm": 20.0,
    }  # fmt: skip
    return IrcColumn(**(values | changes))


def elements(circuit):
    return {line.split()[0].lower(): line.split()[1:] for line in str(circuit).splitlines()
            if line and line[0].lower() in "rmcv"}  # fmt: skip


def test_wires_and_cells_of_a_column():
    found = elements(irc_column(column()))
    assert found["rb_0_0"] == ["read", "b_0_0", "2.0"]
    assert found["rb_2_0"] == ["b_1_0", "b_2_0", "2.0"]
    assert found["rs_0_0"] == ["s_0_0", "s_1_0", "3.0"]
    assert found["rs_2_0"] == ["s_2_0", "e_0", "3.0"]
    assert found["rclamp_0"] == ["e_0", "out_0", "20.0"]
    assert found["rc_1_0"] == ["b_1_0", "m_1_0", "10000.0"]
    assert found["mc_1_0"][:5] == ["m_1_0", "wl_1", "s_1_0", "0", "imc_nmos"]
    assert not any("delvto" in word for words in found.values() for word in words)


def test_source_line_that_leaves_at_the_same_end():
    found = elements(irc_column(column(sense_end="same")))
    assert found["rs_0_0"] == ["s_0_0", "e_0", "3.0"]
    assert found["rs_2_0"] == ["s_2_0", "s_1_0", "3.0"]


def test_ideal_lines_are_one_node():
    found = elements(irc_column(column(r_bit_ohm=0.0, r_source_ohm=0.0, r_clamp_ohm=0.0)))
    assert found["rc_2_0"][0] == "read"
    assert found["mc_2_0"][2] == "out_0"
    assert not any(name.startswith(("rb", "rs", "rclamp")) for name in found)


def test_extra_bias_and_pulsed_rows():
    shape = (3, 2)
    shift = np.zeros(shape)
    shift[2, 1] = 0.01
    drive = Pulse(np.array([True, False]), 0.6, 1e-9)
    changes = {"bias_rows": 1, "delta_vth_v": shift, "c_word_f": 1e-16}
    found = elements(irc_column(column(3, 2, **changes), drive))
    assert [found[f"mc_{i}_1"][1] for i in range(3)] == ["wl", "0", "bias"]
    assert found["mc_2_1"][-2:] == ["delvto=0.01", "mulu0=1.0"]
    assert float(found["cwire_wl"][2]) == 2e-16
    assert float(found["cwire_bias"][2]) == 2e-16


def test_what_does_not_fit():
    with pytest.raises(UsageError, match="3 bias rows of 3"):
        column(bias_rows=3)
    with pytest.raises(UsageError, match="above 0 S"):
        column(conductance_s=np.zeros((3, 1)))
    with pytest.raises(UsageError, match="mobility must be of shape"):
        column(mobility=np.ones((2, 1)))
    with pytest.raises(UsageError, match=r"drive.active must be \(3,\)"):
        irc_column(column(), Pulse(np.ones(2, dtype=bool), 0.6, 1e-9))


def test_sense_amplifier_takes_the_technology_and_its_mismatch():
    sizes = LatchSizes(4e-6, 240e-9, 480e-9, 120e-9, 480e-9, 120e-9, 240e-9, 60e-9, 60e-9)
    core = Latch(sizes, {"mp": 0.003}, {"mp": 1.01})
    text = str(sense_amp(SenseAmp(AT, core, 30e-15, 1e-9)))
    assert "dmp=0.003" in text
    assert "ump=1.01" in text
    assert text.count("imc_pmos") == 6
    assert text.count("imc_nmos") == 6
    assert len(sizes.transistors()) == 12
    plain = str(sense_amp(SenseAmp(AT, Behavioural(0.6, 1e-6, 0.0, 1e-4), 0.0, 1e-9)))
    assert "imc_" not in plain
    assert "ios=1e-06" in plain
    assert "Cinput" not in plain
