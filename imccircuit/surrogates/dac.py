"""Surrogate of a digital-to-analog converter: levels of measured chips, and their population.

The fit knows levels and codes; it is blind to the drawn resistors, capacitors and thresholds, and
to the laws they were drawn from. What a chip's numbers are stands in
`imccircuit.surrogates.dac_law`.

One chip: a fifth of the inner codes are held out. Many chips: whole chips are held out; such a chip
shows its numbers at a few codes and is judged at the others, and the spread of its numbers (of a
string: of its steps) is compared with the population's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.benches.dac_parameters import DacGates, DacParameters
from imccircuit.devices.draws import Draws
from imccircuit.errors import UsageError
from imccircuit.surrogates.base import (
    Model,
    ModelArray,
    Parameter,
    Surrogate,
    check_count,
    provenance_of,
)
from imccircuit.surrogates.carried import carried_figures
from imccircuit.surrogates.dac_law import DESIGNS, DacLaw, bridge, step_variance
from imccircuit.surrogates.dac_verdict import judge_many, judge_one, seen_chips
from imccircuit.surrogates.data import Measured, held_out
from imccircuit.surrogates.inputs import index_of
from imccircuit.surrogates.population import (
    covariance_problems,
    draw_population,
    population_arrays,
)
from imccircuit.surrogates.seen import Again
from imccircuit.surrogates.verdict import Verdict

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# A common residual below this, in LSB, is the solver's noise.
_NO_RESIDUAL_LSB = 1e-4


class DacSurrogate(Surrogate):
    """Levels of measured converters, and converters drawn from their population.

    Arrays of the model, in V or, of pulse widths, in s: ``number`` (chip, number), ``common``
    (code), ``sample`` and ``held_out`` (chip), and, where there are many chips and it is no string,
    ``population_mean`` (parameter) and ``population_covariance`` (parameter, parameter). A string's
    population is ``common`` and the parameter ``step_sigma``.
    """

    kind = "dac"
    required = ("number", "common", "sample", "held_out")
    required_parameters = ("lsb", "fitted_chips")

    @property
    def law(self) -> DacLaw:
        """What the numbers mean.

        Raises
        ------
        UsageError : the model is of a converter that nobody knows.
        """
        kind = self.model.settings["converter"]
        if kind not in DESIGNS:
            raise UsageError(f"no converter of kind {kind!r}; there are: {', '.join(DESIGNS)}")
        return DacLaw(DESIGNS[kind], self.bits, self.array("common"))

    @property
    def bits(self) -> int:
        """Resolution."""
        return int(len(self.array("common")) - 1).bit_length()

    @property
    def unit(self) -> str:
        """Unit of the levels, ``V`` or ``s``."""
        return self.model.arrays["number"].units

    @property
    def lsb(self) -> float:
        """Mean step in `unit`."""
        return self.value("lsb")

    @property
    def chips(self) -> int:
        """Number of chips whose levels are in the model."""
        return len(self.array("sample"))

    @property
    def has_population(self) -> bool:
        """Whether chips can be drawn."""
        return self.value("fitted_chips") > 1

    def levels(self, chip: int = 0) -> Floats:
        """Levels (code,) of a chip in `unit`.

        Raises
        ------
        UsageError : there is no such chip.
        """
        chip = index_of("chip", chip, self.chips)
        return np.asarray(self.law.levels(self.array("number")[chip : chip + 1])[0])

    def predict(
        self,
        *,
        code: ArrayLike,
        chip: int = 0,
        output_level: ArrayLike | None = None,
        strict: bool = False,  # noqa: ARG002 - see below
    ) -> dict[str, Floats]:
        """Levels of codes.

        Parameters
        ----------
        code : whole numbers, any shape. There is no level beyond the last code, so such codes are
            refused whether or not ``strict`` is set.
        chip : chip of the model, 0 by default.
        output_level : (code,) levels in `unit` of another chip, such as a row of `sample_chips`.

        Returns
        -------
        ``output_level_v`` in V, or ``output_level_s`` in s, in the shape of the codes.

        Raises
        ------
        UsageError : there is no such chip or code.
        """
        levels = self.levels(chip) if output_level is None else np.asarray(output_level)
        asked, last = np.asarray(code), 2**self.bits - 1
        if levels.shape != (last + 1,):
            raise UsageError(f"output_level must have shape ({last + 1},)")
        whole = asked.astype(np.int64) if asked.dtype.kind in "iu" else None
        if whole is None or np.any(whole < 0) or np.any(whole > last):
            raise UsageError(f"a code is none of this converter's; allowed: whole, 0 to {last}")
        return {f"output_level_{self.unit.lower()}": np.asarray(levels[whole], dtype=np.float64)}

    def sample_chips(self, n: int, seed: int) -> dict[str, Floats]:
        """Draw chips: ``output_level`` (chip, code) in `unit`.

        Raises
        ------
        UsageError : the model was fitted to one chip, or ``n`` is below 1.
        """
        if not self.has_population:
            raise UsageError("the model was fitted to one chip, so it knows no variation")
        check_count(n)
        if self.law.design == "steps":
            sigma, count = self.value("step_sigma"), 2**self.bits
            drawn = [
                bridge(Draws(seed, k).generator("dac").standard_normal(count), sigma)
                for k in range(n)
            ]
            return {"output_level": self.array("common") + np.stack(drawn)}
        mean, cov = self.array("population_mean"), self.array("population_covariance")
        return {"output_level": self.law.levels(draw_population(mean, cov, n, seed, "dac"))}

    def admissibility(self) -> tuple[str, ...]:
        """Levels finite and rising on the whole, weights or clock positive, spread a spread."""
        numbers = self.array("number")
        if not (np.all(np.isfinite(numbers)) and np.all(np.isfinite(self.array("common")))):
            return ("a fitted number is not finite",)
        problems = []
        levels, design = self.law.levels(numbers), self.law.design
        if np.any(levels[:, -1] <= levels[:, 0]):
            problems.append("the level of the last code is not above that of the first")
        rising = {"weights": numbers[:, :-1], "pulse": numbers[:, 1:], "steps": np.ones((1, 1))}
        if np.any(rising[design] <= 0):
            problems.append("a bit weight or the clock is not positive")
        if not self.has_population:
            return tuple(problems)
        if design == "steps":
            sigma = self.value("step_sigma")
            return (*problems, *(() if sigma >= 0 else (f"step_sigma is {sigma!r}",)))
        mean, cov = self.array("population_mean"), self.array("population_covariance")
        return (*problems, *covariance_problems(mean, cov))

    @classmethod
    def fit(cls, measured: Measured) -> Self:
        """Fit to the levels of all codes; see the module."""
        parameters, gates = measured.parameters, measured.recipe.gates
        if not isinstance(parameters, DacParameters) or not isinstance(gates, DacGates):
            raise UsageError(f"{measured.results.path} holds no digital-to-analog converter")
        levels, mask = measured.arrays["output_level"], chips_held_out(measured)
        unit = "s" if parameters.circuit.kind == "pulse_width" else "V"
        lsb = float(measured.arrays["lsb"][~mask].mean())
        law = _law(parameters, levels[~mask], lsb)
        numbers = law.fit(levels, law.codes)
        if measured.chips == 1:
            numbers = law.fit(levels, np.flatnonzero(~codes_held_out(law)))
        elif law.design == "pulse":
            numbers = law.fit(levels, law.codes[1:])
        if mask.any():
            # What the model says about a held-out chip must not come from what judges it.
            numbers[mask] = law.fit(levels[mask], law.shown())
        arrays = {
            "number": ModelArray(numbers, unit, ("chip", "number"), _numbers_text(law)),
            "common": ModelArray(law.common, unit, ("code",), "what all chips have besides"),
            "sample": ModelArray(measured.samples, "1", ("chip",), "Monte Carlo sample"),
            "held_out": ModelArray(mask.astype(np.int8), "1", ("chip",), "not seen by the fit"),
        }
        if np.count_nonzero(~mask) > 1 and law.design != "steps":
            arrays |= population_arrays(numbers[~mask], unit, _numbers_text(law))
        model = Model(
            arrays=arrays,
            parameters={
                **_parameters(law, levels[~mask], numbers[~mask], unit, lsb),
                **carried_figures(measured, ~mask),
            },
            settings={"design": law.design, "converter": parameters.circuit.kind},
            gates={name: float(value) for name, value in gates},
            domain=_domain(parameters, measured),
            provenance=provenance_of(measured),
        )
        return cls(model).judged(measured)

    def seen_again(self, measured: Measured) -> Again:
        """Chips by what is fitted to each alone; a model of one chip holds no chips out."""
        if not self.has_population:
            return super().seen_again(measured)
        return Again.of_chips(seen_chips(self, measured))

    def judge(self, measured: Measured) -> Verdict:
        """Verdict on held-out codes (one chip) or on held-out chips (many)."""
        levels = measured.arrays.get("output_level", np.zeros((1, 0)))
        if levels.shape[1] != 2**self.bits:
            raise UsageError(f"{measured.results.path} has not the {self.bits} bits of the model")
        kind = getattr(getattr(measured.parameters, "circuit", None), "kind", "")
        if kind != self.model.settings["converter"]:
            raise UsageError(
                f"{measured.results.path} is of a converter of kind {kind!r}, the model of kind "
                f"{self.model.settings['converter']!r}"
            )
        judged = judge_many if self.has_population else judge_one
        verdict = judged(self, measured)
        return replace(
            verdict, left_out=measured.left_out, reference=measured.reference, domain=self.domain
        )


def chips_held_out(measured: Measured) -> Bools:
    """(chip,) True where the fit does not see a chip; none if there are too few."""
    hidden = measured.hidden_chips() if measured.chips > 1 else None
    return np.zeros(measured.chips, dtype=bool) if hidden is None else hidden


def codes_held_out(law: DacLaw) -> Bools:
    """(code,) True where the fit of a single chip does not see a code; never one that is needed."""
    found = np.zeros(2**law.bits, dtype=bool)
    free = np.setdiff1d(law.codes, np.append(law.shown(), 0))
    hidden = held_out(len(free))
    if hidden is not None:
        found[free] = hidden
    return found


def _law(parameters: DacParameters, levels: Floats, lsb: float) -> DacLaw:
    design, bits = DESIGNS[parameters.circuit.kind], parameters.circuit.bits
    law = DacLaw(design, bits, np.zeros(2**bits))
    if len(levels) == 1:
        return law
    common = law.residual(levels)
    return DacLaw(design, bits, common) if np.abs(common).max() > _NO_RESIDUAL_LSB * lsb else law


def _numbers_text(law: DacLaw) -> str:
    return {
        "weights": "bit weights, LSB first, and offset",
        "pulse": "offset and clock of the pulses",
        "steps": "deviation of the levels",
    }[law.design]


def _parameters(
    law: DacLaw, levels: Floats, numbers: Floats, unit: str, lsb: float
) -> dict[str, Parameter]:
    chips = len(levels)
    found = {
        "lsb": Parameter("lsb", lsb, unit),
        "fitted_chips": Parameter("fitted_chips", float(chips), "1"),
    }
    if law.design == "steps":
        if chips > 1:
            variance, freedom = step_variance(levels)
            sigma = float(np.sqrt(variance))
            note = "of one step about its mean, from chip to chip"
            found["step_sigma"] = Parameter(
                "step_sigma", sigma, unit, sigma / float(np.sqrt(2 * freedom)), note
            )
        return found
    names = ["offset", "clock_time"]
    if law.design == "weights":
        names = [*(f"bit_weight_{k}" for k in range(law.bits)), "offset"]
    error = numbers.std(axis=0, ddof=1) / np.sqrt(chips) if chips > 1 else np.zeros(len(names))
    for name, value, sigma in zip(names, numbers.mean(axis=0), error, strict=True):
        found[name] = Parameter(name, float(value), unit, float(sigma))
    return found


def _domain(parameters: DacParameters, measured: Measured) -> dict[str, str]:
    varied = ", ".join(measured.recipe.common.variation.quantities) or "nothing"
    return {
        "code": f"0 to {2**parameters.circuit.bits - 1}",
        "converter": f"{parameters.circuit.kind}, {parameters.circuit.switches} switches",
        "temperature": f"{parameters.conditions.temperature:g} degC",
        "varied from chip to chip": varied,
        "dynamics": "none: latency is carried as a number",
        "noise": "none",
    }


SURROGATE = DacSurrogate
