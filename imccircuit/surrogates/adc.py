"""Surrogate of an ADC: transition levels of measured chips, and the population they are from.

The fit knows only what a test bench sees: forced levels and conversions. It is blind to the
capacitors and offsets that were drawn and to the law they were drawn from.

Law of a SAR converter: the level of code d is S_d = Σ w_k b_k(d) + o, with one weight w_k for each
bit and an offset o, both in V. That holds for any charge-redistribution converter with linear
capacitors, whatever their values; the transition levels follow through the search tree. Of another
converter (a flash, say) the levels themselves are what varies, and the population is their mean
and covariance; `adc_choice` says when, `adc_level_law` how, `adc_level_verdict` what is judged.

One chip: its levels are taken as measured, and the verdict comes from its whole conversions.
Many chips: the population is the mean and covariance of (w, o). The verdict comes from chips that
the fit did not see: (a) the weights of such a chip are fitted to the few codes that are checked in
closed loop, and predict all its other levels; (b) the spread of its weights and offset agrees with
the population's within a stated factor.

Noise, where the results carry it, is a parameter of the model; see `adc_noise`.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.benches.adc_levels import LevelsParameters
from imccircuit.benches.adc_parameters import AdcGates, AdcParameters
from imccircuit.benches.adc_transfer import checked_codes
from imccircuit.errors import UsageError
from imccircuit.metrics.adc import compute_codes
from imccircuit.surrogates.adc_choice import Choice, choose_law, level_tolerance
from imccircuit.surrogates.adc_level_law import FACTOR, MEAN, SCALE, LevelLaw, fit_levels
from imccircuit.surrogates.adc_level_verdict import judge_levels
from imccircuit.surrogates.adc_levels import (
    fit_weights,
    forced_levels,
    predict_forced,
    predict_levels,
    shared_level,
    weight_parameters,
)
from imccircuit.surrogates.adc_noise import convert_noisy, noise_parameters, noise_text
from imccircuit.surrogates.adc_verdict import judge_many, judge_one, seen_chips
from imccircuit.surrogates.base import (
    Model,
    ModelArray,
    Parameter,
    Surrogate,
    check_count,
    provenance_of,
)
from imccircuit.surrogates.carried import cost_figures
from imccircuit.surrogates.data import Measured
from imccircuit.surrogates.inputs import as_numbers, index_of
from imccircuit.surrogates.seen import Again
from imccircuit.surrogates.verdict import Verdict
from imccircuit.units import format_quantity

BIT_WEIGHTS = ("bit_weight", "level_offset")
"""Arrays of a model whose levels follow from bit weights, as those of all SAR converters do."""

_MOST_REPLAYS = 256
_ELSEWHERE = "not known: the chips were measured elsewhere"


class AdcSurrogate(Surrogate):
    """Levels and conversions of measured chips, and chips drawn from their population.

    Arrays of the model: ``transition_level`` (chip, code) V, ``bit_weight`` (chip, bit) V,
    ``level_offset`` (chip) V, ``held_out`` (chip), ``sample`` (chip), and, where there are many
    chips, ``population_mean`` (parameter) V and ``population_covariance`` (parameter, parameter)
    V², the parameters being the weights, lowest bit first, and the offset. Of one chip there is
    also ``decision_level`` (chip, code) V, the level of each trial code as measured, before it is
    clipped through the search tree. A converter of which the levels vary by themselves has no
    weights, and for its population ``level_mean`` (code) V, ``level_factor`` (factor, code) V and
    ``level_scale`` (code). Parameters ``bit_weight_0`` and so on, ``offset`` and, of many chips,
    ``offset_sigma`` in V, or ``level_sigma`` and ``step_sigma`` in V and ``shrinkage``;
    ``noise_sampled`` and ``noise_decision`` in V are there where the results carry noise,
    ``energy`` in J of a conversion, ``latency`` in s and ``area`` in m² where they were measured.
    """

    kind = "adc"
    required = (
        "transition_level",
        "sample",
        "held_out",
        "replay_chip",
        "replay_input",
        "replay_code",
    )
    required_parameters = ("reference_voltage", "fitted_chips")
    open_inputs = ("voltage_v",)

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        own = (FACTOR, SCALE) if MEAN in model.arrays else BIT_WEIGHTS
        for name in own:
            if name not in model.arrays:
                raise KeyError(f"no array {name}")
        self.level_law = LevelLaw.of(model) if MEAN in model.arrays else None

    @property
    def bits(self) -> int:
        """Resolution."""
        return int(self.array("transition_level").shape[1]).bit_length()

    @property
    def full_scale_v(self) -> float:
        """Reference voltage in V."""
        return self.value("reference_voltage")

    @property
    def lsb_v(self) -> float:
        """Full scale over 2^bits in V."""
        return float(self.full_scale_v / 2**self.bits)

    @property
    def chips(self) -> int:
        """Number of chips whose levels are in the model."""
        return len(self.array("sample"))

    @property
    def has_population(self) -> bool:
        """Whether chips can be drawn."""
        return self.level_law is not None or "population_mean" in self.model.arrays

    @property
    def shared_level_v(self) -> NDArray[np.float64] | None:
        """Curvature (code,) in V that all chips have beyond their weights; None for none."""
        return self.array("shared_level") if "shared_level" in self.model.arrays else None

    def levels_v(self, chip: int = 0) -> NDArray[np.float64]:
        """Transition levels (code,) of a chip in V, T[k] for k = 1 … 2^bits - 1.

        Raises
        ------
        UsageError : there is no such chip.
        """
        chip = index_of("chip", chip, self.chips)
        return np.asarray(self.array("transition_level")[chip])

    def convert(
        self,
        voltage_v: ArrayLike,
        chip: int = 0,
        seed: int | None = None,
        first_index: int = 0,
    ) -> NDArray[np.int64]:
        """Codes of input voltages in V, any shape; with noise where a seed is given.

        Parameters
        ----------
        seed : of the noise, 64 bits. Its draws are keyed by seed, chip and the number of the
            conversion alone, so a batch in parts gives the same codes as in one.
        first_index : number of the first conversion; the others follow in C order.

        Raises
        ------
        UsageError : there is no such chip, or a seed is given and the model knows no noise.
        """
        voltage = as_numbers("voltage_v", voltage_v, finite=False)
        levels = self.levels_v(chip)
        if seed is None:
            codes = compute_codes(levels, voltage.ravel())
        else:
            codes = convert_noisy(self, voltage.ravel(), chip, seed, first_index)
        return codes.reshape(voltage.shape)

    def predict(
        self,
        *,
        voltage_v: ArrayLike,
        chip: int = 0,
        seed: int | None = None,
        first_index: int = 0,
        strict: bool = False,
    ) -> dict[str, NDArray[Any]]:
        """``code`` for ``voltage_v`` (V, any shape) and, where there are many, ``chip``.

        With a ``seed``, and a ``first_index`` if wanted, conversions are noisy; see `convert`.
        ``strict`` refuses inputs outside the domain instead of warning once.
        """
        self.check_domain("voltage_v", voltage_v, strict=strict)
        return {"code": self.convert(voltage_v, chip, seed, first_index)}

    def sample_chips(self, n: int, seed: int) -> dict[str, NDArray[np.float64]]:
        """Draw chips: ``transition_level`` (chip, code) in V, and weights and offset if they have.

        The normal variates of chip k are those of vector k of the counter-based generator of
        `imccircuit.surrogates.kernels.noise`, in the stream crc32("adc_weights").

        Raises
        ------
        UsageError : the model was fitted to one chip, or the seed is not one of 64 bits.
        """
        from imccircuit.surrogates.kernels.noise import draw_normals

        if not self.has_population:
            raise UsageError("the model was fitted to one chip, so it knows no variation")
        check_count(n)
        stream = zlib.crc32(b"adc_weights")
        if self.level_law is not None:
            shape = (n, self.level_law.variates)
            levels = self.level_law.draw(draw_normals(shape, seed=seed, stream=stream))
            return {"transition_level": levels}
        values, vectors = np.linalg.eigh(self.array("population_covariance"))
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        normal = draw_normals((n, len(root)), seed=seed, stream=stream)
        drawn = self.array("population_mean") + normal @ root.T
        return {
            "transition_level": predict_levels(drawn, self.bits, self.shared_level_v),
            "bit_weight": drawn[:, :-1],
            "level_offset": drawn[:, -1],
        }

    def admissibility(self) -> tuple[str, ...]:
        """Levels must be finite and never fall; mean weights positive; the covariance one."""
        problems = []
        levels = self.array("transition_level")
        if not np.all(np.isfinite(levels)):
            problems.append("a transition level is not finite")
        elif np.any(np.diff(levels, axis=1) < 0):
            problems.append("transition levels fall")
        if self.level_law is not None:
            problems += self.level_law.problems()
        elif self.has_population:
            mean, cov = self.array("population_mean"), self.array("population_covariance")
            if not (np.all(np.isfinite(mean)) and np.all(mean[:-1] > 0)):
                problems.append("a mean bit weight is not positive")
            if not np.all(np.isfinite(cov)) or np.linalg.eigvalsh(cov)[0] < -1e-12 * np.trace(cov):
                problems.append("the covariance of the population is not positive")
        return tuple(problems)

    @classmethod
    def fit(cls, measured: Measured) -> Self:
        """Fit to levels of the null method; see the module."""
        gates = measured.recipe.gates
        if not isinstance(gates, AdcGates):
            raise UsageError(f"{measured.results.path} holds no converter")
        forced = forced_levels(measured)
        bits = (forced.shape[1] + 1).bit_length() - 1
        hidden = measured.hidden_chips()
        weights = fit_weights(forced, bits)
        mask = np.zeros(measured.chips, dtype=bool) if hidden is None else hidden
        one = measured.chips == 1
        full_scale = float(measured.arrays["reference_voltage"][0])
        # Where none is held out, a mean over all chips would be judged by what it is the mean of.
        shared = None
        if hidden is not None:
            least = level_tolerance(measured) * full_scale / 2**bits
            shared = shared_level(forced[~mask], weights[~mask], least)
        choice = choose_law(measured, ~mask, weights, shared)
        # What the model says about a held-out chip must not come from what judges it.
        curvature = 0.0 if shared is None else shared
        weights[mask] = fit_weights(forced[mask] - curvature, bits, checked_codes(bits))
        levels = measured.arrays["transition_level"]
        as_measured = one or not choice.by_weights
        if not as_measured:
            levels = predict_levels(weights, bits, shared)
        arrays = {
            "transition_level": ModelArray(levels, "V", ("chip", "code"), "transition level T[k]"),
            **(_weights(weights) if choice.by_weights else {}),
            "sample": ModelArray(measured.samples, "1", ("chip",), "Monte Carlo sample"),
            "held_out": ModelArray(mask.astype(np.int8), "1", ("chip",), "not seen by the fit"),
            **_replay(measured, np.flatnonzero(mask) if mask.any() else np.arange(measured.chips)),
        }
        if choice.by_weights:
            own = weight_parameters(weights[~mask], forced[~mask])
            arrays |= _decisions(weights, shared, forced if one else None)
            arrays |= {} if one else _population(weights[~mask])
        else:
            found = fit_levels(levels[~mask])
            arrays |= found.arrays()
            own = found.parameters()
        noise = noise_parameters(measured, ~mask)
        fitted = {
            "reference_voltage": Parameter("reference_voltage", full_scale, "V"),
            "fitted_chips": Parameter("fitted_chips", float(np.count_nonzero(~mask)), "1"),
            **own,
            **noise,
            **cost_figures(measured, ~mask),
        }
        model = Model(
            arrays=arrays,
            parameters=fitted,
            settings={"levels": "as measured" if as_measured else "from fitted bit weights"},
            gates={name: float(value) for name, value in gates},
            domain=_domain(full_scale, bits, measured, choice, noise_text(noise)),
            provenance=provenance_of(measured),
            limits={"voltage_v": (0.0, full_scale)},
        )
        return cls(model).judged(measured)

    def seen_again(self, measured: Measured) -> Again:
        """Chips by what is fitted to each alone; a model of one chip holds no chips out."""
        if not self.has_population:
            return super().seen_again(measured)
        return Again.of_chips(seen_chips(self, measured))

    def judge(self, measured: Measured) -> Verdict:
        """Verdict from whole conversions (one chip) or from held-out chips (many)."""
        if forced_levels(measured).shape[1] != self.levels_v().size:
            raise UsageError(f"{measured.results.path} has not the {self.bits} bits of the model")
        if self.level_law is not None:
            verdict = judge_levels(self, self.level_law, measured)
        else:
            judged = judge_many if self.has_population else judge_one
            verdict = judged(self, measured)
        return replace(
            verdict,
            left_out=measured.left_out,
            reference=measured.reference,
            domain=self.domain,
        )


def _weights(weights: NDArray[np.float64]) -> dict[str, ModelArray]:
    return {
        "bit_weight": ModelArray(weights[:, :-1], "V", ("chip", "bit"), "level step of a bit"),
        "level_offset": ModelArray(weights[:, -1], "V", ("chip",), "offset of all levels"),
    }


def _decisions(
    weights: NDArray[np.float64],
    shared: NDArray[np.float64] | None,
    measured_v: NDArray[np.float64] | None,
) -> dict[str, ModelArray]:
    """Levels of trial codes as measured, or with what weights alone do not say; {} for neither."""
    found, text = {}, "level of each trial code, before tree clipping"
    if measured_v is not None:
        found["decision_level"] = ModelArray(measured_v, "V", ("chip", "code"), text)
    if shared is not None:
        found["shared_level"] = ModelArray(
            shared, "V", ("code",), "beyond bit weights and offset, the same for all chips"
        )
        levels = predict_forced(weights, weights.shape[1] - 1, shared)
        found["decision_level"] = ModelArray(levels, "V", ("chip", "code"), text)
    return found


def _population(weights: NDArray[np.float64]) -> dict[str, ModelArray]:
    names = ("parameter", "parameter_")
    return {
        "population_mean": ModelArray(
            weights.mean(axis=0), "V", names[:1], "mean of bit weights, LSB first, and offset"
        ),
        "population_covariance": ModelArray(
            np.cov(weights, rowvar=False), "V**2", names, "covariance of weights and offset"
        ),
    }


def _replay(measured: Measured, chips: NDArray[np.int64]) -> dict[str, ModelArray]:
    """Whole conversions of these chips, as SPICE did them."""
    none = np.zeros((measured.chips, 0))
    share = measured.arrays.get("loop_input", none)[chips]
    inputs = share * measured.arrays["reference_voltage"][chips, None]
    codes = measured.arrays.get("loop_code", none)[chips]
    which = np.repeat(chips, inputs.shape[1])
    take = slice(0, _MOST_REPLAYS)
    return {
        "replay_chip": ModelArray(which[take], "1", ("replay",), "chip of a stored conversion"),
        "replay_input": ModelArray(inputs.ravel()[take], "V", ("replay",), "its input"),
        "replay_code": ModelArray(
            codes.ravel()[take].astype(np.int64), "1", ("replay",), "code that SPICE gave"
        ),
    }


def _domain(
    full_scale_v: float, bits: int, measured: Measured, choice: Choice, noise: str
) -> dict[str, str]:
    parameters = measured.parameters
    varied = ", ".join(measured.recipe.common.variation.quantities) or "nothing"
    temperature = f"{parameters.conditions.temperature:g} degC"
    if isinstance(parameters, LevelsParameters):
        varied = _ELSEWHERE
        # A temperature in a recipe of one's own is a statement, the default is none.
        if parameters.conditions.temperature == type(parameters.conditions)().temperature:
            temperature = _ELSEWHERE
    domain = {
        "input": f"0 V to {format_quantity(full_scale_v, 'V')}, at rest during sampling",
        "resolution": f"{bits} bit",
        "temperature": temperature,
    }
    if isinstance(parameters, AdcParameters):
        domain["cycle time"] = format_quantity(parameters.circuit.cycle_time, "s")
    if choice.text:
        domain["law"] = choice.text
    return {**domain, "varied from chip to chip": varied, "noise": noise}


SURROGATE = AdcSurrogate
