"""Matrix-vector products of a charge-domain array: outputs, linearity, noise and cost.

Every input vector is one transient of one operation, which begins from the worst that an operation
before can leave: lines and capacitors at the end of the range that is farther from the outputs.
Some vectors are run twice in a row as well: the second operation gives energy and latency, and
what differs from the run that began at the far end is what the array remembers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.bench import (
    Along,
    Arrays,
    Bench,
    Curve,
    Measurement,
    MeasurementError,
    Variable,
    Variation,
)
from imccircuit.benches.charge_chip import Chip, active_counts, make_chip, make_meter
from imccircuit.benches.charge_cost import area_m2, measure_cost
from imccircuit.benches.charge_parameters import ChargeGates, ChargeParameters
from imccircuit.benches.cost import COST_VARIABLES, blocks_along
from imccircuit.benches.problem import Answer

# The share phase's last part, over which an output may hardly move.
_LAST_PART = 0.1
_MOST_UNSETTLED_LSB = 0.5
# Further than this part of the range from charge conservation, switches do not conduct: such an
# output stands still as well.
_FARTHEST = 0.25
_FEWEST_FOR_A_LINE = 3


def _sizes(parameters: ChargeParameters) -> dict[str, int]:
    return {
        "batch": parameters.batch,
        "row": parameters.rows,
        "col": parameters.cols,
        "block": len(_blocks(parameters)),
    }


def _blocks(parameters: ChargeParameters) -> tuple[str, ...]:
    return make_meter(parameters.circuit.switches).blocks


def _variables(parameters: ChargeParameters) -> tuple[Variable, ...]:
    del parameters
    few = "fewer than three different numbers of active products in the batch"
    return (
        Variable("output_voltage", ("batch", "col"), "V", "column line at the end of sharing"),
        Variable("expected_voltage", ("batch", "col"), "V", "charge conservation, this chip"),
        Variable("charge_error", ("batch", "col"), "LSB", "output less charge conservation"),
        Variable("active_products", ("batch", "col"), "1", "products that are one", "int"),
        Variable("nonlinearity", ("batch", "col"), "LSB", "output less its best-fit line",
                 missing=few),
        Variable("gain", ("col",), "1", "slope of that line over the nominal one", missing=few),
        Variable("offset", ("col",), "V", "that line with no product active", missing=few),
        Variable("step_voltage", (), "V", "one product more, nominal; 1 LSB"),
        Variable("unsettled", (), "LSB", "largest move in the last tenth of sharing"),
        Variable("history", (), "LSB", "largest change with what went before"),
        Variable("noise_sampling", (), "V", "thermal noise of reset and sample"),
        Variable("noise_sharing", (), "V", "thermal noise of share"),
        Variable("noise_sigma", (), "V", "thermal noise of all phases"),
        Variable("input", ("batch", "row"), "1", "input bits"),
        Variable("weight", ("row", "col"), "1", "stored bits"),
        Variable("unit_capacitor", ("row", "col"), "F", "drawn product capacitors"),
        Variable("line_capacitor", (), "F", "column line to ground"),
        *COST_VARIABLES,
    )  # fmt: skip


def _coordinates(parameters: ChargeParameters) -> Mapping[str, NDArray[Any] | Along]:
    found: dict[str, NDArray[Any] | Along] = {
        "row": np.arange(parameters.rows),
        "col": np.arange(parameters.cols),
        "block": blocks_along(_blocks(parameters)),
    }
    stimulus = parameters.stimulus
    if stimulus.inputs is None and stimulus.pattern == "staircase":
        counts = active_counts(parameters).astype(np.float64)
        found["batch"] = Along(counts, "1", "active inputs")
    else:
        found["batch"] = np.arange(parameters.batch)
    return found


def _measure(parameters: ChargeParameters, variation: Variation) -> Measurement:
    chip = make_chip(parameters, variation)
    answer = yield chip.operation(range(len(chip.bits)), 1)
    output, unsettled = _outputs(chip, answer)
    some = _cost_vectors(len(chip.bits), parameters.stimulus.cost_vectors)
    repeated = yield chip.operation(some, 2)
    sampling, sharing = chip.noise()
    first = yield sampling
    second = yield sharing
    phases = chip.noise_by_phase(*(float(found.final("noise")[0]) for found in (first, second)))
    history = float(np.max(np.abs(repeated.final("output") - output[some]))) / chip.step_v
    return {
        "output_voltage": output,
        "expected_voltage": chip.expected_v,
        "charge_error": (output - chip.expected_v) / chip.step_v,
        **_linearity(chip, output),
        "step_voltage": np.asarray(chip.step_v),
        "unsettled": np.asarray(unsettled),
        "history": np.asarray(history),
        "noise_sampling": np.asarray(phases[0]),
        "noise_sharing": np.asarray(phases[1]),
        "noise_sigma": np.asarray(np.hypot(phases[0], phases[1])),
        "input": _signed(chip, chip.bits),
        "weight": _signed(chip, chip.array.stored),
        "unit_capacitor": chip.array.capacitors_f,
        "line_capacitor": np.asarray(chip.array.line_f),
        **measure_cost(parameters, chip, repeated, some),
        "area": np.asarray(area_m2(parameters, chip)),
    }


def _cost_vectors(batch: int, count: int) -> list[int]:
    """Middles of so many equal parts of a batch: of a staircase neither end, where all is alike."""
    middles = (np.arange(count) + 0.5) * batch / count
    return np.unique(middles.astype(np.int64)).tolist()  # type: ignore[no-any-return]


def _signed(chip: Chip, bits: NDArray[np.int64]) -> NDArray[np.float64]:
    """Bits as a recipe writes them: −1 and 1 for ``xnor``."""
    return np.asarray(bits if chip.array.product == "and" else 2 * bits - 1, dtype=np.float64)


def _outputs(chip: Chip, answer: Answer) -> tuple[NDArray[np.float64], float]:
    """Outputs (batch, col) in V, and how far in LSB they still move.

    Raises
    ------
    MeasurementError : an output still moves by half an LSB, or is far from where its charge says.
    """
    array, moves = chip.array, []
    begin = array.cycle_s - _LAST_PART * array.share_s
    for run in answer.runs:
        values = run.values["output"]
        # The last part may hold no time point but its end: what it begins with lies between two.
        first = [np.interp(begin, run.axis, column) for column in values.T]
        moves.append(float(np.max(np.ptp([first, *values[run.axis >= begin]], axis=0))))
    unsettled = max(moves) / chip.step_v
    if unsettled > _MOST_UNSETTLED_LSB:
        raise MeasurementError(
            f"an output still moves by {unsettled:.2g} LSB in the last tenth of sharing; a longer "
            "circuit.share_time, or less resistance, lets it settle"
        )
    output = answer.final("output")
    error = float(np.max(np.abs(output - chip.expected_v))) / chip.step_v
    if error > max(1.0, _FARTHEST * array.rows):
        raise MeasurementError(
            f"an output is {error:.3g} LSB of {array.rows} from what its charge gives: the "
            "switches hardly conduct; more supply, longer phases or less resistance let them"
        )
    return output, unsettled


def _linearity(chip: Chip, output: NDArray[np.float64]) -> Arrays:
    """Least-squares line of each column's output over the nominal one, and what is left."""
    active = chip.products.sum(axis=1)
    nominal = chip.step_v * active
    gain, offset = np.full((2, chip.array.cols), np.nan)
    left = np.full(output.shape, np.nan)
    for col in range(chip.array.cols):
        if len(np.unique(active[:, col])) < _FEWEST_FOR_A_LINE:
            continue
        gain[col], offset[col] = np.polyfit(nominal[:, col], output[:, col], 1)
        left[:, col] = output[:, col] - (gain[col] * nominal[:, col] + offset[col])
    return {
        "active_products": active,
        "gain": gain,
        "offset": offset,
        "nonlinearity": left / chip.step_v,
    }


BENCH = Bench(
    name="charge_mvm",
    summary="matrix-vector products of a charge-domain SRAM array: linearity, noise, cost",
    parameters=ChargeParameters,
    gates=ChargeGates,
    quantities=("unit_capacitor", "transistor"),
    surrogate="charge_column",
    sizes=_sizes,
    variables=_variables,
    coordinates=_coordinates,
    measure=_measure,
    curves=(
        Curve("inl", ("nonlinearity",), "batch"),
        Curve("output", ("output_voltage",), "batch"),
        Curve("charge-error", ("charge_error",), "batch"),
    ),
)
