"""Surrogate of column time accumulators: voltages of output lines to delays, products, codes.

Fitted to the edges behind every cell and the voltages of the lines that drive them; blind to the
drawn offsets and slopes of the cells. See `imccircuit.surrogates.time_law` for the law.

Held out are pairs of vector and output, of every chip; where there are ten chips or more, whole
chips too: those give nothing to the law and to the population, and the own parts of their cells
come from the pairs that are not judged.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.benches.aidac_parameters import AidacGates, AidacParameters
from imccircuit.devices.draws import Draws
from imccircuit.errors import UsageError
from imccircuit.metrics.adc import NO_CODE
from imccircuit.surrogates.base import (
    Model,
    ModelArray,
    Parameter,
    Surrogate,
    check_count,
    provenance_of,
)
from imccircuit.surrogates.carried import carried_figures
from imccircuit.surrogates.data import FEWEST, Measured, held_out
from imccircuit.surrogates.inputs import index_of
from imccircuit.surrogates.seen import Again, seen_again, seen_array
from imccircuit.surrogates.spread import SpreadRatio, compute_spread_ratio, judge_spreads
from imccircuit.surrogates.time_law import (
    CURVATURE,
    TimeLaw,
    cell_delays,
    fit_time_law,
    items_of_pairs,
    own_delays,
    own_parts,
)
from imccircuit.surrogates.verdict import ErrorFigure, Gate, Verdict
from imccircuit.units import format_quantity

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Cells vary if their own parts are worth more than this part of a code.
_NO_SPREAD_LSB = 1e-3
_RESOLUTION_LSB = 1e-4
_DRAWN = ("cell", "reference", "zero_delay", "full_delay")


class TimeAccumulatorSurrogate(Surrogate):
    """Delays of cascades of voltage-to-time cells, of measured chips and of drawn ones.

    Arrays of the model: ``coefficient`` (term) s and ``coefficient_sigma``; ``cell`` (chip,
    output, stage, part): offset in s and slope in s/V of a cell beside the law; ``reference``
    (chip) s, last edge of the reference column; ``zero_delay``, ``full_delay`` (chip, output) s;
    ``sample``, ``held_out`` (chip); ``held_out_pair`` (vector, output); with more than one chip
    ``population_covariance`` (part, part) of cells.
    """

    kind = "time_accumulator"
    required = (
        "coefficient",
        "coefficient_sigma",
        "cell",
        "reference",
        "zero_delay",
        "full_delay",
        "sample",
        "held_out",
        "held_out_pair",
    )
    open_inputs = ("voltage_v",)
    required_parameters = (
        "largest_voltage", "full_scale_voltage", "left", "output_levels", "chips",
    )  # fmt: skip

    @property
    def law(self) -> TimeLaw:
        """The common part of the delays."""
        return TimeLaw(
            self.array("coefficient"),
            self.array("coefficient_sigma"),
            self.value("largest_voltage"),
            self.value("left"),
        )

    @property
    def chips(self) -> int:
        """Number of chips whose cells are in the model."""
        return len(self.array("sample"))

    @property
    def lsb_s(self) -> float:
        """One step of the time-to-digital converter: full scale over its largest code, in s."""
        span = self.array("full_delay") - self.array("zero_delay")
        return float(np.mean(np.abs(span)) / self.value("output_levels"))

    @property
    def drawn(self) -> tuple[str, ...]:
        """What `sample_chips` gives and `predict` takes of a drawn chip."""
        return _DRAWN[:2] if self.model.settings["calibration"] == "nominal" else _DRAWN

    def predict(
        self,
        *,
        voltage_v: ArrayLike,
        chip: int = 0,
        cell: ArrayLike | None = None,
        reference: float | None = None,
        zero_delay: ArrayLike | None = None,
        full_delay: ArrayLike | None = None,
        strict: bool = False,
    ) -> dict[str, NDArray[Any]]:
        """Delays, products and codes of a measured chip, or of a drawn one.

        Parameters
        ----------
        voltage_v : (batch, output, stage) voltages of the output lines in V.
        chip : measured chip whose cells are taken, 0 by default.
        strict : refuse voltages outside the domain instead of warning once.
        cell, reference, zero_delay, full_delay : of a chip from `sample_chips`, all that it gives:
            a chip's products are of its own full scale.

        Returns
        -------
        ``delay_s`` (batch, output), last edge less the reference's; ``product`` of full scale;
        and ``code``. Edges before the first or behind the last step of the time-to-digital
        converter give its end codes, 0 and ``output_levels``, while delay and product go on.
        Of a voltage that is NaN delay and product are NaN and the code is `NO_CODE`.

        Raises
        ------
        UsageError : shapes do not fit, a voltage is infinite, there is no such chip, or only part
            of a drawn one is given.
        """
        drawn = dict(zip(_DRAWN, (cell, reference, zero_delay, full_delay), strict=True))
        given = [name for name in self.drawn if drawn[name] is not None]
        if given and len(given) < len(self.drawn):
            text = f"of a drawn chip there is {', '.join(given)}"
            raise UsageError(f"{text}; allowed: all of {', '.join(self.drawn)}")
        index_of("chip", chip, self.chips)
        own, of_reference, zero, full = (
            np.asarray(self.array(name)[chip] if value is None else value, dtype=np.float64)
            for name, value in drawn.items()
        )
        voltage = np.asarray(voltage_v, dtype=np.float64)
        if np.any(np.isinf(voltage)):  # a polynomial of delays has no limit there
            raise UsageError("voltage_v holds an infinity; allowed: finite numbers, NaN for none")
        if voltage.ndim != 3 or voltage.shape[1:] != own.shape[:2]:
            raise UsageError(f"voltages {voltage.shape} do not fit cells {own.shape[:2]}")
        self.check_domain("voltage_v", voltage, strict=strict)
        each = self.law.delays(voltage) + own_delays(own[None], voltage[None])[0]
        delay = each.sum(axis=-1) - of_reference
        product = (delay - zero) / (full - zero)
        levels = self.value("output_levels")
        known = ~np.isnan(product)
        steps = np.clip(np.rint(np.where(known, product, 0.0) * levels), 0.0, levels)
        code = np.where(known, steps, NO_CODE).astype(np.int64)
        return {"delay_s": delay, "product": product, "code": code}

    def sample_chips(self, n: int, seed: int) -> dict[str, Floats]:
        """Draw chips: ``cell`` (chip, output, stage, 2) in s and s/V, ``reference`` (chip) in s.

        The reference column has cells of the same population, at 0 V. Where a chip's ends were
        measured, ``zero_delay`` and ``full_delay`` (chip, output) in s are what its own cells give
        there; nominal ones are the same for all chips and not drawn.

        Raises
        ------
        UsageError : one chip was fitted.
        """
        if "population_covariance" not in self.model.arrays:
            raise UsageError("the model was fitted to one chip, so it knows no variation")
        check_count(n)
        values, vectors = np.linalg.eigh(self.array("population_covariance"))
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        outputs, stages = self.array("cell").shape[1:3]
        nominal = float(np.mean(self.array("reference")))
        cells, references = [], list[float]()
        for k in range(n):
            normal = (
                Draws(seed, k).generator("time_cells").standard_normal((outputs + 1, stages, 2))
            )
            drawn = normal @ root.T
            cells.append(drawn[:-1])
            references.append(float(nominal + drawn[-1, :, 0].sum()))
        cell, reference = np.stack(cells), np.array(references)
        return {"cell": cell, "reference": reference, **self._ends(cell, reference)}

    def _ends(self, cell: Floats, reference: Floats) -> dict[str, Floats]:
        """Delays (chip, output) in s of drawn chips that are product 0 and 1; none if nominal."""
        ends = {"zero_delay": 0.0, "full_delay": self.value("full_scale_voltage")}
        found = {}
        for name, volt in ends.items() if self.drawn == _DRAWN else ():
            at = np.array([1.0, volt])
            # What all chips have, their own parts taken off, and the drawn chip's own.
            measured = self.array(name) + self.array("reference")[:, None]
            common = measured - (self.array("cell") @ at).sum(axis=-1)
            found[name] = common.mean(axis=0) + (cell @ at).sum(axis=-1) - reference[:, None]
        return found

    def admissibility(self) -> tuple[str, ...]:
        """Numbers are finite, delays positive; they change one way with voltage over the range."""
        if not all(np.all(np.isfinite(self.array(name))) for name in _DRAWN):
            return ("a fitted number is not finite",)
        volt = np.linspace(0, self.value("largest_voltage"), 65)[:, None]
        delay = self.law.delays(np.repeat(volt, self.law.stages, axis=1))
        problems = []
        if not np.all(np.isfinite(delay)) or np.any(delay <= 0):
            problems.append("a delay is not positive")
        elif np.unique(np.sign(np.diff(delay, axis=0))).size > 1:
            problems.append("delays both rise and fall with the voltage")
        return tuple(problems)

    @classmethod
    def fit(cls, measured: Measured) -> Self:
        """Fit to edges and voltages; see the module."""
        gates, parameters = measured.recipe.gates, measured.parameters
        if not isinstance(parameters, AidacParameters) or not isinstance(gates, AidacGates):
            raise UsageError(f"{measured.results.path} holds no column time accumulators")
        arrays = measured.arrays
        voltage, delay = arrays["output_voltage"], cell_delays(arrays["edge_time"])
        chips, pairs = split_of(measured)
        hidden = np.zeros(voltage.shape[1:3], dtype=bool) if pairs is None else pairs
        law, _ = fit_time_law(voltage[~chips], delay[~chips], ~hidden)
        own = own_parts(law, voltage, delay, ~hidden)
        levels = float(2**parameters.circuit.output_bits - 1)
        # Vectors take no part in the reference's edge, which is at 0 V whatever they are.
        reference = np.mean(arrays["edge_time"][..., -1] - arrays["output_delay"], axis=(1, 2))
        found = {
            "coefficient": ModelArray(law.coefficients, "s", ("term",), "t_s, a V_m, b_2, b_3"),
            "coefficient_sigma": ModelArray(law.errors, "s", ("term",), "their errors"),
            "cell": ModelArray(own, "SI", ("chip", "output", "stage", "part"), "offset, slope"),
            "reference": ModelArray(reference, "s", ("chip",), "last edge of the reference"),
            "zero_delay": ModelArray(arrays["zero_delay"], "s", ("chip", "output"), "product 0"),
            "full_delay": ModelArray(arrays["full_delay"], "s", ("chip", "output"), "product 1"),
            "sample": ModelArray(measured.samples, "1", ("chip",), "Monte Carlo sample"),
            "held_out": ModelArray(chips.astype(np.int8), "1", ("chip",), "not seen by the fit"),
            "held_out_pair": ModelArray(
                hidden.astype(np.int8), "1", ("vector", "output"), "not seen by the fit"
            ),
        }
        found |= seen_array(items_of_pairs(measured.arrays), ~chips, ~hidden.ravel())
        if measured.chips > 1:
            found["population_covariance"] = ModelArray(
                np.cov(own[~chips].reshape(-1, 2), rowvar=False), "SI", ("part", "part_"),
                "covariance of offset and slope of cells",
            )  # fmt: skip
        full_scale = float(parameters.full_scale_v)
        fitted = _parameters(law, levels, int(np.count_nonzero(~chips)), found) | {
            "full_scale_voltage": Parameter("full_scale_voltage", full_scale, "V")
        }
        model = Model(
            arrays=found,
            parameters=fitted | carried_figures(measured, ~chips),
            settings={
                "time_cell": parameters.circuit.time_cell,
                "calibration": parameters.calibration,
            },
            gates={name: float(value) for name, value in gates},
            domain=_domain(parameters, measured),
            provenance=provenance_of(measured),
            limits={"voltage_v": (float(voltage.min()), float(voltage.max()))},
        )
        return cls(model).judged(measured)

    def seen_again(self, measured: Measured) -> Again:
        """Chips by their delays for the fit's own pairs of vector and output."""
        return seen_again(self.model, items_of_pairs(measured.arrays), "products")

    def judge(self, measured: Measured) -> Verdict:
        """Verdict on held-out pairs of vector and output."""
        if measured.arrays["output_voltage"].shape[2:] != self.array("cell").shape[1:3]:
            raise UsageError(f"{measured.results.path} has not the cells of the model")
        return replace(
            _judge(self, measured),
            left_out=measured.left_out,
            reference=measured.reference,
            domain=self.domain,
        )


