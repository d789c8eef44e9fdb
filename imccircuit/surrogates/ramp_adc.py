"""Surrogate of a ramp converter: columns that share one ramp, each with an offset of its own.

Fitted to transition levels alone, blind to drawn offsets and transistors; see
`imccircuit.surrogates.ramp_law` for the law and `imccircuit.surrogates.ramp_common_mode` for what
comparators of transistors add to it. One chip: codes are held out of the fit, and every
column's whole conversions, which the fit never sees, judge it too. Many chips: the levels of a
held-out chip follow from a few of its codes, and the spread of its ramp and of its columns must
agree with the population's.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.benches.ramp_parameters import RampGates, RampParameters
from imccircuit.errors import UsageError
from imccircuit.metrics.adc import compute_codes
from imccircuit.surrogates.base import (
    Model,
    ModelArray,
    Parameter,
    Surrogate,
    check_count,
    provenance_of,
)
from imccircuit.surrogates.carried import carried_figures
from imccircuit.surrogates.data import Measured, held_out
from imccircuit.surrogates.inputs import as_numbers, index_of
from imccircuit.surrogates.ramp_common_mode import Bend, CommonMode, fit_common_mode
from imccircuit.surrogates.ramp_law import RAMP_TERMS, column_levels, fit_ramps
from imccircuit.surrogates.ramp_noise import draw_ramp_noise, noise_text
from imccircuit.surrogates.ramp_verdict import few_codes, judge_ramp, seen_codes
from imccircuit.surrogates.seen import Again, items_of, seen_again, seen_array
from imccircuit.surrogates.verdict import Verdict
from imccircuit.units import format_quantity

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

_UNITS = ("V", "V", "1", "V")
_MOST_REPLAYS = 256
BENDS = ("start", "end")


class RampAdcSurrogate(Surrogate):
    """Levels and conversions of columns of measured chips, and of drawn ones.

    Arrays of the model: ``ramp`` (chip, term): offset and span in V, curvature, residual in V;
    ``column`` (chip, column, part) V: offset, and what is added along the ramp; ``sample``,
    ``held_out`` (chip); with more than one chip ``population_mean`` (term),
    ``population_covariance`` (term, term) of ramps and ``column_covariance`` (part, part) V²;
    ``ramp_noise`` (code) V, common to all columns; ``replay_…``, conversions of columns for
    exports, which older files do not have.
    """

    kind = "ramp_adc"
    required = ("ramp", "column", "sample", "held_out")
    required_parameters = ("reference_voltage", "bits", "chips")
    open_inputs = ("voltage_v",)

    @property
    def bits(self) -> int:
        """Resolution."""
        return int(self.value("bits"))

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
        """Number of chips whose ramps are in the model."""
        return len(self.array("sample"))

    @property
    def columns(self) -> int:
        """Number of columns on one ramp."""
        return int(self.array("column").shape[1])

    @property
    def bends(self) -> CommonMode:
        """Bends of the comparators' offset near the ends of the range."""
        known = self.model.parameters
        return CommonMode(self.full_scale_v, **{
            end: Bend(known[f"{end}_offset"].value, known[f"{end}_length"].value)
            for end in BENDS if f"{end}_offset" in known
        })  # fmt: skip

    @property
    def has_population(self) -> bool:
        """Whether chips can be drawn."""
        return "population_mean" in self.model.arrays

    def levels_v(self, chip: int = 0, column: int = 0) -> Floats:
        """Transition levels (code,) of a column in V, T[k] for k = 1 … 2^bits - 1.

        Raises
        ------
        UsageError : there is no such chip or column.
        """
        chip = index_of("chip", chip, self.chips)
        column = index_of("column", column, self.columns)
        one = slice(chip, chip + 1)
        own = self.array("column")[one, column : column + 1]
        return np.asarray(column_levels(self.array("ramp")[one], own, self.bits, self.bends)[0, 0])

    def convert(
        self,
        voltage_v: ArrayLike,
        chip: int = 0,
        column: int = 0,
        seed: int | None = None,
        first_index: int = 0,
    ) -> Codes:
        """Codes of input voltages in V, any shape; with noise where a seed is given.

        Parameters
        ----------
        seed : of the noise, 64 bits; see `imccircuit.surrogates.ramp_noise`. Its draws are keyed
            by seed, chip, number of the conversion and column alone, so a batch in parts gives
            the same codes as in one.
        first_index : number of the first conversion; the others follow in C order.

        Raises
        ------
        UsageError : there is no such chip or column, or a seed is given and the model knows no
            noise.
        """
        voltage = as_numbers("voltage_v", voltage_v, finite=False)
        levels, flat = self.levels_v(chip, column), voltage.ravel()
        if seed is not None:
            flat = flat + draw_ramp_noise(self, flat, chip, column, seed, first_index)
        return compute_codes(levels, flat).reshape(voltage.shape)

    def predict(
        self,
        *,
        voltage_v: ArrayLike,
        chip: int = 0,
        column: int = 0,
        seed: int | None = None,
        first_index: int = 0,
        strict: bool = False,
    ) -> dict[str, NDArray[Any]]:
        """``code`` for ``voltage_v`` (V, any shape), by ``chip`` and ``column``, 0 by default.

        With a ``seed``, and a ``first_index`` if wanted, conversions are noisy; see `convert`.
        Outside 0 V to full scale it warns once; with ``strict=True`` such voltages are refused.
        """
        self.check_domain("voltage_v", voltage_v, strict=strict)
        return {"code": self.convert(voltage_v, chip, column, seed, first_index)}

    def sample_chips(self, n: int, seed: int) -> dict[str, Floats]:
        """Draw chips: their levels in V, ``ramp`` and ``column``.

        ``transition_level`` (chip, code) is that of column 0, ``column_level`` (chip, column,
        code) that of all; ``ramp`` and ``column`` are as in the model. The normal variates of chip
        k are those of vector k of the counter-based generator of
        `imccircuit.surrogates.kernels.noise`, in the stream crc32("ramp_adc").

        Raises
        ------
        UsageError : one chip was fitted, or the seed is not one of 64 bits.
        """
        ramp, column = self.draw_ramps(n, seed)
        levels = column_levels(ramp, column, self.bits, self.bends)
        return {
            "transition_level": levels[:, 0],
            "column_level": levels,
            "ramp": ramp,
            "column": column,
        }

    def draw_ramps(self, n: int, seed: int) -> tuple[Floats, Floats]:
        """``ramp`` and ``column`` of `sample_chips`, without the levels, which are many.

        Raises
        ------
        UsageError : one chip was fitted, or the seed is not one of 64 bits.
        """
        from imccircuit.surrogates.kernels.noise import draw_normals

        if not self.has_population:
            raise UsageError("the model was fitted to one chip, so it knows no variation")
        check_count(n)
        of_ramps = _root(self.array("population_covariance"))
        of_columns = _root(self.array("column_covariance"))
        split = len(of_ramps)
        count = split + 2 * self.columns
        normal = draw_normals((n, count), seed=seed, stream=zlib.crc32(b"ramp_adc"))
        ramp = self.array("population_mean") + normal[:, :split] @ of_ramps.T
        own = normal[:, split:].reshape(n, self.columns, 2) @ of_columns.T
        # What columns have in common is in the ramp already; see `_population`.
        column = own - own.mean(axis=1, keepdims=True)
        return ramp, column

    def admissibility(self) -> tuple[str, ...]:
        """Ramps must be finite and rise."""
        ramp, column = self.array("ramp"), self.array("column")
        if not (np.all(np.isfinite(ramp)) and np.all(np.isfinite(column))):
            return ("a ramp or a column is not finite",)
        if self.bends.is_steep:
            return ("the comparators' offset falls faster than the ramp rises",)
        return ("a ramp does not rise",) if np.any(ramp[:, 1] <= 0) else ()

    @classmethod
    def fit(cls, measured: Measured) -> Self:
        """Fit to transition levels; see the module."""
        gates, parameters = measured.recipe.gates, measured.parameters
        if not isinstance(parameters, RampParameters) or not isinstance(gates, RampGates):
            raise UsageError(f"{measured.results.path} holds no ramp converter")
        levels = measured.arrays["column_level"]
        codes = seen_codes(levels.shape[2])
        if len(codes) < 8:
            raise UsageError(f"{measured.results.path} has too few codes to fit a ramp to")
        hidden = held_out(measured.chips)
        mask = np.zeros(measured.chips, dtype=bool) if hidden is None else hidden
        full_scale = float(measured.arrays["reference_voltage"][0])
        bends = fit_common_mode(levels[~mask], codes, full_scale)
        ramp, column, errors = fit_ramps(levels, codes, bends)
        # What the model says about a held-out chip must not come from what judges it.
        if mask.any():
            few = few_codes(levels.shape[2])
            ramp[mask], column[mask], _ = fit_ramps(levels[mask], few, bends)
        arrays = {
            "ramp": ModelArray(ramp, "SI", ("chip", "term"), ", ".join(RAMP_TERMS)),
            "column": ModelArray(column, "V", ("chip", "column", "part"), "offset, along the ramp"),
            "sample": ModelArray(measured.samples, "1", ("chip",), "Monte Carlo sample"),
            "held_out": ModelArray(mask.astype(np.int8), "1", ("chip",), "not seen by the fit"),
            "ramp_noise": ModelArray(
                measured.arrays["ramp_noise"].mean(axis=0), "V", ("code",), "noise of the ramp"
            ),
        }
        seen = np.isin(np.arange(1, levels.shape[2] + 1), codes)
        arrays |= seen_array(items_of_levels(measured), ~mask, seen)
        arrays |= _replay(measured, np.flatnonzero(mask) if mask.any() else np.arange(len(mask)))
        if measured.chips > 1:
            arrays |= _population(ramp[~mask], column[~mask])
        figures = carried_figures(measured, ~mask)
        model = Model(
            arrays=arrays,
            parameters=_parameters(full_scale, ramp[~mask], column[~mask], errors[~mask])
            | _bends(bends)
            | {"bits": Parameter("bits", float(parameters.circuit.bits), "1")}
            | figures,
            settings={"ramp": parameters.circuit.ramp},
            gates={name: float(value) for name, value in gates},
            domain={
                **_domain(full_scale, parameters, measured),
                "noise": noise_text(figures.get("noise")),
            },
            provenance=provenance_of(measured),
            limits={"voltage_v": (0.0, full_scale)},
        )
        return cls(model).judged(measured)

    def seen_again(self, measured: Measured) -> Again:
        """Chips by the levels of their columns."""
        return seen_again(self.model, items_of_levels(measured), "codes")

    def judge(self, measured: Measured) -> Verdict:
        """Verdict on codes, chips and conversions that the fit did not see."""
        if measured.arrays["column_level"].shape[1:] != (self.columns, 2**self.bits - 1):
            raise UsageError(f"{measured.results.path} has not the columns and bits of the model")
        return replace(
            judge_ramp(self, measured),
            left_out=measured.left_out,
            reference=measured.reference,
            domain=self.domain,
        )


