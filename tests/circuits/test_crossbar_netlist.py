"""The crossbar's netlist as text: names, merged nodes, open cells, numbers. No ngspice."""

import re
from itertools import product

import numpy as np
import pytest

from imccircuit.circuits.crossbar import (
    cell_voltage_vectors,
    crossbar,
    output_current_vectors,
    output_voltage_vectors,
)
from imccircuit.circuits.crossbar_parts import (
    SinhCell,
    TiaReadout,
    TransistorCell,
    interleave_pairs,
)
from imccircuit.errors import UsageError
from imccircuit.nodal import ResistiveArray

ONE = ResistiveArray(np.array([[1e-4]]))


def elements(circuit):
    """Element lines outside subcircuit definitions, lower case, split into words."""
    text = re.sub(r"(?ms)^\.subckt.*?^\.ends[^\n]*\n", "", str(circuit))
    lines = [line.lower().split() for line in text.splitlines()]
    return [line for line in lines if line and not line[0].startswith((".", "*"))]


def test_every_element_of_a_small_array():
    array = ResistiveArray(np.array([[0.5, 0.25], [0.125, 0.0]]), 5, 3, 100, 20)
    got = sorted(" ".join(line) for line in elements(crossbar(array, [0.1, 0.2])))
    assert got == sorted(
        [
            "vin_0 in_0 0 0.1", "vin_1 in_1 0 0.2",
            "rdriver_0 in_0 d_0 100.0", "rdriver_1 in_1 d_1 100.0",
            "rw_0_0 d_0 w_0_0 5.0", "rw_0_1 w_0_0 w_0_1 5.0",
            "rw_1_0 d_1 w_1_0 5.0", "rw_1_1 w_1_0 w_1_1 5.0",
            "rc_0_0 w_0_0 b_0_0 2.0", "rc_0_1 w_0_1 b_0_1 4.0", "rc_1_0 w_1_0 b_1_0 8.0",
            "rb_0_0 b_0_0 b_1_0 3.0", "rb_0_1 b_0_1 b_1_1 3.0",
            "rb_1_0 b_1_0 e_0 3.0", "rb_1_1 b_1_1 e_1 3.0",
            "rsense_0 e_0 s_0 20.0", "rsense_1 e_1 s_1 20.0",
            "vsense_0 s_0 0 0", "vsense_1 s_1 0 0",
        ]
    )  # fmt: skip


@pytest.mark.parametrize("r", list(product((0, 7), (0, 3), (0, 100), (0, 20))))
@pytest.mark.parametrize("cell", [None, SinhCell(0.2), TransistorCell("n", 1.0, 1e-7, 6e-8)])
@pytest.mark.parametrize("readout", [None, TiaReadout(100.0, 1e3)])
def test_no_floating_node_and_no_zero_resistor(r, cell, readout):
    """Every node reaches ground through elements that conduct DC, even with open lines."""
    conductance = np.full((4, 3), 1e-4)
    conductance[1, :] = 0
    conductance[:, 2] = 0
    array = ResistiveArray(conductance, *r)
    lines = elements(crossbar(array, np.ones(4), cell=cell, readout=readout, c_row_f=1e-15))
    reached, links = {"0"}, []
    for name, *rest in lines:
        if name[0] == "r":
            assert float(rest[2]) > 0
        if name[0] == "m":
            links.append(tuple(rest[:3:2]))  # drain and source
        elif name[0] == "x" and "tia" in rest:
            links += [(rest[0], "0"), (rest[1], "0")]
        elif name[0] != "c":
            links.append(tuple(rest[:2]))
    for _ in range(len(links)):
        for pair in links:
            if reached & set(pair):
                reached |= set(pair)
    used = {node for pair in links for node in pair}
    assert used == reached
    asked = {v[2:-1] for side in cell_voltage_vectors(array) for v in side}
    assert asked <= used


def test_vector_names_follow_merged_nodes():
    word, bit = cell_voltage_vectors(ResistiveArray(np.ones((2, 2)), 1, 1))
    assert word == ("v(w_0_0)", "v(w_0_1)", "v(w_1_0)", "v(w_1_1)")
    assert bit == ("v(b_0_0)", "v(b_0_1)", "v(b_1_0)", "v(b_1_1)")
    word, bit = cell_voltage_vectors(ResistiveArray(np.ones((2, 2)), r_sense_ohm=5))
    assert word == ("v(w_0_0)", "v(w_0_0)", "v(w_1_0)", "v(w_1_0)")
    assert bit == ("v(b_1_0)", "v(b_1_1)") * 2
    assert cell_voltage_vectors(ResistiveArray(np.ones((2, 2))))[1] == ("v(s_0)", "v(s_1)") * 2
    assert output_current_vectors(2) == ("i(vsense_0)", "i(vsense_1)")
    assert output_voltage_vectors(1) == ("v(out_0)",)


