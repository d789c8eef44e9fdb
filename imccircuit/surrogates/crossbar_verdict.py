"""Verdict on the surrogate of a crossbar."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import UsageError
from imccircuit.surrogates.crossbar_amplifiers import fit_amplifiers
from imccircuit.surrogates.crossbar_product import product_note
from imccircuit.surrogates.crossbar_split import Split, calibration_of, split_of
from imccircuit.surrogates.data import FEWEST, Measured
from imccircuit.surrogates.seen import Again
from imccircuit.surrogates.spread import SpreadRatio, compute_spread_ratio, judge_spreads
from imccircuit.surrogates.verdict import ErrorFigure, Gate, Verdict

if TYPE_CHECKING:
    from imccircuit.surrogates.crossbar import CrossbarSurrogate

Floats = NDArray[np.float64]

# Relative to the largest output: an ideal model nearer than this to SPICE leaves nothing to gain.
_RESOLUTION = 1e-9
# Offsets that vary less than this, in V, do not vary: that is rounding.
_NO_SPREAD_V = 1e-9


def judge_crossbar(model: CrossbarSurrogate, measured: Measured) -> Verdict:
    """Errors of currents, of differences of pairs and of amplifier outputs, with their gates."""
    arrays = measured.arrays
    if arrays["conductance"].shape[1:] != model.conductance_s().shape:
        raise UsageError(
            f"{measured.results.path} holds an array of {arrays['conductance'].shape[1:]}, "
            f"the model one of {model.conductance_s().shape}"
        )
    if model.has_amplifiers != ("output_voltage" in arrays):
        raise UsageError(f"{measured.results.path} has another read-out than the model")
    mine = model.was_fitted_to(measured)
    split = split_of(measured) if mine else unseen_of(measured, model.seen_again(measured))
    if split.why_not:
        return Verdict("not judged", split.why_not)
    offsets = offsets_of(model, measured, split)
    predicted, truth, ideal = _outputs(model, measured, split, offsets)
    figures, gates = [], []
    for name, unit in (("output_current", "A"), ("pair_current", "A"), ("output_voltage", "V")):
        if name not in truth:
            continue
        error = predicted[name] - truth[name]
        full_scale = float(np.max(np.abs(truth[name]))) or 1.0
        figure = ErrorFigure.of(
            name,
            unit,
            error,
            linear_error=_best_line(ideal[name], truth[name]) - truth[name],
            resolution=_RESOLUTION * full_scale,
        )
        sigma = float(np.std(truth[name])) or full_scale
        limits = model.model.gates
        gates.append(Gate.at_most(f"nrmse of {name}", figure.rms / sigma, limits["nrmse"], "1"))
        gates.append(
            Gate.at_most(f"max_error of {name}", figure.max / full_scale, limits["max_error"], "FS")
        )
        figures.append(figure)
    spreads, notes = [], []
    spread = _offset_spread(model, split, offsets)
    if spread is not None:
        limit = model.model.gates["offset_spread_factor"]
        spreads = [(Gate.at_most("offset_spread_factor", spread.factor, limit, "1"), spread)]
        notes = [f"spread of amplifier offsets, held out over fitted: {spread}"]
    state, reason = judge_spreads(gates, spreads, model.admissibility())
    gates += [gate for gate, _ in spreads]
    chips = int(np.count_nonzero(split.judged.any(axis=1)))
    count = sum(figure.count for figure in figures)
    if model.has_amplifiers and split.calibration_vectors.any():
        used = int(np.count_nonzero(split.calibration_vectors))
        notes.append(
            f"offsets of a held-out chip's amplifiers from {used} of its vectors, not judged"
        )
    if product := product_note(model, measured, split, offsets):
        notes.append(product)
    return Verdict(state, reason, tuple(gates), tuple(figures), count, chips, notes=tuple(notes))


def unseen_of(measured: Measured, again: Again) -> Split:
    """All that the fit did not see is judged, but the vectors that show a new chip's offsets."""
    chips, batch = measured.arrays["output_current"].shape[:2]
    calibration = calibration_of(measured)
    judged = np.repeat(~calibration[None], chips, axis=0)
    why = "" if judged.any() else "one input vector is too few to find offsets and to judge"
    hidden = ~again.chips if again.by_chips else np.ones(chips, dtype=bool)
    judged &= ~(again.left_out[:, None] if again.by_chips else again.left_out)
    why = again.why_not() or why
    return Split(hidden, np.zeros(batch, dtype=bool), calibration, judged, why)


