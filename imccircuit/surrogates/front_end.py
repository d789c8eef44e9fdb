"""Surrogate of a read-out front end: its transfer curve, chip by chip, and what it costs.

The fit knows currents and the voltages of output and input at them; it is blind to drawn offsets
and transistors.

Law: each of the two curves is a line with a bow and an asymmetry (`front_end_law`), eight numbers a
chip, all in V. What all chips have in common beyond them is one residual curve. Beyond the range
of currents the output runs on straight into its stops.

One chip: a fifth of the inner levels are held out. Many chips: whole chips are held out; such a
chip shows its numbers at five levels and is judged at the others, and the spread of its numbers is
compared with the population's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.benches.bench import Along
from imccircuit.benches.readout_parameters import ReadoutGates
from imccircuit.errors import UsageError
from imccircuit.surrogates.base import (
    Model,
    ModelArray,
    Parameter,
    Surrogate,
    provenance_of,
)
from imccircuit.surrogates.carried import carried_figures
from imccircuit.surrogates.data import Measured, held_out
from imccircuit.surrogates.front_end_law import TERMS, TransferLaw, calibration_levels
from imccircuit.surrogates.front_end_numbers import physical_parameters, stops_of
from imccircuit.surrogates.front_end_verdict import judge_many, judge_one, seen_chips
from imccircuit.surrogates.inputs import index_of
from imccircuit.surrogates.population import (
    covariance_problems,
    draw_population,
    population_arrays,
)
from imccircuit.surrogates.seen import Again
from imccircuit.surrogates.verdict import Verdict
from imccircuit.units import format_quantity

if TYPE_CHECKING:
    from imccircuit.surrogates.refine import Proposal

Floats = NDArray[np.float64]

CURVES = ("output", "input")
LEVELS = "level_current"
"""Currents of merged measurements, as an array of theirs."""
_SIGN = "transresistance_sign"
# A common residual below this, in LSB, is the solver's noise.
NO_RESIDUAL_LSB = 1e-3
_WHAT = "offset, swing, bow and asymmetry, of the output and of the input"


class FrontEndSurrogate(Surrogate):
    """Output and input voltage of measured front ends, and front ends drawn from their population.

    Arrays of the model: ``output_coefficient`` and ``input_coefficient`` (chip, term) V,
    ``output_residual`` and ``input_residual`` (level) V, ``level_current`` (level) A, ``sample``
    and ``held_out`` (chip), and, where there are many chips, ``population_mean`` (parameter) V and
    ``population_covariance`` (parameter, parameter) V², the parameters being the terms of the
    output, then those of the input.
    """

    kind = "front_end"
    required = (
        "output_coefficient",
        "input_coefficient",
        "output_residual",
        "input_residual",
        "level_current",
        "sample",
        "held_out",
    )
    required_parameters = ("lsb", "low_stop", "high_stop", "fitted_chips")

    def __init__(self, model: Model) -> None:
        # A file without the mark has the slope itself.
        if _SIGN not in model.settings and "transresistance" in model.parameters:
            slope = model.parameters["transresistance"]
            turned = {"transresistance": replace(slope, value=-slope.value)}
            settings = {**model.settings, _SIGN: "V = V_0 - R_t*I"}
            model = replace(model, parameters={**model.parameters, **turned}, settings=settings)
        super().__init__(model)

    @property
    def chips(self) -> int:
        """Number of chips whose curves are in the model."""
        return len(self.array("sample"))

    @property
    def has_population(self) -> bool:
        """Whether chips can be drawn."""
        return "population_mean" in self.model.arrays

    @property
    def lsb_v(self) -> float:
        """Range of the output over 2^resolution in V."""
        return self.value("lsb")

    @property
    def own(self) -> Floats:
        """Numbers (chip, 2 · term) in V: the output's, then the input's."""
        return np.hstack([self.array(f"{curve}_coefficient") for curve in CURVES])

    def law(self, curve: str) -> TransferLaw:
        """Law of the ``output`` or of the ``input``."""
        return TransferLaw(self.array("level_current"), self.array(f"{curve}_residual"))

    def predict(
        self,
        *,
        current_a: ArrayLike,
        chip: int = 0,
        output_coefficient_v: ArrayLike | None = None,
        input_coefficient_v: ArrayLike | None = None,
        strict: bool = False,
    ) -> dict[str, Floats]:
        """Voltages for currents.

        Parameters
        ----------
        current_a : currents into the input in A, any shape.
        chip : chip of the model, 0 by default.
        output_coefficient_v, input_coefficient_v : (term,) numbers in V of another chip, such as a
            row of what `sample_chips` gives.
        strict : refuse currents outside the domain instead of warning once.

        Returns
        -------
        ``output_voltage_v`` and ``input_voltage_v``, in the shape of the currents.

        Raises
        ------
        UsageError : there is no such chip, a current is no number, or ``strict``.
        """
        index_of("chip", chip, self.chips)
        current = _finite(current_a)
        self.check_domain("current_a", current, strict=strict)
        found = {}
        for curve, given in zip(CURVES, (output_coefficient_v, input_coefficient_v), strict=True):
            numbers = self.array(f"{curve}_coefficient")[chip] if given is None else given
            numbers = np.asarray(numbers, dtype=np.float64)
            if numbers.shape != (TERMS,):
                raise UsageError(f"{curve}_coefficient_v must have shape ({TERMS},)")
            found[f"{curve}_voltage_v"] = self.law(curve).voltage(numbers, current)
        stops = self.value("low_stop"), self.value("high_stop")
        found["output_voltage_v"] = np.clip(found["output_voltage_v"], *stops)
        return found

    def sample_chips(self, n: int, seed: int) -> dict[str, Floats]:
        """Draw chips: ``output_coefficient`` and ``input_coefficient`` (chip, term) in V.

        Raises
        ------
        UsageError : the model was fitted to one chip, or ``n`` is below 1.
        """
        if not self.has_population:
            raise UsageError("the model was fitted to one chip, so it knows no variation")
        drawn = draw_population(
            self.array("population_mean"), self.array("population_covariance"), n, seed, "front_end"
        )
        return {"output_coefficient": drawn[:, :TERMS], "input_coefficient": drawn[:, TERMS:]}

    def admissibility(self) -> tuple[str, ...]:
        """Numbers finite, the output monotonic over the range, stops in order, covariance one."""
        own, residual = self.own, [self.array(f"{curve}_residual") for curve in CURVES]
        if not (np.all(np.isfinite(own)) and np.all(np.isfinite(residual))):
            return ("a fitted number is not finite",)
        problems = []
        if not self.value("low_stop") < self.value("high_stop"):
            problems.append("the stops of the output are out of order")
        law, current = self.law("output"), self.array("level_current")
        grid = np.linspace(current[0], current[-1], 101)
        falls = [np.diff(law.voltage(numbers, grid)) for numbers in own[:, :TERMS]]
        if not all(np.all(steps < 0) or np.all(steps > 0) for steps in falls):
            problems.append("the output turns back within the range")
        if self.has_population:
            mean, cov = self.array("population_mean"), self.array("population_covariance")
            problems += covariance_problems(mean, cov)
        return tuple(problems)

    @classmethod
    def fit(cls, measured: Measured) -> Self:
        """Fit to transfer curves; see the module."""
        gates = measured.recipe.gates
        if not isinstance(gates, ReadoutGates):
            raise UsageError(f"{measured.results.path} holds no read-out front end")
        current = currents_of(measured)
        mask = chips_held_out(measured)
        levels = np.ones(len(current), dtype=bool)
        if measured.chips == 1:
            levels = ~levels_held_out(len(current))
        lsb = float(measured.arrays["lsb"][~mask].mean())
        arrays, own = _curves(measured, current, mask, levels, lsb)
        fitted = {
            **physical_parameters(current, measured, arrays, own[~mask], levels),
            **stops_of(measured, ~mask),
            "lsb": Parameter("lsb", lsb, "V"),
            "fitted_chips": Parameter("fitted_chips", float(np.count_nonzero(~mask)), "1"),
            **carried_figures(measured, ~mask),
        }
        if np.count_nonzero(~mask) > 1:
            arrays |= population_arrays(own[~mask], "V", _WHAT)
        model = Model(
            arrays=arrays,
            parameters=fitted,
            settings={"bench": measured.recipe.bench.name, _SIGN: "V = V_0 - R_t*I"},
            gates={name: float(value) for name, value in gates},
            domain=_domain(current, measured),
            provenance=provenance_of(measured),
            limits={"current_a": (float(current[0]), float(current[-1]))},
        )
        return cls(model).judged(measured)

    def propose(self, measured: Measured, count: int) -> Proposal:
        """Currents at which further points would help most; see `front_end_refine`."""
        from imccircuit.surrogates.front_end_refine import propose_currents

        return propose_currents(measured, count)

    def seen_again(self, measured: Measured) -> Again:
        """Chips by what is fitted to each alone; a model of one chip holds no chips out."""
        if not self.has_population:
            return super().seen_again(measured)
        return Again.of_chips(seen_chips(self, measured, currents_of(measured)))

    def judge(self, measured: Measured) -> Verdict:
        """Verdict on held-out levels (one chip) or on held-out chips (many)."""
        if not isinstance(measured.recipe.gates, ReadoutGates):
            raise UsageError(f"{measured.results.path} holds no read-out front end")
        current, (low, high) = currents_of(measured), self.limits["current_a"]
        if current[0] < low - 1e-15 or current[-1] > high + 1e-15:
            raise UsageError(
                f"{measured.results.path} has currents of {current[0]:g} to {current[-1]:g} A; "
                f"the model's domain is {low:g} to {high:g} A"
            )
        judged = judge_many if self.has_population else judge_one
        verdict = judged(self, measured, current)
        return replace(
            verdict, left_out=measured.left_out, reference=measured.reference, domain=self.domain
        )


def currents_of(measured: Measured, dim: str = "level") -> Floats:
    """Currents (level,) or (drive,) in A at which curves were measured.

    Raises
    ------
    UsageError : the results hold no whole curve.
    """
    if not np.all(np.isfinite(measured.arrays["lsb"])):
        raise UsageError(
            f"{measured.results.path} holds the transfer at stimulus.currents alone; allowed: "
            "results of a whole curve"
        )
    if dim == "level" and LEVELS in measured.arrays:
        return np.asarray(measured.arrays[LEVELS][0], dtype=np.float64)
    along = measured.recipe.bench.coordinates(measured.parameters)[dim]
    return np.asarray(along.values if isinstance(along, Along) else along, dtype=np.float64)


def chips_held_out(measured: Measured) -> NDArray[np.bool_]:
    """(chip,) True where the fit does not see a chip; none if there are too few."""
    hidden = measured.hidden_chips() if measured.chips > 1 else None
    return np.zeros(measured.chips, dtype=bool) if hidden is None else hidden


def levels_held_out(levels: int) -> NDArray[np.bool_]:
    """(level,) True where the fit of a single chip does not see a level; never at an end."""
    inner = held_out(levels - 2)
    found = np.zeros(levels, dtype=bool)
    if inner is not None:
        found[1:-1] = inner
    return found


def _curves(
    measured: Measured,
    current: Floats,
    mask: NDArray[np.bool_],
    levels: NDArray[np.bool_],
    lsb_v: float,
) -> tuple[dict[str, ModelArray], Floats]:
    """Arrays of the model, and all numbers (chip, 2 · term)."""
    arrays = {"level_current": ModelArray(current, "A", ("level",), "currents of the fit")}
    own = []
    for curve in CURVES:
        voltage = measured.arrays[f"{curve}_voltage"]
        law = TransferLaw.shared_by(current, voltage[~mask], NO_RESIDUAL_LSB * lsb_v)
        numbers = law.fit(current[levels], voltage[:, levels])
        # What the model says about a held-out chip must not come from what judges it.
        shown = calibration_levels(current)
        numbers[mask] = law.fit(current[shown], voltage[mask][:, shown])
        own.append(numbers)
        text = f"offset, swing, bow and asymmetry of the {curve}"
        arrays[f"{curve}_coefficient"] = ModelArray(numbers, "V", ("chip", "term"), text)
        text = f"what the {curve} of all chips has besides"
        arrays[f"{curve}_residual"] = ModelArray(law.common_v, "V", ("level",), text)
    arrays["sample"] = ModelArray(measured.samples, "1", ("chip",), "Monte Carlo sample")
    hidden = mask.astype(np.int8)
    arrays["held_out"] = ModelArray(hidden, "1", ("chip",), "not seen by the fit")
    return arrays, np.hstack(own)


def _domain(current: Floats, measured: Measured) -> dict[str, str]:
    low, high = (format_quantity(float(current[k]), "A") for k in (0, -1))
    varied = ", ".join(measured.recipe.common.variation.quantities) or "nothing"
    return {
        "input current": f"{low} to {high}, at rest",
        "temperature": f"{measured.parameters.conditions.temperature:g} degC",
        "varied from chip to chip": varied,
        "dynamics": "none: settling, latency and noise are carried as numbers",
    }


def _finite(values: ArrayLike) -> Floats:
    found = np.asarray(values, dtype=np.float64)
    if not np.all(np.isfinite(found)):
        raise UsageError("a current is no finite number")
    return found


SURROGATE = FrontEndSurrogate
