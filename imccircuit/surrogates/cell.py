"""Surrogate of memory cells: a fitted law of the current, and a population of cells.

The fit knows currents, the voltages at which they were measured and which quantities the recipe
varies. It is blind to drawn conductances and mismatch and to the laws they were drawn from.

All cells share the law's physical numbers and the coefficients of its residual
(`imccircuit.surrogates.cell_law`); each cell has a conductance of its own and, with a transistor
that varies, a threshold shift and a factor on its current. What a fit calls a cell's conductance
is what its currents show: where the transistor's own resistance cannot be told from the
element's, part of one is counted as the other, and only their sum is measured.

One chip: a fifth of the points are held out. Many chips: whole chips are held out; such a cell
shows its own numbers at a third of the points and is judged at the others, and the mean and spread
of these numbers, level by level, and what cells of a chip have in common are compared with the
fitted population (`imccircuit.surrogates.cell_comparison`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.benches.cell_iv_parameters import CellGates
from imccircuit.devices.draws import Draws
from imccircuit.errors import UsageError
from imccircuit.surrogates.base import (
    Surrogate,
    check_count,
)
from imccircuit.surrogates.cell_conditions import check_conditions
from imccircuit.surrogates.cell_correlation import Shares
from imccircuit.surrogates.cell_data import (
    calibration_of,
    data_of,
    fit_law,
    fit_own,
    known_conductance,
)
from imccircuit.surrogates.cell_law import CellLaw
from imccircuit.surrogates.cell_model import (
    LOG,
    OWN_ARRAYS,
    SHARES,
    build_model,
    own_numbers,
)
from imccircuit.surrogates.cell_population import CellSpread
from imccircuit.surrogates.cell_refine import propose_word_lines
from imccircuit.surrogates.cell_verdict import hidden_points, judge_many, judge_one, seen_chips
from imccircuit.surrogates.data import Measured, held_out
from imccircuit.surrogates.domain import range_text
from imccircuit.surrogates.refine import Proposal
from imccircuit.surrogates.seen import Again
from imccircuit.surrogates.verdict import Verdict

Floats = NDArray[np.float64]

_GRID = 25


class CellSurrogate(Surrogate):
    """Currents of measured cells, and cells drawn from their population.

    Arrays of the model: ``cell_conductance`` (chip, level, cell) S and, with a transistor,
    ``threshold_shift`` V and ``current_factor``; ``programmed_conductance`` (level) S;
    ``residual_coefficient``; ``bit_line_voltage`` and ``word_line_voltage`` V of the measurement;
    ``held_out`` and ``sample`` (chip); ``reference_current`` (chip, level, cell) A at the last
    point; where there are many chips ``<quantity>_mean``, ``_sd`` (level) and ``_quantile``
    (level, share).
    """

    kind = "cell"
    required = (
        "cell_conductance",
        "programmed_conductance",
        "residual_coefficient",
        "bit_line_voltage",
        "sample",
        "held_out",
        "reference_current",
    )
    required_parameters = ("curvature", "temperature", "fitted_chips")

    @property
    def gated(self) -> bool:
        """Whether cells have a transistor."""
        return "word_line_voltage" in self.model.arrays

    @property
    def law(self) -> CellLaw:
        """What the fitted numbers mean."""
        word = self.array("word_line_voltage") if self.gated else None
        return CellLaw.of(self.array("bit_line_voltage"), word, self.value("temperature"))

    @property
    def shared(self) -> Floats:
        """Numbers that all cells share: physical ones, then coefficients."""
        physical = [
            np.log(self.value(name.removeprefix(LOG))) if name.startswith(LOG) else self.value(name)
            for name in self.law.physical
        ]
        return np.concatenate([physical, self.array("residual_coefficient")])

    @property
    def own(self) -> Floats:
        """Own numbers (chip, level, cell, own) of the measured cells."""
        return own_numbers(
            self.array("cell_conductance"),
            self.array("threshold_shift") if self.gated else None,
            self.array("current_factor") if self.gated else None,
        )

    @property
    def known_conductance(self) -> Floats | None:
        """Logarithm (level,) of the conductance where it does not vary; None where it does."""
        if "conductance" in self.model.settings["varied"].split(","):
            return None
        return np.asarray(np.log(self.array("cell_conductance")).mean(axis=(0, 2)))

    @property
    def has_population(self) -> bool:
        """Whether cells can be drawn."""
        return "cell_conductance_mean" in self.model.arrays

    def spread(self, quantity: str) -> CellSpread:
        """Spread of one of ``cell_conductance``, ``threshold_shift``, ``current_factor``."""
        return CellSpread(
            tuple(self.model.settings[f"{quantity}_law"].split(",")),
            self.array(f"{quantity}_mean"),
            self.array(f"{quantity}_sd"),
            self.array(f"{quantity}_quantile"),
            Shares(**{part: self.value(f"{quantity}_{part}_share") for part in SHARES}),
        )

    @property
    def spread_quantities(self) -> tuple[str, ...]:
        """Names of the quantities that vary over the population."""
        names = [name for name, _, _ in OWN_ARRAYS if f"{name}_mean" in self.model.arrays]
        return tuple(name for name in names if self.spread(name).varies)

    @property
    def limits(self) -> Mapping[str, tuple[float, float]]:
        """Voltages between which the cells were measured, of files of older versions too."""
        axes = {"bit_line_v": np.append(self.array("bit_line_voltage"), 0.0)}
        if self.gated:
            axes["word_line_v"] = self.array("word_line_voltage")
        return {name: (float(axis.min()), float(axis.max())) for name, axis in axes.items()}

    def current_a(
        self,
        bit_line_v: ArrayLike,
        word_line_v: ArrayLike = 0.0,
        *,
        conductance_s: ArrayLike,
        threshold_shift_v: ArrayLike = 0.0,
        current_factor: ArrayLike = 1.0,
        strict: bool = False,
    ) -> Floats:
        """Give the current in A of any cells; all arguments but ``strict`` broadcast.

        Voltages outside those of the measurement give one warning: the law is extrapolated.

        Raises
        ------
        UsageError : with ``strict`` such voltages, and in any case those for which there is no law:
            see `check_voltages`.
        """
        bit = np.asarray(bit_line_v, dtype=np.float64)
        word = np.asarray(word_line_v, dtype=np.float64)
        self.check_voltages(bit, word, strict=strict)
        g, shift, factor = np.broadcast_arrays(conductance_s, threshold_shift_v, current_factor)
        own = own_numbers(np.asarray(g), np.asarray(shift), np.asarray(factor))
        return self.law.current(self.shared, own, bit, word)

    def check_voltages(self, bit_v: Floats, word_v: Floats, *, strict: bool = True) -> None:
        """Refuse voltages in V outside those of the measurement, or warn of them once.

        Raises
        ------
        UsageError : with ``strict`` there are such; in any case a voltage is no finite number, or
            turns a cell with a transistor round, whose law has the source at 0 V, where that was
            not measured.
        """
        if not (np.all(np.isfinite(bit_v)) and np.all(np.isfinite(word_v))):
            raise UsageError("a voltage of a cell is no finite number")
        low, high = self.limits["bit_line_v"]
        turned = low >= 0 and np.any(bit_v < -1e-12), high <= 0 and np.any(bit_v > 1e-12)
        if self.gated and any(turned):
            raise UsageError(
                f"bit_line_v of {range_text(np.min(bit_v), np.max(bit_v))} turns the transistor "
                f"round, for which there is no law; allowed: {range_text(low, high)}"
            )
        self.check_domain("bit_line_v", bit_v, strict=strict)
        if self.gated:
            self.check_domain("word_line_v", word_v, strict=strict)

    def predict(
        self,
        *,
        bit_line_v: ArrayLike,
        word_line_v: ArrayLike | None = None,
        chip: int = 0,
        level: int = 0,
        cell: int = 0,
        strict: bool = False,
    ) -> dict[str, NDArray[Any]]:
        """``current`` (A) of a measured cell.

        Parameters
        ----------
        bit_line_v, word_line_v : voltages in V, which broadcast; the word line's belongs to cells
            with a transistor and to no others.
        chip, level, cell : which cell, 0 by default.
        strict : refuse voltages outside the domain instead of warning once.

        Raises
        ------
        UsageError : there is no such cell, or no law for these voltages; see `check_voltages`.
        """
        where = (chip, level, cell)
        shape = self.array("cell_conductance").shape
        if not all(0 <= index < size for index, size in zip(where, shape, strict=True)):
            raise UsageError(f"the model has no cell {where}; (chip, level, cell) is below {shape}")
        keys = ("conductance_s", "threshold_shift_v", "current_factor")[: len(self.law.own)]
        of_cell = {
            key: self.array(name)[where]
            for key, (name, _, _) in zip(keys, OWN_ARRAYS, strict=False)
        }
        if (word_line_v is not None) != self.gated:
            need = "need" if self.gated else "have no transistor and take no"
            raise UsageError(f"these cells {need} word_line_v")
        word = 0.0 if word_line_v is None else word_line_v
        return {"current": self.current_a(bit_line_v, word, strict=strict, **of_cell)}

    def sample_chips(self, n: int, seed: int) -> dict[str, NDArray[np.float64]]:
        """Draw chips: ``cell_conductance`` (chip, level, cell) S, and what else varies.

        Raises
        ------
        UsageError : the model was fitted to one chip.
        """
        if not self.has_population:
            raise UsageError("the model was fitted to one chip, so it knows no variation")
        check_count(n)
        cells = self.array("cell_conductance").shape[2]
        return {
            name: np.stack([self.spread(name).draw(Draws(seed, k), name, cells) for k in range(n)])
            for name in self.spread_quantities
        }

    def admissibility(self) -> tuple[str, ...]:
        """Conductances and laws positive; the current rises with both voltages."""
        problems = []
        own = self.own
        if not (np.all(np.isfinite(own)) and np.all(np.isfinite(self.shared))):
            return ("a fitted number is not finite",)
        for name, _, _ in OWN_ARRAYS:
            if f"{name}_sd" in self.model.arrays:
                spread = self.spread(name)
                if np.any(spread.sd < 0) or not spread.shared.possible:
                    problems.append(f"the spread of {name} is none")
                if name != "threshold_shift" and np.any(spread.quantiles <= 0):
                    problems.append(f"{name} may be drawn at or below zero")
        bit = np.append(self.array("bit_line_voltage"), 0.0)
        grid = np.linspace(bit.min(), bit.max(), _GRID)
        word = self.array("word_line_voltage") if self.gated else np.zeros(1)
        gates = np.linspace(word.min(), word.max(), _GRID if self.gated else 1)
        middle = np.median(own, axis=(0, 2))[:, None, None]
        current = self.law.current(self.shared, middle, grid, gates[:, None])
        # Rounding of a root: 1e-9 of the level's largest current.
        slack = -1e-9 * np.abs(current).max(axis=(1, 2), keepdims=True)
        if np.any(np.diff(current, axis=2) < slack):
            problems.append("the current falls with the bit-line voltage")
        if self.gated and np.any(np.diff(np.abs(current), axis=1) < slack):
            problems.append("the current falls with the word-line voltage")
        return tuple(problems)

    @classmethod
    def fit(cls, measured: Measured) -> Self:
        """Fit to I-V curves; see the module."""
        gates = measured.recipe.gates
        data = data_of(measured)
        if not isinstance(gates, CellGates):
            raise UsageError(f"{measured.results.path} holds no I-V curves of cells")
        chips = measured.chips
        hidden = held_out(chips) if chips > 1 else None
        mask = np.zeros(chips, dtype=bool) if hidden is None else hidden
        points = ~hidden_points(data) if chips == 1 else np.ones(data.points, dtype=bool)
        law = fit_law(data, ~mask, points)
        own = np.empty((*data.shape, len(data.law.own)))
        known = known_conductance(data, law) if chips > 1 else None
        own[~mask] = fit_own(data, law.shared, ~mask, points, known)
        if mask.any():
            # What the model says about a held-out chip must not come from what judges it.
            own[mask] = fit_own(data, law.shared, mask, calibration_of(data), known)
        model = build_model(measured, data, law, own, mask)
        return cls(replace(model, gates={name: float(v) for name, v in gates})).judged(measured)

    def propose(self, measured: Measured, count: int) -> Proposal:
        """Word-line voltages at which the law is least sure."""
        return propose_word_lines(measured, count)

    def seen_again(self, measured: Measured) -> Again:
        """Chips by what is fitted to each alone; a model of one chip holds no chips out."""
        if not self.has_population:
            return super().seen_again(measured)
        return Again.of_chips(seen_chips(self, replace(data_of(measured), law=self.law)))

    def judge(self, measured: Measured) -> Verdict:
        """Verdict from held-out points (one chip) or held-out chips (many)."""
        data = data_of(measured)
        mine = self.array("cell_conductance").shape[1:]
        if data.shape[1:] != mine or data.law.gated != self.gated:
            raise UsageError(
                f"{measured.results.path} has not the {mine[0]} levels of {mine[1]} cells of the "
                "model, or other cells"
            )
        check_conditions(self.model.settings, measured)
        self.check_voltages(data.bit_v, data.word_v)
        # The law's scales are the model's, whatever the axes of these data.
        judged = judge_many if self.has_population else judge_one
        verdict = judged(self, measured, replace(data, law=self.law))
        return replace(
            verdict,
            left_out=measured.left_out,
            reference=measured.reference,
            domain=self.domain,
        )


SURROGATE = CellSurrogate
