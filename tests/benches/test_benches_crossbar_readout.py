"""Clamps and integrators at the ends of a crossbar's bit lines, through the bench."""

import numpy as np
import pytest
from driving import measure
from pydantic import ValidationError

from imccircuit.benches.bench import MeasurementError
from imccircuit.benches.crossbar_mvm import BENCH
from imccircuit.benches.crossbar_parameters import CrossbarParameters
from imccircuit.engines.ngspice import NgspiceEngine
from imccircuit.nodal import ResistiveArray, solve_array

ngspice = pytest.mark.ngspice

G = np.random.default_rng(2).uniform(1e-6, 40e-6, (6, 3))
V = np.random.default_rng(3).uniform(0.0, 0.2, (2, 6))


def parameters(circuit, voltages=V, **stimulus):
    given = {
        "circuit": {"conductances": G} | circuit,
        "stimulus": {"voltages": voltages} | stimulus,
    }
    return CrossbarParameters.model_validate(given, context={"trusted": True})


def run(circuit, voltages=V, **how):
    return measure(BENCH, parameters(circuit, voltages), NgspiceEngine(), **how)


@ngspice
def test_clamp_against_nodal_analysis():
    circuit = {"readout": "clamp_mirror", "clamp_voltage": 0.65, "tia_offset": 2e-3}
    arrays = run(circuit | {"mirror_ratio": 2.0}, V + 0.65)
    seen = ResistiveArray(G, r_row_ohm=2.0, r_col_ohm=2.0, r_sense_ohm=50.0)
    current = solve_array(seen, V - 2e-3).output_current_a
    np.testing.assert_allclose(arrays["output_current"], current, rtol=1e-8)
    np.testing.assert_allclose(
        arrays["output_voltage"], 1.2 - 2 * 5e3 * (current + 10e-6), rtol=1e-8
    )


@ngspice
def test_offsets_are_drawn_for_any_front_end():
    circuit = {"readout": "clamp_mirror", "tia_offset_sigma": 1e-3}
    arrays = run(circuit, entropy=4, quantities=("tia_offset",))
    assert len(set(arrays["tia_offset"])) == 3
    assert np.max(np.abs(arrays["tia_offset"])) < 5e-3


@ngspice
def test_integrator_against_its_input_resistance():
    arrays = run({"readout": "integrator"})
    # While the output ramps the input gives way by I/(2π·GBW·C), and in the end by the output over
    # the gain: as an input resistance in the array's equations it is right to the part of the
    # integration that passes while it builds up, 1/(2π·GBW) of 20 ns, and the output's mean.
    r_in = 1 / (2 * np.pi * 500e6 * 2e-12)
    seen = ResistiveArray(G, r_row_ohm=2.0, r_col_ohm=2.0, r_sense_ohm=r_in + 10.0)
    current = solve_array(seen, V).output_current_a
    np.testing.assert_allclose(arrays["output_current"], current, rtol=1e-3)
    gain = 20e-9 / 2e-12 + 200.0 - r_in
    np.testing.assert_allclose(arrays["output_voltage"], -gain * current, rtol=5e-3)


@ngspice
@pytest.mark.parametrize(
    ("circuit", "voltages", "message"),
    [
        ({"readout": "clamp_mirror"}, -V, "cuts its clamp off"),
        ({"readout": "clamp_mirror", "mirror_load_resistance": 100e3}, V, "mirror_swing_low"),
    ],
)
def test_what_a_mirror_cannot_do_is_no_measurement(circuit, voltages, message):
    with pytest.raises(MeasurementError, match=message):
        run(circuit, voltages)


def test_transients_are_limited():
    with pytest.raises(ValidationError, match="up to 256"):
        parameters({"readout": "integrator"}, np.zeros((257, 6)))
    assert not parameters({"readout": "integrator"}).stores_cell_voltages