def split_of(measured: Measured) -> tuple[Mask, Mask | None]:
    """Chips (chip,) and pairs (vector, output) that the fit may not see; None if too few."""
    chips = held_out(measured.chips)
    shape = measured.arrays["output_voltage"].shape[1:3]
    pairs = held_out(shape[0] * shape[1])
    return (
        np.zeros(measured.chips, dtype=bool) if chips is None else chips,
        None if pairs is None else pairs.reshape(shape),
    )


def _judge(model: TimeAccumulatorSurrogate, measured: Measured) -> Verdict:
    chips, pairs = split_of(measured)
    if pairs is None:
        return Verdict("not judged", "too few products to hold out five and to fit five")
    every = np.ones(measured.chips, dtype=bool)
    if not model.was_fitted_to(measured):
        again = model.seen_again(measured)
        if why := again.why_not():
            return Verdict("not judged", why)
        chips = ~again.chips if again.by_chips else every
        if not again.by_chips:
            pairs = ~again.vectors.reshape(pairs.shape)
    elif not chips.any():
        chips = every
    arrays = {name: values[chips] for name, values in measured.arrays.items()}
    voltage, law = arrays["output_voltage"], model.law
    own = own_parts(law, voltage, cell_delays(arrays["edge_time"]), ~pairs)
    each = law.delays(voltage) + own_delays(own, voltage)
    reference = np.mean(arrays["edge_time"][..., -1] - arrays["output_delay"], axis=(1, 2))
    predicted = (each.sum(axis=-1) - reference[:, None, None])[:, pairs]
    truth = arrays["output_delay"][:, pairs]
    total = voltage.sum(axis=-1)[:, pairs]
    line = np.polyval(np.polyfit(total.ravel(), truth.ravel(), 1), total)
    lsb = model.lsb_s
    figure = ErrorFigure.of(
        "output_delay", "s", predicted - truth, linear_error=line - truth,
        resolution=_RESOLUTION_LSB * lsb, lsb=lsb,
    )  # fmt: skip
    error = Gate.at_most("max_error", figure.max / lsb, model.model.gates["max_error"], "LSB")
    spreads, notes = [], []
    spread = _spread(model, own) if model.array("held_out").any() else None
    if spread is not None:
        limit = model.model.gates["spread_factor"]
        spreads = [(Gate.at_most("spread_factor", spread.factor, limit, "1"), spread)]
        notes = [f"spread of cells, held out over fitted: {spread}"]
    state, reason = judge_spreads((error,), spreads, model.admissibility())
    gates = (error, *(gate for gate, _ in spreads))
    count = int(np.count_nonzero(chips))
    return Verdict(state, reason, gates, (figure,), figure.count, count, notes=tuple(notes))


