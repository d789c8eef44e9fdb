"""Verdict on the surrogate of a macro: the chain of its parts against one monolithic deck.

A conversion's error, referred to the converter's input: the predicted input less the one that the
monolithic deck sampled, less the error of the predicted level nearest to it. To its magnitude is
added by how much the deck's own input lies outside the interval that the levels, measured on the
converter alone, give to the deck's code: that is what the converters do otherwise in company.

The codes that differ are counted, and the count is compared with what the parts' own verdicts
predict: each part's rms error on held-out data, taken as normal and independent, moves each
predicted input out of its code's interval with a known probability.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.adc_transfer import checked_codes
from imccircuit.errors import UsageError
from imccircuit.metrics.adc import compute_codes
from imccircuit.metrics.code_agreement import compute_count_interval, compute_differ_probability
from imccircuit.surrogates.adc_levels import fit_weights, predict_levels
from imccircuit.surrogates.crossbar_split import Split, split_of
from imccircuit.surrogates.crossbar_verdict import offsets_of, unseen_of
from imccircuit.surrogates.data import Measured
from imccircuit.surrogates.front_end import currents_of
from imccircuit.surrogates.front_end_verdict import shown_numbers
from imccircuit.surrogates.macro_drive import drivers_sigma, ideal_drives, predicted_drives
from imccircuit.surrogates.macro_front import front_end_of
from imccircuit.surrogates.macro_parts import ARRAY, array_of, macro_parameters
from imccircuit.surrogates.macro_rest import CURVES, IDEAL, outputs_at_rest
from imccircuit.surrogates.verdict import ErrorFigure, Gate, State, Verdict, judge

if TYPE_CHECKING:
    from imccircuit.surrogates.macro import MacroSurrogate

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

# Of an LSB: an ideal model nearer than this to SPICE leaves nothing to gain.
_RESOLUTION_LSB = 1e-3
# By whether front ends are ideal: what the chain's decks are.
_CHAINED = {
    True: "parts simulated one by one against one deck of all parts; not gated",
    False: "array with its front ends, and converters, against one deck of all parts; not gated",
}


@dataclass(frozen=True)
class Conversions:
    """Judged conversions, one an entry, of all chips and columns.

    Attributes
    ----------
    input_v, code : of the monolithic deck, (conversion,).
    levels_v : (conversion, code) measured levels of its converter alone.
    predicted_v, predicted_levels_v : (conversion,) and (conversion, code) of the surrogate.
    parts_v : (conversion,) front end's output measured in a deck without converters.
    ideal : (conversion,) sum of voltage times conductance, in A.
    sigma_v : (conversion,) error in V that the parts' verdicts state.
    """

    input_v: Floats
    code: Codes
    levels_v: Floats
    predicted_v: Floats
    predicted_levels_v: Floats
    parts_v: Floats
    ideal: Floats
    sigma_v: Floats


def judge_macro(model: MacroSurrogate, measured: Measured) -> Verdict:
    """Error referred to the converters' inputs, and codes that differ, with their gates."""
    _check_fits(model, measured)
    view = array_of(measured)
    mine = model.was_fitted_to(measured)
    split = split_of(view) if mine else unseen_of(view, model.seen_again(measured))
    if split.why_not:
        state, reason = _with_parts(model, "not judged", split.why_not)
        return Verdict(state, reason, notes=_part_notes(model))
    of = _conversions(model, measured, view, split)
    lsb, limits = model.lsb_v, model.model.gates
    figure = ErrorFigure.of(
        "input of a conversion",
        "V",
        input_error(of.predicted_v, of.predicted_levels_v, of),
        linear_error=_best_line(of.ideal, of.input_v) - of.input_v,
        resolution=_RESOLUTION_LSB * lsb,
        lsb=lsb,
        note="surrogate against one deck of all parts",
    )
    chain = ErrorFigure.of(
        "input of a conversion, chain of decks",
        "V",
        input_error(of.parts_v, of.levels_v, of),
        lsb=lsb,
        note=_CHAINED[model.parts.front is None],
    )
    predicted = _codes(of.predicted_levels_v, of.predicted_v)
    differs = predicted != of.code
    mean, low, high = compute_count_interval(_chances(of, predicted))
    count = int(np.count_nonzero(differs))
    farthest = float(np.max(_distances(of, predicted)[differs], initial=0.0)) / lsb
    gates = (
        Gate.at_most("input_error, rms", figure.rms / lsb, limits["input_error"], "LSB"),
        Gate.at_most(
            "differing codes outside the 95 % interval", max(0, low - count, count - high), 0, "1"
        ),
        Gate.at_most("transition_distance", farthest, limits["transition_distance"], "LSB"),
    )
    state, reason = _with_parts(model, *judge(gates, model.admissibility()))
    chained = int(np.count_nonzero(_codes(of.levels_v, of.parts_v) != of.code))
    notes = (
        f"{count} of {len(differs)} codes differ; the parts' verdicts predict {mean:.3g}, "
        f"95 % interval {low} to {high}",
        f"chain of the parts' own decks: {chained} codes differ",
        *_part_notes(model),
    )
    chips = int(np.count_nonzero(split.judged.any(axis=1)))
    return Verdict(state, reason, gates, (figure, chain), figure.count, chips, notes=notes)