def test_numbers_read_back_as_the_same_floats():
    rng = np.random.default_rng(1)
    conductance, voltage = rng.uniform(1e-7, 1e-4, (7, 5)), rng.uniform(-1, 1, 7)
    lines = elements(crossbar(ResistiveArray(conductance, 1 / 3, np.pi), voltage))
    found = {line[0]: float(line[3]) for line in lines}
    assert [found[f"vin_{i}"] for i in range(7)] == voltage.tolist()
    assert found["rw_0_0"] == 1 / 3
    assert found["rb_0_0"] == np.pi
    cells = [[found[f"rc_{i}_{j}"] for j in range(5)] for i in range(7)]
    assert cells == (1 / conductance).tolist()


def test_capacitors_of_merged_segments_are_summed():
    lines = elements(crossbar(ResistiveArray(np.ones((2, 3)), 0, 5), [0, 0], c_row_f=1, c_col_f=2))
    caps = {line[0]: line[1:] for line in lines if line[0][0] == "c"}
    assert caps["cw_w_1_0"] == ["w_1_0", "0", "3.0"]
    assert caps["cb_b_1_2"] == ["b_1_2", "0", "2.0"]
    assert len(caps) == 2 + 6


def test_transistor_instance_parameters_and_library(tmp_path):
    library = tmp_path / "mos.lib"
    library.write_text(".lib tt\n.endl tt\n")
    shift = np.array([[0.01, -0.02]])
    cell = TransistorCell("n", 1.2, 1e-7, 6e-8, library, "tt", delta_vth_v=shift, mobility=1.1)
    circuit = crossbar(ResistiveArray(np.ones((1, 2))), [0.1], cell=cell)
    assert f".lib '{library}' tt" in str(circuit)
    found = {line[0]: line[1:] for line in elements(circuit)}
    instance = " ".join(found["mc_0_1"])
    assert instance == "m_0_1 gate s_1 0 n w=1e-07 l=6e-08 delvto=-0.02 mulu0=1.1"
    assert found["vgate"] == ["gate", "0", "1.2"]
    plain = TransistorCell("n", 1.2, 1e-7, 6e-8, library)
    assert f".include '{library}'" in str(crossbar(ONE, [0.1], cell=plain))
    inline = TransistorCell("n", 1.2, 1e-7, 6e-8, lib_text=".model n nmos level=1")
    assert "\n.model n nmos level=1\n" in str(crossbar(ONE, [0.1], cell=inline))


def test_interleave_pairs():
    plus, minus = np.arange(6.0).reshape(2, 3), 10 + np.arange(6.0).reshape(2, 3)
    assert interleave_pairs(plus, minus).tolist() == [
        [0, 10, 1, 11, 2, 12],
        [3, 13, 4, 14, 5, 15],
    ]
    with pytest.raises(UsageError, match="pairs"):
        interleave_pairs(plus, minus[:1])


def test_title_stays_one_line():
    assert str(crossbar(ONE, [0], title="a\n.end")).splitlines()[0] == ".title a .end"


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: crossbar(ONE, [1, 2]), "voltages must be 1"),
        (lambda: crossbar(ONE, 1.0), "voltages must be 1"),
        (lambda: crossbar(ONE, [np.nan]), "finite"),
        (lambda: crossbar(ONE, [1], c_row_f=-1), "c_row_f"),
        (lambda: SinhCell(0.0), "v0_v"),
        (lambda: crossbar(ONE, [1], cell=SinhCell(np.ones((2, 2)))), "v0_v"),
        (lambda: TransistorCell("a b", 1, 1e-7, 1e-7), "model"),
        (lambda: TransistorCell("n\n.end", 1, 1e-7, 1e-7), "model"),
        (lambda: TransistorCell("n", 1, 0.0, 1e-7), "w_m"),
        (lambda: TransistorCell("n", np.inf, 1e-7, 1e-7), "gate_v"),
        (lambda: TransistorCell("n", 1, 1e-7, 1e-7, lib_path="nowhere.lib"), "nowhere.lib"),
        (lambda: TiaReadout(0.0, 1e3), "gain"),
        (lambda: TiaReadout(1.0, 1e3, offset_v=np.nan), "offset"),
        (lambda: crossbar(ONE, [1], readout=TiaReadout(np.ones(2), 1e3)), "gain must be 1"),
    ],
)
def test_refuses(build, words):
    with pytest.raises(UsageError, match=words):
        build()
