"""Decisions of a sense amplifier: offset, decision curve, sensing range, pairs of columns.

Every comparison is a transient of two operations; the first sees the two currents swapped, so that
what is left of it pushes the wrong way. A decision counts only if both outputs are at opposite
logic levels at the end of the evaluation and both inputs leave their columns enough voltage.

The sensing range are the mean currents at which the difference `stimulus.resolution` is decided
right in both directions. A pair of currents outside it is flagged, whatever the outputs say.

With ternary mapping the pairs are the currents of two simulated columns, and right is the sign of
Σ weight·input.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
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
    Section,
    Variable,
    Variation,
)
from imccircuit.benches.cost import COST_VARIABLES, NOT_MODELLED, blocks_along
from imccircuit.benches.problem import Answer
from imccircuit.benches.sense_amplifier import Amplifier, Comparison, draw_amplifier
from imccircuit.benches.sense_parameters import SenseParameters
from imccircuit.benches.sense_ternary import pair_currents
from imccircuit.circuits.sense_amp import MATCHED

Floats = NDArray[np.float64]

RIGHT, WRONG, UNDECIDED, OUTSIDE, TIE = 0, 1, 2, 3, 4
_OFFSET_SPAN = 0.5
_SECTIONS = 7
_HALVINGS = 6


class NoGates(Section):
    """There is no surrogate of a sense amplifier yet, so nothing to judge."""


def _sizes(parameters: SenseParameters) -> dict[str, int]:
    sizes = {
        "difference": len(parameters.differences_a),
        "common": len(parameters.common_modes_a),
        "pair": parameters.pairs,
        "side": 2,
        "transistor": len(MATCHED),
        "block": len(Amplifier.blocks(parameters)),
    }
    return sizes | ({"row": parameters.circuit.rows} if parameters.ternary else {})


def _variables(parameters: SenseParameters) -> tuple[Variable, ...]:
    pair: tuple[Variable, ...] = ()
    if parameters.ternary:
        pair = (
            Variable("ideal_sum", ("pair",), "1", "sum of weight times input"),
            Variable("ternary_weight", ("row",), "1", "weight, −1, 0 or 1"),
        )
    return (
        *pair,
        Variable("offset_current", (), "A", "input-referred offset at the common mode",
                 missing="no decision at this common mode"),
        Variable("hysteresis", (), "A", "what the decision before moves the turn by",
                 missing="no decision at this common mode"),
        Variable("decision_level", ("difference",), "1", "decision: 1 plus, 0 minus, 0.5 none"),
        Variable("resolved", ("common",), "1", "resolution decided right both ways", "int"),
        Variable("input_voltage", ("common",), "V", "lower of the two inputs"),
        Variable("range_low", (), "A", "lower end of the sensing range",
                 missing="below the smallest common mode, or nothing is resolved"),
        Variable("range_high", (), "A", "upper end of the sensing range",
                 missing="above the largest common mode, or nothing is resolved"),
        Variable("pair_input", ("pair", "side"), "A", "current of plus and minus column"),
        Variable("decision", ("pair",), "1", "1 plus, 0 minus, 2 none", "int"),
        Variable("outcome", ("pair",), "1",
                 "0 right, 1 wrong, 2 none, 3 outside range, 4 no right answer", "int"),
        Variable("right_share", (), "1", "share of pairs that are decided right and in range",
                 missing="no pair has a right answer"),
        Variable("threshold_shift", ("transistor",), "V", "of this chip's transistors",
                 missing=NOT_MODELLED),
        Variable("current_factor", ("transistor",), "1", "of this chip's transistors, over nominal",
                 missing=NOT_MODELLED),
        *COST_VARIABLES,
    )  # fmt: skip


def _coordinates(parameters: SenseParameters) -> Mapping[str, NDArray[Any] | Along]:
    return {
        "difference": Along(parameters.differences_a, "A", "plus less minus current"),
        "common": Along(parameters.common_modes_a, "A", "mean of plus and minus current"),
        "transistor": Along(np.array(MATCHED, dtype=object), "", "transistor of the latch"),
        "side": Along(np.array(["plus", "minus"], dtype=object), "", "column of the pair"),
        "block": blocks_along(Amplifier.blocks(parameters)),
    }


def _measure(parameters: SenseParameters, variation: Variation) -> Measurement:
    amplifier = draw_amplifier(parameters, variation)
    common = parameters.stimulus.common_mode
    curve = yield from amplifier.compare(_around(np.full(1, common), parameters.differences_a))
    offset, hysteresis = yield from _offset(amplifier, parameters)
    arrays = yield from _range(amplifier, parameters)
    if parameters.ternary:
        columns = yield from pair_currents(parameters, variation)
        pairs, truth = columns["pair_current"], columns["ideal_sum"]
        arrays |= {name: columns[name] for name in ("ideal_sum", "ternary_weight")}
    else:
        pairs = parameters.pairs_a
        truth = pairs[:, 0] - pairs[:, 1]
    compared = yield from amplifier.compare(pairs)
    outcome = _outcome(compared, pairs, truth, float(arrays["range_low"]),
                       float(arrays["range_high"]), bool(arrays["resolved"].any()))  # fmt: skip
    answerable = outcome != TIE
    cost = yield from amplifier.cost(common, parameters.resolution_a)
    return {
        "offset_current": np.asarray(offset),
        "hysteresis": np.asarray(hysteresis),
        "decision_level": np.choose(curve.decision, [0.0, 1.0, 0.5]),
        **arrays,
        "pair_input": pairs,
        "decision": compared.decision,
        "outcome": outcome,
        "right_share": np.asarray(
            np.mean(outcome[answerable] == RIGHT) if answerable.any() else np.nan
        ),
        **amplifier.drawn,
        **cost,
    }


def _around(common_a: Floats, difference_a: Floats) -> Floats:
    """(…, 2) currents of plus and minus column."""
    return np.stack([common_a + difference_a / 2, common_a - difference_a / 2], axis=-1)


def _offset(
    amplifier: Amplifier, parameters: SenseParameters
) -> Generator[Any, Answer, tuple[float, float]]:
    """Offset and hysteresis in A; NaN where the decision does not turn.

    The difference at which the decision turns is searched twice, after a clear plus and after a
    clear minus. What the amplifier remembers moves the two apart: their mean is minus the offset,
    their distance the hysteresis.
    """
    common = parameters.stimulus.common_mode
    ends = np.array([-1.0, 1.0]) * _OFFSET_SPAN * common
    brackets = np.stack([ends, ends])
    before = np.repeat(_around(np.full(2, common), ends), _SECTIONS + 1, axis=0)
    first = True
    while np.ptp(brackets, axis=1).max() > 2 * parameters.stimulus.offset_tolerance * common:
        asked = np.linspace(brackets[:, 0], brackets[:, 1], _SECTIONS + 1, axis=1)
        found = yield from amplifier.compare(_around(np.full(asked.size, common), asked.ravel()),
                                             before)  # fmt: skip
        if first and not np.array_equal(found.decision.reshape(asked.shape)[:, [0, -1]],
                                        [[0, 1], [0, 1]]):  # fmt: skip
            return float("nan"), float("nan")
        first = False
        # Close to the turn nothing is decided in time: which side it is on says the sign.
        plus = found.sign.reshape(asked.shape) > 0
        if plus[:, 0].any() or not plus[:, -1].all() or np.any(np.diff(plus.astype(int)) < 0):
            raise MeasurementError("offset: the decision does not turn once over the difference")
        turn = np.argmax(plus, axis=1)
        rows = np.arange(2)
        brackets = np.stack([asked[rows, turn - 1], asked[rows, turn]], axis=1)
    turns = brackets.mean(axis=1)
    return -float(turns.mean()), float(turns[1] - turns[0])


def _range(amplifier: Amplifier, parameters: SenseParameters) -> Generator[Any, Answer, Arrays]:
    """Sensing range: the longest run of resolved common modes, its ends by bisection."""
    common = parameters.common_modes_a
    resolved, voltage = yield from _resolves(amplifier, parameters, common)
    low = high = float("nan")
    first, last = _longest_run(resolved)
    if first is not None and last is not None:
        ends = {"low": (first - 1, first), "high": (last + 1, last)}
        brackets = {
            name: [float(common[outer]), float(common[inner])]
            for name, (outer, inner) in ends.items()
            if 0 <= outer < len(common)
        }
        for _ in range(_HALVINGS if brackets else 0):
            middle = {name: float(np.sqrt(a * b)) for name, (a, b) in brackets.items()}
            good, _ = yield from _resolves(amplifier, parameters, np.array(list(middle.values())))
            for name, is_good in zip(middle, good, strict=True):
                brackets[name][1 if is_good else 0] = middle[name]
        # The inner end: a current that was seen to be resolved. An end that the search never
        # reached stays NaN.
        low = brackets["low"][1] if "low" in brackets else low
        high = brackets["high"][1] if "high" in brackets else high
    return {
        "resolved": resolved.astype(np.int64),
        "input_voltage": voltage,
        "range_low": np.asarray(low),
        "range_high": np.asarray(high),
    }


def _resolves(
    amplifier: Amplifier, parameters: SenseParameters, common_a: Floats
) -> Generator[Any, Answer, tuple[NDArray[np.bool_], Floats]]:
    """Whether the resolution is decided right both ways, and the lower input voltage in V."""
    step = np.full(len(common_a), parameters.resolution_a)
    pairs = np.concatenate([_around(common_a, step), _around(common_a, -step)])
    found = yield from amplifier.compare(np.maximum(pairs, 0.0))
    up, down = np.split(found.decision, 2)
    lowest = np.minimum(*np.split(found.input_v.min(axis=1), 2))
    enough = lowest >= parameters.circuit.minimum_input_voltage
    return (up == 1) & (down == 0) & enough, lowest


def _longest_run(resolved: NDArray[np.bool_]) -> tuple[int | None, int | None]:
    """First and last index of the longest run of True; None where there is none."""
    best: tuple[int | None, int | None] = (None, None)
    longest, start = 0, 0
    for index, good in enumerate(resolved.tolist()):
        if not good:
            start = index + 1
        elif index + 1 - start > longest:
            longest, best = index + 1 - start, (start, index)
    return best


def _outcome(
    compared: Comparison, pairs: Floats, truth: Floats, low: float, high: float, any_range: bool
) -> NDArray[np.int64]:
    """What became of each pair; ``truth`` (pair,) has the sign of the right answer, 0 for none."""
    right = (truth > 0).astype(np.int64)
    outcome = np.where(compared.decision == right, RIGHT, WRONG)
    outcome = np.where(compared.decision == 2, UNDECIDED, outcome)
    mean = pairs.mean(axis=1)
    # NaN is an end that was not reached; comparisons with it are False: nothing is outside.
    slack = 1e-9 * mean
    outside = (mean < low - slack) | (mean > high + slack) | (not any_range)
    outcome = np.where(outside, OUTSIDE, outcome)
    return np.asarray(np.where(truth == 0, TIE, outcome), dtype=np.int64)


BENCH = Bench(
    name="sense_amp",
    summary="one-bit comparator of two columns: offset, sensing range, ternary pairs, cost",
    parameters=SenseParameters,
    gates=NoGates,
    quantities=("transistor", "offset", "conductance", "threshold", "current_factor"),
    surrogate="",
    sizes=_sizes,
    variables=_variables,
    coordinates=_coordinates,
    measure=_measure,
    curves=(
        Curve("decision", ("decision_level",), "difference"),
        Curve("range", ("input_voltage",), "common", x_log=True),
    ),
)