def _with_parts(model: MacroSurrogate, state: State, reason: str) -> tuple[State, str]:
    """Verdict of the whole, which is below its gate where that of a part is.

    A part that fails may be made up for by another on these inputs, and not on the next.
    """
    failed = [names for (own, _), names in _said_by_parts(model).items() if own == "fail"]
    if not failed:
        return state, reason
    name = failed[0][0]
    count = sum(map(len, failed))
    more = f", and {count - 1} more" if count > 1 else ""
    text = f"part {name} failed: {model.parts.named()[name].verdict.reason}{more}"
    return "fail", f"{reason}; {text}" if state == "fail" else text


def _part_notes(model: MacroSurrogate) -> tuple[str, ...]:
    """Verdict of every part, one line for those that have it in common."""
    found = [
        f"part {', '.join(names)}: {state} ({reason})"
        for (state, reason), names in _said_by_parts(model).items()
    ]
    unsettled = model.parts.array.model.parameters.get("input_offset_move")
    return (*found, *([] if unsettled is None else [f"part {ARRAY}: {unsettled.note}"]))


def _said_by_parts(model: MacroSurrogate) -> dict[tuple[State, str], list[str]]:
    """State and reason of a verdict → names of the parts that have it."""
    found: dict[tuple[State, str], list[str]] = {}
    for name, part in model.parts.named().items():
        found.setdefault((part.verdict.state, part.verdict.reason), []).append(name)
    return found


def input_error(voltage_v: Floats, levels_v: Floats, of: Conversions) -> Floats:
    """Magnitude of the error (conversion,) in V of inputs and levels; see the module."""
    each = np.arange(len(of.code))
    nearest = np.argmin(np.abs(of.levels_v - of.input_v[:, None]), axis=1)
    moved = levels_v[each, nearest] - of.levels_v[each, nearest]
    low, high = _edges(of.levels_v, of.code)
    outside = np.maximum(0.0, np.maximum(low - of.input_v, of.input_v - high))
    return np.asarray(np.abs(voltage_v - of.input_v - moved) + outside)


def _check_fits(model: MacroSurrogate, measured: Measured) -> None:
    parameters = macro_parameters(measured)
    rows, cols = model.parts.array.conductance_s().shape
    driver = model.parts.driver
    pairs = {
        "rows": (parameters.rows, rows),
        "columns": (parameters.cols, cols),
        "converters": (parameters.converters, model.converters),
        "bits of converters": (
            parameters.circuit.converter.resolution, model.parts.converters[0].bits
        ),
        "front ends of their own": (
            int(not parameters.circuit.front_end.is_ideal), int(model.parts.front is not None)
        ),
        "bits of drivers": (
            parameters.circuit.driver.bits, None if driver is None else driver.bits
        ),
        "sign of the read voltage": (
            np.sign(parameters.stimulus.read_voltage), np.sign(model.value("read_voltage"))
        ),
    }  # fmt: skip
    for name, (theirs, mine) in pairs.items():
        if theirs != mine:
            there, here = ("none" if one is None else f"{one:g}" for one in (theirs, mine))
            path = measured.results.path
            raise UsageError(f"{path} holds a macro with {name} {there}, the model one with {here}")


def _conversions(
    model: MacroSurrogate, measured: Measured, view: Measured, split: Split
) -> Conversions:
    arrays, count = measured.arrays, model.converters
    numbers = _numbers_of(model, measured, view, split)
    drives, ideals = predicted_drives(model, measured), ideal_drives(measured)
    sigma = _stated_sigma(model, measured)
    found: list[Conversions] = []
    for chip in np.flatnonzero(split.judged.any(axis=1)):
        use = split.judged[chip]
        g, drive = arrays["conductance"][chip], drives[chip][use]
        own = {name: values[chip] for name, values in numbers.items()}
        predicted = outputs_at_rest(model, drive, own, conductance_s=g)[1]
        ideal = ideals[chip][use] @ g
        for j in range(count):
            level = arrays["transition_level"][chip, j]
            shape = (len(drive), len(level))
            found.append(
                Conversions(
                    arrays["sampled_voltage"][chip][use, j],
                    arrays["output_code"][chip][use, j],
                    np.broadcast_to(level, shape),
                    predicted[:, j],
                    np.broadcast_to(_levels(model, measured, int(chip), j), shape),
                    arrays["output_voltage"][chip][use, j],
                    ideal[:, j],
                    np.full(len(drive), sigma[j]),
                )
            )
    return Conversions(
        *(np.concatenate([getattr(part, name) for part in found])
          for name in Conversions.__dataclass_fields__)
    )  # fmt: skip


