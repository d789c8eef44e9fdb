"""The bench of crossbar products: ngspice against nodal analysis and badcrossbar."""

import logging
import os
import shutil
import warnings

import numpy as np
import pytest
from driving import measure

from imccircuit.benches.crossbar_mvm import BENCH
from imccircuit.benches.crossbar_parameters import Circuit, CrossbarParameters, Stimulus
from imccircuit.engines.ngspice import NgspiceEngine
from imccircuit.engines.nodal import NodalEngine

pytestmark = [
    pytest.mark.ngspice,
    pytest.mark.skipif(
        shutil.which(os.environ.get("IMCCIRCUIT_NGSPICE", "ngspice")) is None,
        reason="ngspice is not installed",
    ),
]


def parameters(size, seed, *, driver="0 ohm", sense="0 ohm", cell_voltages=None):
    rng = np.random.default_rng(seed)
    conductance = rng.choice([1e-6, 1e-4], (size, size)) * rng.uniform(0.9, 1.1, (size, size))
    inputs = rng.uniform(-0.3, 0.3, (3, size))
    return CrossbarParameters(
        circuit=Circuit(
            conductances=conductance,
            row_segment_resistance="5 ohm",
            column_segment_resistance="3 ohm",
            driver_resistance=driver,
            sense_resistance=sense,
        ),
        stimulus=Stimulus(voltages=inputs, cell_voltages=cell_voltages),
    )


def close(got, wanted, relative):
    assert got.shape == wanted.shape
    assert np.max(np.abs(got - wanted)) <= relative * np.max(np.abs(wanted))


@pytest.mark.parametrize("solver", ["klu", "sparse"])
@pytest.mark.parametrize(("driver", "sense"), [("0 ohm", "0 ohm"), ("100 ohm", "20 ohm")])
def test_ngspice_and_nodal_agree_32(solver, driver, sense):
    given = parameters(32, 1, driver=driver, sense=sense)
    spice = measure(BENCH, given, NgspiceEngine(solver=solver, timeout_s=60))
    nodal = measure(BENCH, given, NodalEngine())
    # The requirement is 1e-10 of the largest column current.
    close(spice["output_current"], nodal["output_current"], 1e-10)
    close(spice["cell_voltage"], nodal["cell_voltage"], 1e-10)
    np.testing.assert_array_equal(spice["row_voltage"], given.stimulus.voltages)
    np.testing.assert_array_equal(spice["conductance"], given.circuit.conductances)


def test_ngspice_and_nodal_agree_64():
    given = parameters(64, 2, cell_voltages=True)
    spice = measure(BENCH, given, NgspiceEngine(timeout_s=60))
    nodal = measure(BENCH, given, NodalEngine())
    close(spice["output_current"], nodal["output_current"], 1e-10)
    close(spice["cell_voltage"], nodal["cell_voltage"], 1e-10)


@pytest.mark.parametrize("size", [32, 64])
def test_ngspice_and_badcrossbar_agree(size):
    with warnings.catch_warnings(record=True):
        # It sets filters of its own and warns that its plotting library is missing.
        import badcrossbar
    given = parameters(size, 3, cell_voltages=True)
    spice = measure(BENCH, given, NgspiceEngine(timeout_s=60))
    logging.disable(logging.INFO)
    try:
        other = badcrossbar.compute(
            given.stimulus.voltages.T, 1 / given.circuit.conductances,
            r_i_word_line=5, r_i_bit_line=3,
        )  # fmt: skip
    finally:
        logging.disable(logging.NOTSET)
    # Signs included. badcrossbar itself is good to about 1e-13 on such arrays.
    close(spice["output_current"], other.currents.output, 1e-10)
    across = np.moveaxis(other.voltages.word_line - other.voltages.bit_line, 2, 0)
    close(spice["cell_voltage"], across, 1e-10)


def test_a_result_does_not_depend_on_the_batch():
    """A vector alone, or after others in the same process: the same but for rounding."""
    given = parameters(16, 4)
    whole = measure(BENCH, given, NgspiceEngine())["output_current"]
    for index, vector in enumerate(given.stimulus.voltages):
        stimulus = Stimulus(voltages=vector[None])
        alone = measure(BENCH, given.model_copy(update={"stimulus": stimulus}), NgspiceEngine())
        close(alone["output_current"][0], whole[index], 1e-12)
