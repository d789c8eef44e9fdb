"""Row driver of five transistors against small-signal arithmetic on single transistors.

The driver is a pair p1 (input), p2 (output), a load n1 (diode), n2 and a tail, its output on the
gate of p2. Every transistor's currents and their derivatives come from decks of one transistor that
are written down here, at the voltages of the driver's own nodes; the rest is Kirchhoff:

    tail    dI_tail + dI_p1 + dI_p2 = 0,   mirror  dI_p1 + dI_n1 = 0,   out  dI_p2 + dI_n2 = 0.

With an ideal tail and mirror that is A/(1 + A), A = gm_p/(gds_p + gds_n). All is symmetric where
the output is at the mirror's voltage: there the offset is 0, elsewhere (1 − gain) of the distance.
"""

import shutil
import subprocess

import numpy as np
import pytest

from imccircuit.benches.aidac_driver import measure_driver
from imccircuit.benches.aidac_parameters import AidacParameters
from imccircuit.devices.cards import load_card
from imccircuit.engines.contract import Status
from imccircuit.engines.ngspice import NgspiceEngine

pytestmark = [
    pytest.mark.ngspice,
    pytest.mark.skipif(shutil.which("ngspice") is None, reason="ngspice is not installed"),
]

W, W_LOAD, LENGTH, I_TAIL, V_DD, LOW = 4.8e-6, 9.6e-6, 120e-9, 80e-6, 1.2, -0.35
STEP = 1e-3


@pytest.fixture(scope="module")
def library():
    return load_card("mos_generic", "mos").include_line()