def _numbers_of(
    model: MacroSurrogate, measured: Measured, view: Measured, split: Split
) -> dict[str, Floats]:
    """Numbers (chip, col, …) in V of measured chips' front ends, from what is not judged.

    By their names as inputs of `MacroSurrogate.predict`.
    """
    front = model.parts.front
    alone = front_end_of(measured, macro_parameters(measured))
    if front is None or alone is None:
        offsets = offsets_of(model.parts.array, view, split)
        return {} if offsets is None else dict(zip(IDEAL, offsets, strict=True))
    own = front.own
    if not model.was_fitted_to(measured):
        own = shown_numbers(front, alone, currents_of(alone))
    both = np.split(own.reshape(measured.chips, model.parts.columns, -1), 2, axis=2)
    return dict(zip(CURVES, both, strict=True))


def _levels(model: MacroSurrogate, measured: Measured, chip: int, column: int) -> Floats:
    """Levels (code,) of a chip as the converter's model has them."""
    if measured.chips == 1:
        return np.asarray(measured.arrays["transition_level"][chip, column])
    forced = measured.arrays["forced_level"][chip, column][None]
    bits = (forced.shape[1] + 1).bit_length() - 1
    shared = model.parts.converters[column].shared_level_v
    weights = fit_weights(forced - (0.0 if shared is None else shared), bits, checked_codes(bits))
    return np.asarray(predict_levels(weights, bits, shared)[0])


def _stated_sigma(model: MacroSurrogate, measured: Measured) -> Floats:
    """Error (converter,) in V: drivers, front end, levels, what the null method leaves open.

    With front ends of their own the array's error arrives as a current, and that of an input's
    voltage drives one through all cells of its column.
    """
    own = macro_parameters(measured).stimulus.null_tolerance * model.lsb_v
    front = _rms(model.parts.array.verdict, "output_voltage")
    if model.parts.front is not None:
        said, r_t = model.parts.front.verdict, model.parts.transresistance_ohm
        column_s = float(measured.arrays["conductance"].sum(axis=1).mean())
        current = _rms(model.parts.array.verdict, "output_current")
        current = float(np.hypot(current, column_s * _rms(said, "input_voltage")))
        front = float(np.hypot(_rms(said, "output_voltage"), r_t * current))
    each = [_rms(part.verdict, "transition_level") for part in model.parts.converters]
    rows = np.zeros(len(each))
    if model.parts.driver is not None:
        level = _rms(model.parts.driver.verdict, "output_level")
        rows = drivers_sigma(model, measured, level)[: len(each)]
    return np.asarray(np.sqrt(own**2 + front**2 + np.square(each) + rows**2))


def _rms(verdict: Verdict, quantity: str) -> float:
    found = [figure.rms for figure in verdict.errors if figure.quantity == quantity]
    return float(found[0]) if found and np.isfinite(found[0]) else 0.0


def _edges(levels_v: Floats, code: Codes) -> tuple[Floats, Floats]:
    """Ends (conversion,) of the intervals of codes, infinite for the first and the last one."""
    end = np.full((len(code), 1), np.inf)
    edges = np.concatenate([-end, levels_v, end], axis=1)
    each = np.arange(len(code))
    return edges[each, code], edges[each, code + 1]


def _codes(levels_v: Floats, voltage_v: Floats) -> Codes:
    pairs = zip(levels_v, voltage_v, strict=True)
    return np.array([compute_codes(level, [v])[0] for level, v in pairs], dtype=np.int64)


def _chances(of: Conversions, predicted: Codes) -> Floats:
    low, high = _edges(of.predicted_levels_v, predicted)
    return compute_differ_probability(
        of.predicted_v - low, high - of.predicted_v, np.maximum(of.sigma_v, np.finfo(float).tiny)
    )


def _distances(of: Conversions, predicted: Codes) -> Floats:
    """How far (conversion,) in V a predicted input lies from giving the deck's code."""
    low, high = _edges(of.predicted_levels_v, of.code)
    above = predicted > of.code
    return np.asarray(np.where(above, of.predicted_v - high, low - of.predicted_v))


def _best_line(ideal: Floats, truth: Floats) -> Floats:
    """Best a·ideal + b for all conversions together."""
    design = np.column_stack([ideal, np.ones(ideal.size)])
    return np.asarray(design @ np.linalg.lstsq(design, truth, rcond=None)[0])