def items_of_levels(measured: Measured) -> Floats:
    """Items (chip, code, 3) by which chips are known again; see `seen`: a code is the input."""
    levels = np.moveaxis(measured.arrays["column_level"], 1, 2)
    codes = np.broadcast_to(np.arange(1.0, levels.shape[1] + 1), levels.shape[:2])
    return items_of(np.zeros((measured.chips, 1)), codes, levels)


def _replay(measured: Measured, chips: Codes) -> dict[str, ModelArray]:
    """Whole conversions of these chips' columns, as SPICE did them, at most 256; {} without any."""
    if measured.arrays.get("loop_input", np.zeros(0)).size == 0:
        return {}
    inputs = measured.arrays["loop_input"] * measured.arrays["reference_voltage"][:, None]
    codes = measured.arrays["column_code"]
    columns, loops = codes.shape[1:]
    every = len(chips) * columns * loops
    taken = np.arange(0, every, -(-every // _MOST_REPLAYS))
    place, column, loop = np.unravel_index(taken, (len(chips), columns, loops))
    chip, dims = chips[place], ("replay",)
    return {
        "replay_chip": ModelArray(chip, "1", dims, "chip of a stored conversion"),
        "replay_column": ModelArray(column, "1", dims, "its column"),
        "replay_input": ModelArray(inputs[chip, loop], "V", dims, "its input"),
        "replay_code": ModelArray(
            codes[chip, column, loop].astype(np.int64), "1", dims, "code that SPICE gave"
        ),
    }


def _root(covariance: Floats) -> Floats:
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def _population(ramp: Floats, column: Floats) -> dict[str, ModelArray]:
    count = column.shape[1]
    # A column's deviation from the mean of its chip's has 1 - 1/n of its variance, and the mean of
    # the columns, 1/n of it, is already in the ramps' offsets and spans.
    if count > 1:
        own = np.einsum("cja,cjb->ab", column, column) / (len(column) * (count - 1))
    else:
        own = np.zeros((2, 2))
    return {
        "population_mean": ModelArray(ramp.mean(axis=0), "SI", ("term",), "mean of ramps"),
        "population_covariance": ModelArray(
            np.cov(ramp, rowvar=False), "SI", ("term", "term_"), "covariance of ramps"
        ),
        "column_covariance": ModelArray(
            own, "V**2", ("part", "part_"), "covariance of columns on a ramp"
        ),
    }


def _parameters(
    full_scale_v: float, ramp: Floats, column: Floats, errors: Floats
) -> dict[str, Parameter]:
    found = [
        Parameter("reference_voltage", full_scale_v, "V"),
        Parameter("chips", float(len(ramp)), "1"),
    ]
    for place, (name, unit) in enumerate(zip(RAMP_TERMS, _UNITS, strict=True)):
        error = float(np.sqrt(np.mean(errors[:, place] ** 2) / len(ramp)))
        note = (
            "" if abs(ramp[:, place].mean()) > 2 * error else "these levels do not tell it from 0"
        )
        found.append(Parameter(f"ramp_{name}", float(ramp[:, place].mean()), unit, error, note))
        if len(ramp) > 1:
            spread = float(np.std(ramp[:, place], ddof=1))
            known = float(spread / np.sqrt(2 * (len(ramp) - 1)))
            found.append(Parameter(f"sigma_{name}", spread, unit, known))
    free = len(ramp) * (column.shape[1] - 1)
    if free:
        spread = float(np.sqrt(np.sum(column[..., 0] ** 2) / free))
        found.append(
            Parameter("column_offset_sigma", spread, "V", float(spread / np.sqrt(2 * free)))
        )
    return {p.name: p for p in found}


def _bends(bends: CommonMode) -> dict[str, Parameter]:
    """Parameters ``start_offset``, ``start_length``, ``end_…`` of the bends that there are."""
    found: list[Parameter] = []
    for name in BENDS:
        bend: Bend | None = getattr(bends, name)
        if bend is not None:
            found += [
                Parameter(f"{name}_offset", bend.offset_v, "V", bend.offset_error_v),
                Parameter(f"{name}_length", bend.length_v, "V", bend.length_error_v),
            ]
    return {p.name: p for p in found}


def _domain(full_scale_v: float, parameters: RampParameters, measured: Measured) -> dict[str, str]:
    varied = ", ".join(measured.recipe.common.variation.quantities) or "nothing"
    circuit = parameters.circuit
    return {
        "input": f"0 V to {format_quantity(full_scale_v, 'V')}, at rest",
        "resolution": f"{circuit.bits} bit, {circuit.columns} columns on one ramp",
        "ramp": circuit.ramp,
        "clock period": format_quantity(circuit.clock_period, "s"),
        "temperature": f"{parameters.conditions.temperature:g} degC",
        "varied from chip to chip": varied,
    }


SURROGATE = RampAdcSurrogate