def run_ngspice(folder, lines, vectors):
    """Values of one operating point, from a deck that is given as text."""
    out = folder / "values"
    deck = [
        "by hand", *lines, ".options reltol=1e-6 gmin=1e-14", ".control", "op",
        "set wr_vecnames", "set numdgt=12", f"wrdata {out} {' '.join(vectors)}", "quit 0",
        ".endc", ".end",
    ]  # fmt: skip
    (folder / "deck.cir").write_text("\n".join(deck) + "\n")
    command = ["ngspice", "-b", "-n", str(folder / "deck.cir")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    (values,) = np.loadtxt(out, skiprows=1, ndmin=2)
    return values[1::2]


@pytest.fixture(scope="module")
def at_rest(library, tmp_path_factory):
    """(tail, mirror, out, drive) of the driver at an input, from a netlist of its own."""

    def nodes(v_in):
        size, load = f"W={W} L={LENGTH}", f"W={W_LOAD} L={LENGTH}"
        lines = [
            library, f"Vdd vdd 0 {V_DD}", f"Vss low 0 {LOW}", f"Vin in 0 {v_in}",
            f"Mb drive drive vdd vdd imc_pmos {size}", f"Ib drive 0 {I_TAIL}",
            f"Mt tail drive vdd vdd imc_pmos {size}",
            f"M1 mirror in tail tail imc_pmos {size}", f"M2 out out tail tail imc_pmos {size}",
            f"M3 mirror mirror low low imc_nmos {load}", f"M4 out mirror low low imc_nmos {load}",
        ]  # fmt: skip
        vectors = [f"v({name})" for name in ("tail", "mirror", "out", "drive")]
        return run_ngspice(tmp_path_factory.mktemp("rest"), lines, vectors)

    return nodes


@pytest.fixture(scope="module")
def derivatives(library, tmp_path_factory):
    """Current into the drain and its derivatives by drain, gate and source (bulk on the source)."""

    def of(kind, width, d, g, s):
        places = [(0, 0, 0)]
        for axis in range(3):
            for sign in (1, -1):
                places.append(tuple(sign * STEP * (k == axis) for k in range(3)))
        lines, vectors = [library], []
        for k, (dd, dg, ds) in enumerate(places):
            lines += [f"Vd{k} d{k} 0 {d + dd}", f"Vg{k} g{k} 0 {g + dg}", f"Vs{k} s{k} 0 {s + ds}"]
            lines.append(f"M{k} d{k} g{k} s{k} s{k} imc_{kind} W={width} L={LENGTH}")
            vectors.append(f"i(Vd{k})")
        current = -run_ngspice(tmp_path_factory.mktemp("one"), lines, vectors)
        slopes = (current[1::2] - current[2::2]) / (2 * STEP)
        return current[0], slopes

    return of


def measured(count=0, generator=None, **circuit):
    tables = {
        "circuit": {"switches": "transistor", "row_drivers": 1, "row_driver": "ota",
                    "precharge_voltage": 0.6, "driver_width": W / 120e-9,
                    "driver_load_width": W_LOAD / 120e-9, "driver_length": LENGTH / 60e-9,
                    "driver_current": I_TAIL, "driver_low_supply": LOW} | circuit,
    }  # fmt: skip
    parameters = AidacParameters.model_validate(tables, context={"trusted": True})
    steps = measure_driver(parameters, count, generator)
    (outcome,) = NgspiceEngine().solve([next(steps)])
    assert outcome.status is Status.GOOD, outcome.reason
    with pytest.raises(StopIteration) as stop:
        steps.send(outcome.answer)
    return stop.value.value


@pytest.fixture(scope="module")
def figures():
    return measured()


def test_gain_is_that_of_kirchhoff(figures, at_rest, derivatives):
    middle = len(figures.input_v) // 2
    v_in = figures.input_v[middle]
    tail, mirror, out, drive = at_rest(v_in)
    assert figures.output_v[middle, 0] == pytest.approx(out, rel=0, abs=1e-6)
    _, (gt, _, _) = derivatives("pmos", W, tail, drive, V_DD)
    i1, (p1d, p1g, p1s) = derivatives("pmos", W, mirror, v_in, tail)
    _, (p2d, p2g, p2s) = derivatives("pmos", W, out, out, tail)
    i3, (n1d, n1g, _) = derivatives("nmos", W_LOAD, mirror, mirror, LOW)
    _, (n2d, n2g, _) = derivatives("nmos", W_LOAD, out, mirror, LOW)
    assert i1 == pytest.approx(-i3, rel=1e-3, abs=0)
    # Unknowns: tail, mirror, out for 1 V of input. A pair's source current is minus its drain's.
    matrix = np.array([
        [gt - p1s - p2s, -p1d, -p2d - p2g],
        [p1s, p1d + n1d + n1g, 0.0],
        [p2s, n2g, p2d + p2g + n2d],
    ])  # fmt: skip
    gain = np.linalg.solve(matrix, [p1g, -p1g, 0.0])[2]
    around = figures.output_v[[middle - 1, middle + 1], 0]
    slope = (around[1] - around[0]) / (figures.input_v[middle + 1] - figures.input_v[middle - 1])
    # The gain changes by some 0.3 % from level to level; a chord's differs by its second change.
    assert slope == pytest.approx(gain, rel=0, abs=1e-3)
    # A/(1 + A) forgets the tail and the mirror's own conductance: 1 − gain to a quarter.
    loop = abs(p2g) / (abs(p2d) + abs(n2d))
    assert 1 - slope == pytest.approx(1 / (1 + loop), rel=0.25, abs=0)


def test_offset_is_nothing_where_the_output_is_at_the_mirror(figures, at_rest):
    error = figures.output_v[:, 0] - figures.input_v
    # At that input all voltages of the two sides are equal, and so are their currents.
    mirror = figures.input_v[0]
    for _ in range(20):
        _, mirror, out, _ = at_rest(mirror)
    assert out == pytest.approx(mirror, rel=0, abs=1e-6)
    # The first of the driver's levels lie on either side of it, or the line through them does.
    inside = figures.input_v < 0.3
    line = np.polyfit(figures.input_v[inside], error[inside], 2)
    assert np.polyval(line, mirror) == pytest.approx(0.0, rel=0, abs=1e-4)


def test_spread_is_that_of_the_coefficients(at_rest, derivatives):
    count = 150
    found = measured(count, np.random.default_rng(3))
    card = load_card("mos_generic", "mos")
    v_in = found.input_v[len(found.input_v) // 2]
    tail, mirror, out, _ = at_rest(v_in)
    current, (_, gm_p, _) = derivatives("pmos", W, out, out, tail)
    _, (_, gm_n, _) = derivatives("nmos", W_LOAD, out, mirror, LOW)
    variance = 0.0
    for device, width, gm in ((card.pmos, W, gm_p), (card.nmos, W_LOAD, gm_n)):
        root = np.sqrt(width * LENGTH)
        # Two of each; a threshold moves gm, a current factor the current.
        variance += 2 * (gm * device.a_vt.value / root) ** 2
        variance += 2 * (current * device.a_beta.value / root) ** 2
    expected = np.sqrt(variance) / abs(gm_p)
    # 150 of them know a standard deviation to 5.8 %.
    assert found.offset_sigma_v == pytest.approx(expected, rel=0.175, abs=0)


def test_without_a_lower_rail_it_does_not_reach_ground():
    # The load is cut off: the output stays up by several thermal voltages.
    found = measured(driver_low_supply=0.0)
    assert found.output_v[0, 0] > 2 * 0.0259
    assert abs(found.offset_v) < 0.01