def _spread(model: TimeAccumulatorSurrogate, own: Floats) -> SpreadRatio | None:
    """Spread of the cells' own parts of judged chips over the population's, where they vary."""
    if len(own) < FEWEST:
        return None
    covariance = model.array("population_covariance")
    worth = np.sqrt(np.diag(covariance)) * np.array([1.0, model.law.largest_v])
    varies = worth > _NO_SPREAD_LSB * model.lsb_s
    if not varies.any():
        return None
    cells = own.reshape(-1, 2)[:, varies]
    fitted = int(model.value("chips")) * own[0].size // 2
    return compute_spread_ratio(
        cells, np.zeros(cells.shape[1]), covariance[np.ix_(varies, varies)], fitted
    )


def _parameters(
    law: TimeLaw, levels: float, chips: int, arrays: dict[str, ModelArray]
) -> dict[str, Parameter]:
    stages, errors = law.stages, law.errors
    found = [
        *(
            Parameter(f"t0_{k}", float(law.coefficients[k]), "s", float(errors[k]))
            for k in range(stages)
        ),
        Parameter("slope", law.slope_s_per_v, "s/V", float(errors[stages] / law.largest_v)),
        *(
            Parameter(f"curvature_{m}", float(law.coefficients[stages + 1 + place]), "s",
                      float(errors[stages + 1 + place]))
            for place, m in enumerate(CURVATURE)
        ),
        Parameter("largest_voltage", law.largest_v, "V"),
        Parameter("left", law.left_s, "s"),
        Parameter("output_levels", levels, "1"),
        Parameter("chips", float(chips), "1"),
    ]  # fmt: skip
    if "population_covariance" in arrays:
        sigma = np.sqrt(np.diag(arrays["population_covariance"].values))
        count = chips * arrays["cell"].values[0].size // 2
        for name, unit, value in zip(("offset", "slope"), ("s", "s/V"), sigma, strict=True):
            error = value / np.sqrt(2 * max(1, count - 1))
            found.append(Parameter(f"sigma_{name}", float(value), unit, float(error)))
    return {p.name: p for p in found}


def _domain(parameters: AidacParameters, measured: Measured) -> dict[str, str]:
    voltage = measured.arrays["output_voltage"]
    low, high = (format_quantity(float(f(voltage)), "V") for f in (np.min, np.max))
    varied = ", ".join(measured.recipe.common.variation.quantities) or "nothing"
    return {
        "voltage of an output line": f"{low} to {high}, at the launch",
        "cells": f"{parameters.circuit.time_cell}, {parameters.circuit.arrays} in cascade",
        "temperature": f"{parameters.conditions.temperature:g} degC",
        "varied from chip to chip": varied,
        "noise": "none",
    }


SURROGATE = TimeAccumulatorSurrogate
