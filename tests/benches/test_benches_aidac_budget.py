"""The error budget against monolithic Monte Carlo in SPICE, and its bench."""

import shutil

import numpy as np
import pytest
from driving import measure
from pydantic import ValidationError

from imccircuit import library
from imccircuit.benches.aidac_budget import BENCH as BUDGET
from imccircuit.benches.aidac_budget import Measured, budget_parts
from imccircuit.benches.aidac_budget_parameters import BudgetParameters
from imccircuit.benches.aidac_build import build, draw_inputs, draw_weights
from imccircuit.benches.aidac_operands import (
    draw_operands,
    layers_of,
    networks,
    stored_layers,
)
from imccircuit.benches.aidac_parameters import AidacParameters
from imccircuit.benches.aidac_parts import measure_path, measure_time_cells
from imccircuit.benches.aidac_vmm import BENCH as VMM
from imccircuit.benches.aidac_vmm import Conversions, measure_full_scale
from imccircuit.benches.bench import Variation
from imccircuit.devices.cards import load_card
from imccircuit.devices.draws import Draws
from imccircuit.engines.ngspice import NgspiceEngine
from imccircuit.metrics.error_budget import PARTS, BudgetParts, compute_error_parts
from imccircuit.metrics.grouped import compute_ideal_product

needs_ngspice = [
    pytest.mark.ngspice,
    pytest.mark.skipif(shutil.which("ngspice") is None, reason="ngspice is not installed"),
]

ERRORS = {
    "time_slope_sigma": 0.01, "time_offset_sigma": 1e-12, "time_curvature": 0.01,
    "row_drivers": 2, "driver_gain_sigma": 0.01, "driver_offset_sigma": 3e-3,
}  # fmt: skip


def machine(**circuit):
    card = load_card("capacitor_pessimistic", "capacitor")
    tables = {"circuit": ERRORS | circuit | {"capacitor_card": card}, "stimulus": {"vectors": 2}}
    return AidacParameters.model_validate(tables, context={"trusted": True})


def parts_of(parameters):
    """What is known about each part; here by their formulas, for they are behavioural."""
    circuit = parameters.circuit
    level, full_s = np.linspace(0, 1, 101), circuit.time_slope * parameters.full_scale_v
    return BudgetParts(
        gains=circuit.gains,
        unit_sigma=float(circuit.capacitor_card.sigma_f(circuit.unit_f)) / circuit.unit_f,
        dummy_units=circuit.dummy_units,
        time_residual=circuit.time_curvature * level * (level - 1),
        slope_sigma=circuit.time_slope_sigma,
        offset_sigma=circuit.time_offset_sigma / full_s,
        drivers=circuit.row_drivers,
        driver_gain_sigma=circuit.driver_gain_sigma,
        driver_offset_sigma=circuit.driver_offset_sigma
        / (parameters.precharge_v * circuit.gains.row),
        output_bits=24,
        end_points=False,
    )


def compare(parameters, chips):
    """Rms error of monolithic chips in SPICE and that of the budget, on the same operands."""
    circuit, parts = parameters.circuit, parts_of(parameters)
    spice, budget, problems, all_operands = [], [], [], []
    full_s = circuit.arrays * circuit.time_slope * parameters.full_scale_v
    for chip in range(chips):
        inputs, weights = draw_inputs(parameters, chip), draw_weights(parameters, chip)
        variation = Variation(Draws(chip, 0), frozenset(VMM.quantities))
        conversions = Conversions(parameters, build(parameters, weights, variation))
        problems.append(conversions.problem(inputs, 1))
        all_operands.append((inputs, weights))
    for outcome, (inputs, weights) in zip(NgspiceEngine().solve(problems), all_operands,
                                          strict=True):  # fmt: skip
        edges = np.stack([conversions.edges(run) for run in outcome.answer.runs])
        product = (edges[:, 0, -1] - edges[:, -1, -1]) / full_s
        bits = (circuit.input_bits, circuit.weight_bits)
        spice.append(product - compute_ideal_product(inputs, weights, *bits)[:, 0])
        budget += [
            compute_error_parts(parts, inputs, weights[..., 0], np.random.default_rng(k)).sum(0)
            for k in range(50)
        ]
    return np.sqrt(np.mean(np.square(spice))), np.sqrt(np.mean(np.square(budget)))


def drive_one(problem):
    (outcome,) = NgspiceEngine().solve([problem])
    assert outcome.answer is not None, outcome.reason
    return outcome.answer


def drive(steps):
    """What a part of a measurement returns, its problems solved."""
    problem = next(steps)
    while True:
        try:
            problem = steps.send(drive_one(problem))
        except StopIteration as stop:
            return stop.value


