"""The DAC bench: conditions, mismatch of drivers, refusals."""

import os

import numpy as np
import pytest
from driving import measure
from pydantic import ValidationError

from imccircuit.benches.bench import MeasurementError
from imccircuit.benches.dac_ladder import BENCH
from imccircuit.benches.dac_parameters import DacParameters
from imccircuit.engines.ngspice import NgspiceEngine

OLD = os.environ.get("IMCCIRCUIT_NGSPICE_OLD")
QUICK = {"energy_codes": 2}
GATES = {"switches": "transistor", "bits": 3}


def run(circuit, quantities=(), **tables):
    parameters = DacParameters(circuit=circuit, stimulus=QUICK, **tables)
    return measure(BENCH, parameters, NgspiceEngine(), quantities=quantities)


@pytest.mark.ngspice
def test_weak_gates_bend_a_ladder():
    def worst(**conditions):
        arrays = run({"kind": "r2r", **GATES}, conditions=conditions)
        return np.max(np.abs(arrays["inl"]))

    nominal = worst()
    assert worst(corner="ff") < nominal < worst(corner="ss")
    assert worst(supply="1.1 V") > nominal > worst(supply="1.3 V")
    # Gates are well above threshold at 0.5 V of 1.2 V, where mobility rules: hot is weak.
    assert worst(temperature="100 degC") > nominal


@pytest.mark.ngspice
@pytest.mark.parametrize("kind", ["string", "capacitor", "pulse_width"])
def test_every_block_with_transistors_costs_something(kind):
    parameters = DacParameters(circuit={"kind": kind, **GATES}, stimulus=QUICK)
    arrays = measure(BENCH, parameters, NgspiceEngine())
    assert np.all(arrays["energy"] > 0)
    assert arrays["area"] > 0
    assert 0 < arrays["latency"] < 20e-9


@pytest.mark.ngspice
def test_mismatch_of_the_driver_moves_pulses_alike():
    circuit = {"kind": "pulse_width", **GATES}
    nominal, drawn = run(circuit), run(circuit, ["driver"])
    moved = drawn["output_level"][1:] - nominal["output_level"][1:]
    # Edges of the driver shift by its own delay, which knows nothing of the code: 0.1 ps is what
    # the time points leave.
    assert np.ptp(moved) < 0.1e-12 < np.max(np.abs(moved))


@pytest.mark.ngspice
def test_a_row_that_does_not_settle_is_no_measurement():
    with pytest.raises(MeasurementError, match="has not settled"):
        run({"kind": "string", "bits": 3, "row_capacitance": "10 pF", "row_resistance": "2 kohm"})


def test_what_other_kinds_vary_is_idle():
    assert set(DacParameters().idle_quantities()) == {"capacitors", "driver"}
    pulses = {"kind": "pulse_width"}
    ideal, gates = DacParameters(circuit=pulses), DacParameters(circuit={**pulses, **GATES})
    assert set(ideal.idle_quantities()) == {"resistors", "capacitors", "driver"}
    assert set(gates.idle_quantities()) == {"resistors", "capacitors"}


@pytest.mark.parametrize(
    ("tables", "why"),
    [
        ({"circuit": {"kind": "string", "unit_capacitor": "1 fF"}}, "unit_capacitor would change"),
        ({"circuit": {"kind": "capacitor", "load_conductance": "1 uS"}}, "discharges"),
        ({"circuit": {"switch_width": "1 um"}}, "switch_width would change nothing"),
        ({"circuit": {**GATES, "switch_on_resistance": "1 ohm"}}, "switch_on_resistance"),
        ({"circuit": {**GATES, "reference_voltage": "1.5 V"}}, "above the supply"),
        ({"circuit": {"kind": "pulse_width", "edge_time": "2 ns"}}, "longer than clock_time"),
        ({"circuit": {"bits": 2}, "stimulus": {"energy_codes": 8}}, "more than the 4 codes"),
        ({"conditions": {"corner": "ff"}}, "no transistor"),
    ],
)
def test_bad_parameters_are_refused(tables, why):
    with pytest.raises(ValidationError, match=why):
        DacParameters(**tables)


@pytest.mark.ngspice
@pytest.mark.skipif(not OLD, reason="IMCCIRCUIT_NGSPICE_OLD names no ngspice 39")
@pytest.mark.parametrize("kind", ["string", "r2r", "capacitor", "pulse_width"])
def test_old_ngspice_and_sparse_agree(kind):
    parameters = DacParameters(circuit={"kind": kind, **GATES}, stimulus=QUICK)
    new, *others = (
        measure(BENCH, parameters, engine)
        for engine in (NgspiceEngine(), NgspiceEngine(solver="sparse"),
                       NgspiceEngine(executable=OLD))
    )  # fmt: skip
    for other in others:
        # Other time points at tolerances of 1e-4 a step: 1e-4 of full scale.
        scale = np.max(np.abs(new["output_level"]))
        assert other["output_level"] == pytest.approx(new["output_level"], abs=1e-4 * scale)
        assert np.sum(other["energy"]) == pytest.approx(np.sum(new["energy"]), rel=1e-3, abs=0)
