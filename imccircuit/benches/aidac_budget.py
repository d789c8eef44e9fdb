"""Error budget of a machine too large for SPICE: parts measured in SPICE, composed in numpy.

The charge path (switches with their injection, junctions and leakage) is measured on the smallest
array with the same cells, the voltage-to-time cells on many side by side. Capacitors, row drivers
and noise come from their laws. `imccircuit.metrics.error_budget` adds them up over drawn chips.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.aidac_budget_parameters import BudgetGates, BudgetParameters
from imccircuit.benches.aidac_cost import area_m2, counted_energy, meter
from imccircuit.benches.aidac_driver import (
    DRIVER_LEVELS,
    DriverFigures,
    largest_row_v,
    measure_driver,
    measure_driver_settling,
)
from imccircuit.benches.aidac_jitter import JitterFigures, measure_jitter
from imccircuit.benches.aidac_operands import draw_operands
from imccircuit.benches.aidac_parts import (
    PathFigures,
    TimeFigures,
    measure_path,
    measure_time_cells,
)
from imccircuit.benches.bench import Along, Arrays, Bench, Curve, Measurement, Variable, Variation
from imccircuit.benches.cost import COST_VARIABLES, NOT_MODELLED, blocks_along
from imccircuit.metrics.error_budget import (
    PARTS,
    BudgetParts,
    compute_error_parts,
    compute_noise_sigma,
)

Floats = NDArray[np.float64]

_ZERO_DEGC = 273.15
# Row drivers from which their spread is taken: known to 13 %.
_DRIVERS = 32
_BLOCKS = ("input bits", "clocks and drivers of lines", "time cells", "row drivers",
           "time to digital, counted")  # fmt: skip
_JITTER = ("current of the ramp", "reset of its capacitor", "decision")
_NO_DRIVER = "no row driver of transistors"


def _sizes(parameters: BudgetParameters) -> dict[str, int]:
    return {
        "operands": len(parameters.kinds),
        "part": len(PARTS),
        "step": 2**parameters.sample.circuit.input_bits,
        "level": parameters.stimulus.levels,
        "driver_level": DRIVER_LEVELS,
        "cause": len(_JITTER),
        "block": len(_BLOCKS),
    }


def _variables(parameters: BudgetParameters) -> tuple[Variable, ...]:
    del parameters
    return (
        Variable("error_rms", ("operands",), "FS", "rms error of the product"),
        Variable("error_max", ("operands",), "FS", "largest error of the product"),
        Variable("part_rms", ("operands", "part"), "FS", "rms error by one part alone"),
        Variable("part_max", ("operands", "part"), "FS", "largest error by one part alone"),
        Variable("signal_sigma", ("operands",), "FS", "standard deviation of the ideal product"),
        Variable("snr", ("operands",), "1", "variance of the ideal product over error squared"),
        Variable("snr_centred", ("operands",), "1", "the same but for the mean of the error"),
        Variable("snr_fitted", ("operands",), "1", "the same behind the best line"),
        Variable("snr_converter", ("operands",), "1", "the same of an ideal 8-bit converter"),
        Variable("path_voltage", ("step",), "V", "output line, all weights largest"),
        Variable("path_residual", ("step",), "FS", "departure from a line"),
        Variable("path_zero", (), "FS", "output line of weights 0 above that of inputs 0"),
        Variable("switch_sigma", (), "FS", "spread of what the switches of a cell add"),
        Variable("droop", ("step",), "V/s", "loss of the output line while it is held"),
        Variable("time_delay", ("level",), "s", "delay of a voltage-to-time cell"),
        Variable("time_residual", ("level",), "FS", "departure from a line"),
        Variable("time_residual_sigma", ("level",), "FS", "spread of that, cell to cell"),
        Variable("time_slope_sigma", (), "1", "spread of its slope, relative"),
        Variable("time_offset_sigma", (), "FS", "spread of its delay at 0 V, over its span"),
        Variable("time_jitter", ("cause",), "s", "noise of the delay of a cell, rms",
                 missing=NOT_MODELLED),
        Variable("driver_gain", (), "1", "gain of a row driver", missing=_NO_DRIVER),
        Variable("driver_offset", (), "V", "its systematic offset in mid range",
                 missing=_NO_DRIVER),
        Variable("driver_gain_sigma", (), "1", "spread of its gain, relative", missing=_NO_DRIVER),
        Variable("driver_offset_sigma", (), "V", "spread of its offset", missing=_NO_DRIVER),
        Variable("driver_zero", (), "FS", "0 V, less what a chain of drivers makes of it",
                 missing=_NO_DRIVER),
        Variable("driver_settling", (), "s", "settling of a chain to half an LSB",
                 missing=_NO_DRIVER),
        Variable("driver_residual", ("driver_level",), "FS", "departure of a chain from a line",
                 missing=_NO_DRIVER),
        Variable("noise_sigma", (), "FS", "kT/C noise of one array's output line"),
        Variable("operation_time", (), "s", "clocked phases and the slowest cascade"),
        *COST_VARIABLES,
    )  # fmt: skip


def _coordinates(parameters: BudgetParameters) -> Mapping[str, NDArray[Any] | Along]:
    labels = np.array([label for label, _, _ in parameters.kinds], dtype=object)
    sizes = _sizes(parameters)
    return {
        "operands": Along(labels, "", "operands, and how many products are added"),
        "part": Along(np.array(PARTS, dtype=object), "", "part"),
        "step": Along(np.linspace(0, 1, sizes["step"]), "FS", "input of all rows"),
        "level": Along(np.linspace(0, 1, sizes["level"]), "FS", "voltage of the output line"),
        "driver_level": Along(np.linspace(0, 1, DRIVER_LEVELS), "FS", "row voltage"),
        "cause": Along(np.array(_JITTER, dtype=object), "", "cause of noise"),
        "block": blocks_along(_BLOCKS),
    }


def _measure(parameters: BudgetParameters, variation: Variation) -> Measurement:
    whole, stimulus, circuit = parameters.whole, parameters.stimulus, parameters.circuit
    drawn = variation.draws if "switches" in variation.quantities else None
    path = yield from measure_path(parameters.sample, drawn)
    voltage = path.voltage_v[0] + np.linspace(0, 1, stimulus.levels) * path.span_v
    times = yield from measure_time_cells(
        whole, stimulus.time_cells, voltage, variation.generator("time_cells")
    )
    jitter = yield from measure_jitter(whole, float(np.mean(voltage[[0, -1]])))
    driver, settling_s = None, np.nan
    if circuit.row_drivers and circuit.row_driver == "ota":
        generator = variation.generator("row_drivers")
        driver = yield from measure_driver(whole, _DRIVERS, generator)
        settling_s = yield from measure_driver_settling(whole, 0.5 / 2**circuit.input_bits)
    parts = budget_parts(parameters, variation, Measured(path, times, jitter, driver))
    phases = whole.phases
    slowest = circuit.arrays * float(np.max(times.spread_s))
    # The phase of sharing is as long as the chain of drivers takes.
    waiting = np.nan_to_num(max(0.0, settling_s + 2 * phases.gap_s - phases.phase_s))
    time_s = np.asarray(phases.launch_s + slowest + waiting)
    return {
        **_budget(parameters, variation, parts),
        "path_voltage": path.voltage_v,
        "path_residual": path.residual,
        "path_zero": np.asarray(parts.path_zero),
        "switch_sigma": np.asarray(parts.switch_sigma),
        "droop": path.droop_v_s,
        "time_delay": times.delay_s,
        "time_residual": times.residual,
        "time_residual_sigma": times.residual_sigma,
        "time_slope_sigma": np.asarray(parts.slope_sigma),
        "time_offset_sigma": np.asarray(parts.offset_sigma),
        "time_jitter": _causes(jitter),
        **_driver(driver, settling_s),
        "noise_sigma": np.asarray(parts.noise_sigma),
        "operation_time": time_s,
        **_energy(parameters, path, driver, float(time_s)),
        "latency": time_s,
        "area": np.asarray(area_m2(whole) * stimulus.columns / circuit.outputs),
    }


def _causes(jitter: JitterFigures | None) -> Floats:
    if jitter is None:
        return np.full(len(_JITTER), np.nan)
    return np.array([jitter.ramp_s, jitter.reset_s, jitter.decision_s])


def _driver(driver: DriverFigures | None, settling_s: float) -> Arrays:
    """Variables of the row drivers; NaN where they are behavioural or none."""
    if driver is None:
        names = ("gain", "offset", "gain_sigma", "offset_sigma", "zero", "settling")
        found: Arrays = {f"driver_{name}": np.asarray(np.nan) for name in names}
        return found | {"driver_residual": np.full(DRIVER_LEVELS, np.nan)}
    return {
        "driver_gain": np.asarray(driver.gain),
        "driver_offset": np.asarray(driver.offset_v),
        "driver_gain_sigma": np.asarray(driver.gain_sigma),
        "driver_offset_sigma": np.asarray(driver.offset_sigma_v),
        "driver_zero": np.asarray(driver.zero),
        "driver_settling": np.asarray(settling_s),
        "driver_residual": driver.residual,
    }


@dataclass(frozen=True)
class Measured:
    """What SPICE gave of the parts; None for a behavioural one."""

    path: PathFigures
    times: TimeFigures
    jitter: JitterFigures | None = None
    driver: DriverFigures | None = None


def budget_parts(
    parameters: BudgetParameters, variation: Variation, measured: Measured
) -> BudgetParts:
    """What was measured and what follows from laws, as the budget takes it."""
    circuit, varied = parameters.circuit, variation.quantities
    path, times, driver = measured.path, measured.times, measured.driver
    vary_cells, vary_drivers = "time_cells" in varied, "row_drivers" in varied
    row_v = largest_row_v(parameters.whole)
    gain_sigma, offset_v = circuit.driver_gain_sigma, circuit.driver_offset_sigma
    if driver is not None:
        gain_sigma, offset_v = driver.gain_sigma, driver.offset_sigma_v
    temperature_k = parameters.conditions.temperature + _ZERO_DEGC
    sample = parameters.sample.circuit.shape
    return BudgetParts(
        gains=circuit.gains,
        unit_sigma=(
            float(circuit.capacitor_card.sigma_f(circuit.unit_f)) / circuit.unit_f
            if "unit_capacitors" in varied
            else 0.0
        ),
        dummy_units=circuit.dummy_units,
        path_one=(path.voltage_v - path.voltage_v[0]) / path.span_v,
        path_zero=(path.zero_v - path.voltage_v[0]) / path.span_v,
        switch_sigma=path.switch_sigma(sample.rows, sample.weight_bits),
        loss=path.droop_v_s * float(np.mean(times.delay_s)) / path.span_v,
        time_residual=times.residual,
        residual_sigma=times.residual_sigma if vary_cells else np.zeros(2),
        slope_sigma=times.slope_sigma if vary_cells else 0.0,
        offset_sigma=times.offset_sigma if vary_cells else 0.0,
        drivers=circuit.row_drivers,
        driver_gain_sigma=gain_sigma if vary_drivers else 0.0,
        driver_offset_sigma=offset_v / row_v if vary_drivers else 0.0,
        driver_curve=np.linspace(0, 1, 2) if driver is None else driver.chain,
        driver_zero=0.0 if driver is None else driver.zero,
        noise_sigma=compute_noise_sigma(circuit.gains, path.span_v, temperature_k),
        jitter=0.0 if measured.jitter is None else measured.jitter.total_s / times.span_s,
        output_bits=circuit.output_bits,
        end_points=parameters.stimulus.calibration == "end-points",
    )


def _budget(parameters: BudgetParameters, variation: Variation, parts: BudgetParts) -> Arrays:
    found = [_one_kind(parameters, variation, parts, *kind[1:]) for kind in parameters.kinds]
    names = ("error_rms", "error_max", "part_rms", "part_max", "signal_sigma", "snr",
             "snr_centred", "snr_fitted", "snr_converter")  # fmt: skip
    return {name: np.array([one[k] for one in found]) for k, name in enumerate(names)}


def _one_kind(
    parameters: BudgetParameters, variation: Variation, parts: BudgetParts, kind: str, length: int
) -> tuple[Any, ...]:
    """Figures of one distribution of operands, in the order of `_budget`."""
    circuit, stimulus = parameters.circuit, parameters.stimulus
    size = (stimulus.vectors, circuit.arrays, circuit.rows)
    bits = (circuit.input_bits, circuit.weight_bits)
    operands = variation.draws.generator(f"operands of {kind} {length}")
    chips = variation.draws.generator("chips of the budget")
    errors, signals = [], []
    for chip in range(stimulus.chips):
        share = (chip + 0.5) / stimulus.chips
        drawn = draw_operands(kind, length, size, bits, operands, share)
        errors.append(compute_error_parts(parts, drawn.inputs, drawn.weights, chips))
        signals.append(drawn.signal)
    part = np.moveaxis(np.array(errors), 1, 0).reshape(len(PARTS), -1)
    signal, error = np.concatenate(signals), part.sum(axis=0)
    fitted = error - np.polyval(np.polyfit(signal, error, 1), signal)
    variance = np.var(signal)
    return (
        np.sqrt(np.mean(error**2)), np.max(np.abs(error)),
        np.sqrt(np.mean(part**2, axis=1)), np.max(np.abs(part), axis=1),
        np.sqrt(variance), variance / np.mean(error**2), variance / np.var(error),
        variance / np.mean(fitted**2), variance * 12 * 255**2,
    )  # fmt: skip


def _energy(
    parameters: BudgetParameters, path: PathFigures, driver: DriverFigures | None, time_s: float
) -> Arrays:
    """Energy of a product of all inputs with all columns, scaled up by counted units."""
    sample, circuit = parameters.sample, parameters.circuit
    small, columns = sample.circuit.shape, parameters.stimulus.columns
    blocks = meter(sample).blocks
    rows = circuit.arrays * circuit.rows
    # Bits precharge the first array of every row only; every cell has switches.
    inputs = rows * 2**circuit.input_bits / (small.rows * small.row_units)
    cells = rows * columns * circuit.weight_bits / (small.rows * small.row_units)
    # A driver for each row of each array but the first ones, on all the time.
    drivers = rows * (columns / circuit.outputs - 1)
    powered = np.nan if driver is None else driver.power_w * time_s * drivers
    cascades = circuit.arrays * (columns + 1) / (small.outputs + 1)
    found: Arrays = {}
    for name in ("energy", "energy_returned"):
        energy = dict(zip(blocks, path.energy[name], strict=True))
        clocks = [value for block, value in energy.items() if block.startswith("clock")]
        found[name] = np.array(
            [
                energy["input bits"] * inputs,
                np.sum(clocks) * cells if clocks else np.nan,
                energy.get("supply of the time cells", np.nan) * cascades,
                (powered if name == "energy" else 0.0 * powered) if circuit.row_drivers else 0.0,
                np.nan,
            ]
        )
    # The shared counter runs as far as full scale would need.
    codes = np.full((1, columns), 2.0**circuit.output_bits)
    found["energy"][-1] = counted_energy(parameters.whole, codes)
    found["energy_returned"][-1] = 0.0 * found["energy"][-1]
    return found


BENCH = Bench(
    name="aidac_budget",
    summary="error budget of large grouped-capacitor arrays, composed from measured parts",
    parameters=BudgetParameters,
    gates=BudgetGates,
    quantities=("unit_capacitors", "row_drivers", "time_cells", "switches"),
    surrogate="",
    sizes=_sizes,
    variables=_variables,
    coordinates=_coordinates,
    measure=_measure,
    curves=(
        Curve("time", ("time_residual",), "level", title="Voltage-to-time cell"),
        Curve("path", ("path_residual",), "step", title="Charge path"),
    ),
)