class TestMonolithic:
    pytestmark = needs_ngspice

    def test_small(self):
        # n chips know an rms of errors that their vectors share to 1/√(2n): 6.5 % with 120.
        shape = {"arrays": 2, "rows": 2, "outputs": 2, "built_outputs": 1, "input_bits": 2,
                 "weight_bits": 2}  # fmt: skip
        spice, budget = compare(machine(**shape), 120)
        assert budget == pytest.approx(spice, rel=0.15, abs=0)

    @pytest.mark.parametrize("arrays", [1, 6])
    def test_mismatch_of_time_cells_adds_by_the_root(self, arrays):
        # Delays of two outputs of equal products differ by √(2A) of one cell's offset.
        sigma, chips = 5e-12, 60
        tables = {
            "circuit": {"arrays": arrays, "rows": 1, "outputs": 2, "input_bits": 1,
                        "weight_bits": 1, "time_offset_sigma": sigma},
            "stimulus": {"inputs": np.ones((1, arrays, 1)), "weights": np.ones((arrays, 1, 2))},
        }  # fmt: skip
        parameters = AidacParameters.model_validate(tables, context={"trusted": True})
        built = [
            Conversions(
                parameters,
                build(
                    parameters,
                    draw_weights(parameters, 0),
                    Variation(Draws(chip, 0), frozenset({"time_cells"})),
                ),
            )
            for chip in range(chips)
        ]
        inputs = draw_inputs(parameters, 0)
        solved = NgspiceEngine().solve([chip.problem(inputs, 1) for chip in built])
        difference = [
            np.diff(chip.edges(outcome.answer.runs[0])[:2, -1])[0]
            for chip, outcome in zip(built, solved, strict=True)
        ]
        # 60 chips know a standard deviation to 9 %.
        assert np.std(difference) == pytest.approx(np.sqrt(2 * arrays) * sigma, rel=0.25, abs=0)

    @pytest.mark.long
    def test_two_arrays_of_16_rows_of_4_bits(self):
        shape = {"arrays": 2, "rows": 16, "outputs": 4, "built_outputs": 1, "input_bits": 4,
                 "weight_bits": 4}  # fmt: skip
        spice, budget = compare(machine(**shape), 100)
        assert budget == pytest.approx(spice, rel=0.15, abs=0)

    @pytest.mark.long
    def test_transistors(self):
        # Three chips: nearly all of their error is curvature and switches, the same for each.
        card = load_card("capacitor_pessimistic", "capacitor")
        circuit = {"arrays": 2, "rows": 16, "outputs": 4, "built_outputs": 1, "dummy_units": 17,
                   "switches": "transistor", "time_cell": "starved", "conversion_time": 3.4e-9,
                   "capacitor_card": card}  # fmt: skip
        tables = {"circuit": circuit, "stimulus": {"vectors": 2}}
        parameters = AidacParameters.model_validate(tables, context={"trusted": True})
        whole = BudgetParameters.model_construct(circuit=parameters.circuit)
        quantities = frozenset({"unit_capacitors", "time_cells"})
        variation = Variation(Draws(5, 0), quantities)
        path = drive(measure_path(whole.sample))
        voltage = path.voltage_v[0] + np.linspace(0, 1, 9) * path.span_v
        generator = variation.generator("time_cells")
        times = drive(measure_time_cells(whole.whole, 16, voltage, generator))
        parts = budget_parts(whole, variation, Measured(path, times))
        spice, budget = [], []
        for chip in range(3):
            inputs, weights = draw_inputs(parameters, chip), draw_weights(parameters, chip)
            part = build(parameters, weights, Variation(Draws(chip, 0), quantities))
            conversions = Conversions(parameters, part)
            zero, full = drive(measure_full_scale(parameters, conversions))
            answer = drive_one(conversions.problem(inputs, 1))
            edges = np.stack([conversions.edges(run) for run in answer.runs])
            product = (edges[:, 0, -1] - edges[:, 1, -1] - zero[0]) / (full[0] - zero[0])
            spice.append(product - compute_ideal_product(inputs, weights, 4, 4)[:, 0])
            budget += [
                compute_error_parts(parts, inputs, weights[..., 0], np.random.default_rng(k))
                for k in range(50)
            ]
        predicted = np.sum(np.array(budget)[:, : PARTS.index("noise")], axis=1)
        assert np.sqrt(np.mean(np.square(predicted))) == pytest.approx(
            np.sqrt(np.mean(np.square(spice))), rel=0.15, abs=0
        )