def offsets_of(
    model: CrossbarSurrogate, measured: Measured, split: Split
) -> tuple[Floats, Floats] | None:
    """Input and output offsets (chip, col) in V of the measured chips, from what is not judged."""
    if not model.has_amplifiers:
        return None
    if model.was_fitted_to(measured):
        arrays = model.model.arrays
    else:
        r_t = model.value("transresistance")
        arrays = fit_amplifiers(model.physics, measured, split, r_t)[1]
    return arrays["input_offset"].values, arrays["output_offset"].values


def _offset_spread(
    model: CrossbarSurrogate, split: Split, offsets: tuple[Floats, Floats] | None
) -> SpreadRatio | None:
    """Spread of held-out output offsets over that of the fitted ones, where both vary."""
    hidden = split.hidden_chips
    if offsets is None or np.count_nonzero(hidden) < FEWEST:
        return None
    fitted = model.array("output_offset")[model.array("held_out") == 0].ravel()
    kept = offsets[1][hidden].ravel()
    if len(fitted) < 2 * FEWEST or max(fitted.std(), kept.std()) < _NO_SPREAD_V:
        return None
    variance = max(float(fitted.var(ddof=1)), 1e-300)
    return compute_spread_ratio(
        kept[:, None], np.array([fitted.mean()]), np.array([[variance]]), len(fitted)
    )


def _outputs(
    model: CrossbarSurrogate,
    measured: Measured,
    split: Split,
    offsets: tuple[Floats, Floats] | None,
) -> tuple[dict[str, Floats], dict[str, Floats], dict[str, Floats]]:
    """Judged outputs as predicted, as SPICE gave them, and ideal (without wires)."""
    arrays = measured.arrays
    predicted: dict[str, list[Floats]] = {}
    truth: dict[str, list[Floats]] = {}
    ideal: dict[str, list[Floats]] = {}
    for chip in np.flatnonzero(split.judged.any(axis=1)):
        use = split.judged[chip]
        g, drive = arrays["conductance"][chip], arrays["row_voltage"][chip][use]
        outputs = model.predict(
            voltage_v=drive,
            conductance_s=g,
            input_offset_v=None if offsets is None else offsets[0][chip],
            output_offset_v=None if offsets is None else offsets[1][chip],
        )
        current = outputs["output_current_a"]
        _add(predicted, current, outputs.get("output_voltage_v"), pairs="pair_current" in arrays)
        _add(ideal, drive @ g, drive @ g, pairs="pair_current" in arrays)
        for name in _QUANTITIES:
            if name in arrays:
                truth.setdefault(name, []).append(arrays[name][chip][use])
    return _join(predicted), _join(truth), _join(ideal)


_QUANTITIES = ("output_current", "pair_current", "output_voltage")


def _add(
    table: dict[str, list[Floats]], current: Floats, voltage: Floats | None, *, pairs: bool
) -> None:
    table.setdefault("output_current", []).append(current)
    if pairs:
        table.setdefault("pair_current", []).append(current[:, 0::2] - current[:, 1::2])
    if voltage is not None:
        table.setdefault("output_voltage", []).append(voltage)


def _join(table: dict[str, list[Floats]]) -> dict[str, Floats]:
    return {name: np.concatenate(parts) for name, parts in table.items()}


def _best_line(ideal: Floats, truth: Floats) -> Floats:
    """Best a·ideal + b for all outputs together."""
    design = np.column_stack([ideal.ravel(), np.ones(ideal.size)])
    factors = np.linalg.lstsq(design, truth.ravel(), rcond=None)[0]
    return np.asarray((design @ factors).reshape(truth.shape))