class TestBench:
    pytestmark = needs_ngspice

    def test_ideal_parts_leave_only_the_converter(self):
        # Noise aside, which 1 fF units on 8 arrays make 0.01 %.
        tables = {
            "circuit": {"arrays": 8, "rows": 128, "outputs": 32, "input_bits": 8,
                        "weight_bits": 8},
            "stimulus": {"chips": 2, "vectors": 32, "levels": 3, "time_cells": 2},
        }  # fmt: skip
        parameters = BudgetParameters.model_validate(tables, context={"trusted": True})
        found = measure(BUDGET, parameters, NgspiceEngine())
        converter = found["part_rms"][0, PARTS.index("converter")]
        assert converter == pytest.approx(1 / 255 / np.sqrt(12), rel=0.3, abs=0)
        others = np.delete(found["part_rms"], PARTS.index("converter"), axis=1)
        assert np.max(others) < 1e-3 * 0.3
        # Random products of 1024 inputs hardly vary: √((1/9 − 1/16)/1024) of full scale.
        assert found["signal_sigma"][0] == pytest.approx(np.sqrt(7 / 144 / 1024), rel=0.3, abs=0)
        assert found["snr_converter"][0] == pytest.approx(
            found["signal_sigma"][0] ** 2 * 12 * 255**2, rel=1e-6, abs=0
        )
        # Three readings of one error: as it is, without its mean, without its best line.
        assert np.all(found["snr"] <= found["snr_centred"])
        assert np.all(found["snr_centred"] <= found["snr_fitted"])
        error = (found["signal_sigma"] / found["error_rms"]) ** 2
        assert found["snr"] == pytest.approx(error, rel=1e-9, abs=0)
        assert np.isnan(found["area"])
        assert found["latency"] < 20e-9
        # Behavioural cells have no energy, whatever hangs on the supply.
        time_cells = list(BUDGET.coordinates(parameters)["block"].values).index("time cells")
        assert np.isnan(found["energy"][time_cells])


def test_operands():
    rng = np.random.default_rng(0)
    assert set(networks()) == {"resnet8", "ds_cnn", "mobilenet_v1", "deepautoencoder"}
    assert [layer.length for layer in layers_of("resnet8")] == [16, 27, 32, 64, 144, 288, 576]
    spans = [
        draw_operands("full span", 64, (33, 2, 32), (4, 4), rng, share).signal
        for share in (0.0, 0.5, 1.0)
    ]
    assert np.max(spans[0]) == 0
    assert np.max(spans[2]) == 1
    # A stored layer: image 3 and output 1 of the file, read here by hand.
    rows = [line.split(",") for line in (library.path("data") / "digits_mlp_layers.csv")
            .read_text().splitlines()]  # fmt: skip
    w = np.array(rows[2][3].split(), dtype=float)
    x = np.array(rows[1 + 8 + 3][3].split(), dtype=float)
    assert (rows[2][:3], rows[12][:3]) == (
        ["hidden 1", "weights", "1"],
        ["hidden 1", "inputs", "3"],
    )
    real = draw_operands("hidden 1", 64, (40, 2, 64), (8, 8), rng, 0.2)
    assert real.signal[3] == pytest.approx(x @ w / (128 * 255 * 255), rel=1e-12, abs=0)
    assert real.signal[35] == real.signal[3]
    assert np.all(real.inputs.reshape(40, 128)[:, 64:] == 0)
    assert [layer.length for layer in stored_layers()] == [64, 512, 64]
    layer = draw_operands("layer", 40, (9, 2, 32), (8, 8), rng, 0.5)
    assert np.all(layer.inputs.reshape(9, 64)[:, 40:] == 0)
    expected = layer.inputs.reshape(9, 64) @ (layer.weights.ravel() - 128)
    assert np.allclose(layer.signal, expected / (64 * 255 * 255))


def test_a_network_that_is_too_long_is_one_line():
    with pytest.raises(ValidationError, match=r"has a layer of 576 products.*allowed: arrays x"):
        BudgetParameters.model_validate({"circuit": {"arrays": 2}})


@pytest.mark.parametrize(
    ("circuit", "key"),
    [
        ({"row_drivers": 7, "driver_gain": 0.98}, "circuit.driver_gain"),
        ({"row_drivers": 7, "driver_offset": 1e-3}, "circuit.driver_offset"),
        ({"driver_gain_sigma": 1e-3}, "circuit.driver_gain_sigma"),
        ({"built_outputs": 1}, "circuit.built_outputs"),
        ({"starved_load": 4e-15}, "circuit.starved_load"),
    ],
)
def test_keys_that_change_nothing_are_refused(circuit, key):
    circuit = {"arrays": 8, "rows": 128} | circuit
    with pytest.raises(ValidationError, match=rf"{key} would change nothing with .*; allowed"):
        BudgetParameters.model_validate({"circuit": circuit}, context={"trusted": True})


def test_quantities_that_vary_nothing():
    circuit = {"arrays": 8, "rows": 128}
    idle = BudgetParameters.model_validate({"circuit": circuit}).idle_quantities()
    assert set(idle) == {"row_drivers", "time_cells", "switches"}
    assert BudgetParameters.model_validate({"circuit": circuit}).has_supply


def test_the_sample_has_the_time_an_array_that_is_given():
    circuit = {"arrays": 8, "rows": 128, "conversion_time": 80e-9}
    budget = BudgetParameters.model_validate({"circuit": circuit}, context={"trusted": True})
    assert budget.sample.phases.conversion_s == pytest.approx(10e-9, rel=1e-9, abs=0)
