"""Surrogate of a crossbar: a nodal model with fitted wires, cells and read-out.

A chip's conductances and the drive voltages are inputs of the model. Fitted are the resistance of
one segment of each wire, of driver and sense end (an amplifier's input resistance included), V0
of I = G·V0·sinh(V/V0) where the cell has one, of a cell's transistor a series resistance and how
it rises with the current, and, where there are amplifiers, their transresistance and each one's
offsets. A resistance that the recipe gives as 0 is no element of the circuit and stays 0.

Amplifier: its input stands at e_j behind the sense resistance, which is where the bit line's end
stands (linear cells: the currents are lower by e @ Y with Y the admittance of the array seen from
its sense ends), and V_out = -R_t·I + o_j.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.benches.crossbar_parameters import CrossbarGates, CrossbarParameters
from imccircuit.devices.draws import Draws
from imccircuit.errors import EngineError, UsageError
from imccircuit.surrogates.array_fit import UNITS, ChipData, fit_array, fitted_names
from imccircuit.surrogates.array_model import ArrayModel
from imccircuit.surrogates.base import (
    Model,
    ModelArray,
    Parameter,
    Surrogate,
    check_count,
    provenance_of,
)
from imccircuit.surrogates.carried import power_figure
from imccircuit.surrogates.crossbar_amplifiers import fit_amplifiers, fit_behind_amplifiers
from imccircuit.surrogates.crossbar_domain import check_array, domain_of, limits_of
from imccircuit.surrogates.crossbar_product import TERMS, corrected_drive, fit_product
from imccircuit.surrogates.crossbar_split import Split, items_of_array, seen_of_array, split_of
from imccircuit.surrogates.crossbar_verdict import judge_crossbar
from imccircuit.surrogates.data import Measured
from imccircuit.surrogates.inputs import as_numbers, index_of
from imccircuit.surrogates.seen import Again, seen_again
from imccircuit.surrogates.verdict import Verdict

Floats = NDArray[np.float64]

_FIT_VECTORS = 16
_FIT_CHIPS = 4
_FIT_CELLS = 2**18
_MOST_REPLAYS = 64
AT_THE_ENDS = "at the ends of the bit lines"
"""Where the input offsets of a model of nonlinear cells act; older versions wrote nothing."""


class CrossbarSurrogate(Surrogate):
    """Column currents and amplifier outputs of a crossbar.

    Arrays of the model: ``conductance`` (chip, row, col) S, ``sample`` (chip), ``held_out``
    (chip); with amplifiers ``input_offset`` and ``output_offset`` (chip, col) V.
    """

    kind = "crossbar"
    required = (
        "conductance",
        "sample",
        "held_out",
        "replay_chip",
        "replay_voltage",
        "replay_current",
    )

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self._effective: dict[bytes, Floats] = {}
        at_ends = model.settings.get("input_offsets") == AT_THE_ENDS
        if self.has_amplifiers and not self.linear and not at_ends:
            raise ValueError("its offsets are those of constant currents; fit the results again")

    @property
    def physics(self) -> ArrayModel:
        """Forward model with the fitted numbers."""
        known = {n: p.value for n, p in self.model.parameters.items() if n in UNITS}
        return ArrayModel(**known)

    @property
    def linear(self) -> bool:
        """Whether currents are proportional to voltages."""
        return self.physics.linear

    @property
    def has_amplifiers(self) -> bool:
        """Whether the model gives output voltages."""
        return "transresistance" in self.model.parameters

    @property
    def chips(self) -> int:
        """Number of chips whose conductances are in the model."""
        return len(self.array("sample"))

    def conductance_s(self, chip: int = 0) -> Floats:
        """Conductances (row, col) of a chip in S.

        Raises
        ------
        UsageError : there is no such chip.
        """
        chip = index_of("chip", chip, self.chips)
        return np.asarray(self.array("conductance")[chip])

    def effective_conductance(self, conductance_s: ArrayLike) -> Floats:
        """Matrix (row, col) in S with current = voltage @ matrix, wires included.

        Raises
        ------
        UsageError : the cells are not linear.
        """
        if not self.linear:
            raise UsageError("the cells are not linear, so there is no effective conductance")
        return self._matrix(conductance_s)

    def _matrix(self, conductance_s: ArrayLike) -> Floats:
        """Effective conductance (row, col) in S of the cells' slopes at 0 V."""
        g = np.ascontiguousarray(conductance_s, dtype=np.float64)
        key = hashlib.sha256(g.tobytes() + repr(g.shape).encode()).digest()
        if key not in self._effective:
            self._effective[key] = self.physics.effective_conductance(g)
        return self._effective[key]

    def one_product(
        self,
        conductance_s: ArrayLike,
        voltage_v: ArrayLike,
        input_offset_v: ArrayLike | None = None,
        *,
        strict: bool = False,
    ) -> Floats:
        """Column currents (batch, col) in A by one matrix product, of nonlinear cells corrected.

        Of linear cells it is exact. What it is off by otherwise is in the verdict; see
        `imccircuit.surrogates.crossbar_product`.

        Parameters
        ----------
        conductance_s : (row, col) conductances in S.
        voltage_v : (batch, row) drive voltages in V.
        input_offset_v : (col,) offsets of amplifiers in V; none by default.
        strict : refuse what is outside the domain instead of warning once, as `predict` does.

        Raises
        ------
        UsageError : shapes do not fit, or a model of nonlinear cells is older than the correction.
        """
        g = np.asarray(conductance_s, dtype=np.float64)
        voltage = np.atleast_2d(np.asarray(voltage_v, dtype=np.float64))
        self._check(g, voltage, strict=strict)
        check_array(self, g, strict=strict)
        return self._product(g, voltage, input_offset_v)

    def _check(self, g: Floats, voltage: Floats, *, strict: bool) -> None:
        """Refuse shapes that do not fit and what is not finite; look at the voltages' domain."""
        for name, values in (("voltage_v", voltage), ("conductance_s", g)):
            as_numbers(name, values)
        if g.ndim != 2 or voltage.ndim != 2 or voltage.shape[1] != g.shape[0]:
            raise UsageError(f"voltages {voltage.shape} do not fit conductances {g.shape}")
        self.check_domain("voltage_v", voltage, strict=strict)

    def _product(self, g: Floats, voltage: Floats, input_offset_v: ArrayLike | None) -> Floats:
        current = np.asarray(corrected_drive(self, voltage) @ self._matrix(g))
        if input_offset_v is None:
            return current
        return np.asarray(current + self.offset_current(g, input_offset_v))

    def offset_current(self, conductance_s: ArrayLike, input_offset_v: ArrayLike) -> Floats:
        """Column currents (col,) in A at 0 V drive, from the amplifiers' input offsets in V.

        Those of linear cells add to the currents of every drive; of others, to first order.
        """
        e, g = as_numbers("input_offset_v", input_offset_v), np.asarray(conductance_s, np.float64)
        return np.asarray(-e @ self.physics.port_admittance(g))

    def predict(
        self,
        *,
        voltage_v: ArrayLike,
        chip: int = 0,
        conductance_s: ArrayLike | None = None,
        input_offset_v: ArrayLike | None = None,
        output_offset_v: ArrayLike | None = None,
        strict: bool = False,
    ) -> dict[str, Floats]:
        """Outputs for drive voltages.

        Parameters
        ----------
        voltage_v : (batch, row) drive voltages in V.
        chip : chip of the model whose conductances and offsets are taken, 0 by default.
        conductance_s : (row, col) conductances in S of another chip; see
            `imccircuit.surrogates.crossbar_domain` for those of the domain.
        input_offset_v, output_offset_v : (col,) offsets in V of its amplifiers; those of ``chip``
            by default.
        strict : refuse voltages, conductances and sizes outside the domain instead of warning
            once.

        Returns
        -------
        ``output_current_a`` (batch, col), and with amplifiers ``output_voltage_v`` (batch, col).

        Raises
        ------
        UsageError : shapes do not fit.
        EngineError : the solver of nonlinear cells did not converge.
        """
        own = conductance_s is None
        g = self.conductance_s(chip) if own else np.asarray(conductance_s, dtype=np.float64)
        voltage = np.atleast_2d(np.asarray(voltage_v, dtype=np.float64))
        self._check(g, voltage, strict=strict)
        if not own:
            check_array(self, g, strict=strict)
        if not self.has_amplifiers:
            return {"output_current_a": self._currents(g, voltage, None)}
        given = {"input_offset": input_offset_v, "output_offset": output_offset_v}
        e, o = (
            np.asarray(self.array(name)[chip] if value is None else value, dtype=np.float64)
            for name, value in given.items()
        )
        current = self._currents(g, voltage, e)
        return {
            "output_current_a": current,
            "output_voltage_v": o - self.value("transresistance") * current,
        }

    def _currents(
        self, conductance_s: Floats, voltage_v: Floats, input_offset_v: Floats | None
    ) -> Floats:
        if self.linear:
            return self._product(conductance_s, voltage_v, input_offset_v)
        try:
            return self.physics.currents(conductance_s, voltage_v, input_offset_v)
        except RuntimeError as error:
            raise EngineError(f"the surrogate of the crossbar: {error}") from None

    def sample_chips(self, n: int, seed: int) -> dict[str, Floats]:
        """Draw amplifiers: ``input_offset`` and ``output_offset`` (chip, col) in V.

        Conductances are inputs of the model and not drawn here. Both offsets of an amplifier come
        from one Gaussian over all fitted chips and columns.

        Raises
        ------
        UsageError : there are no amplifiers, or fewer than two were fitted.
        """
        if not self.has_amplifiers:
            raise UsageError("the read-out is ideal, so nothing varies but the conductances")
        seen = self.array("held_out") == 0
        both = np.stack([self.array(n)[seen].ravel() for n in ("input_offset", "output_offset")])
        if both.shape[1] < 2:
            raise UsageError("one amplifier was fitted, so the model knows no variation")
        check_count(n)
        values, vectors = np.linalg.eigh(np.cov(both))
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        cols = self.array("input_offset").shape[1]
        drawn = [
            both.mean(axis=1)
            + Draws(seed, k).generator("amplifier_offset").standard_normal((cols, 2)) @ root.T
            for k in range(n)
        ]
        table = np.stack(drawn)
        return {"input_offset": table[:, :, 0], "output_offset": table[:, :, 1]}

    def admissibility(self) -> tuple[str, ...]:
        """Conductances and resistances must be finite and not negative: the array is passive."""
        problems = []
        g = self.array("conductance")
        if not np.all(np.isfinite(g)) or np.any(g < 0):
            problems.append("a conductance is negative or not finite")
        for name, parameter in self.model.parameters.items():
            value = parameter.value
            if name in TERMS:
                continue
            infinite_ok = name == "v0_v"
            if not value >= 0 or (np.isinf(value) and not infinite_ok):
                problems.append(f"{name} is {value!r}")
        if not self.model.parameters.get("v0_v", Parameter("v0_v", 1.0, "V")).value > 0:
            problems.append("V0 is not positive")
        return tuple(problems)

    @classmethod
    def fit(cls, measured: Measured) -> Self:
        """Fit to column currents and amplifier outputs; see the module."""
        parameters, gates = measured.parameters, measured.recipe.gates
        if not isinstance(parameters, CrossbarParameters) or not isinstance(gates, CrossbarGates):
            raise UsageError(f"{measured.results.path} holds no crossbar")
        split = split_of(measured)
        names, data = fitted_names(parameters), _fit_data(measured, split)
        has_amplifiers = parameters.circuit.readout != "ideal"
        physics, fitted = (
            fit_behind_amplifiers(data, names)
            if has_amplifiers
            else fit_array(data, names, offset=False)
        )
        mask = split.hidden_chips.astype(np.int8)
        g = measured.arrays["conductance"]
        arrays = {
            "conductance": ModelArray(g, "S", ("chip", "row", "col"), "conductance of the cells"),
            "sample": ModelArray(measured.samples, "1", ("chip",), "Monte Carlo sample"),
            "held_out": ModelArray(mask, "1", ("chip",), "not seen by the fit"),
            **_replay(measured, split),
            **seen_of_array(measured, split),
        }
        if has_amplifiers:
            amplifiers, offsets = fit_amplifiers(physics, measured, split)
            fitted |= amplifiers
            arrays |= offsets
        fitted |= fit_product(physics, data)
        fitted |= power_figure(measured, ~split.hidden_chips)
        limits = limits_of(parameters, measured)
        model = Model(
            arrays=arrays,
            parameters=fitted,
            settings={
                "cell": parameters.circuit.cell,
                "readout": parameters.circuit.readout,
                "input_offsets": AT_THE_ENDS,
            },
            gates={name: float(value) for name, value in gates},
            domain=domain_of(parameters, limits),
            provenance=provenance_of(measured),
            limits=limits,
        )
        return cls(model).judged(measured)

    def seen_again(self, measured: Measured) -> Again:
        """Chips by their conductances and outputs, vectors by input and outputs."""
        return seen_again(self.model, items_of_array(measured))

    def judge(self, measured: Measured) -> Verdict:
        """Verdict on held-out chips, or on held-out inputs of a single chip."""
        verdict = judge_crossbar(self, measured)
        notes = [f"{p.name}: {p.note}" for p in self.model.parameters.values() if p.note]
        return replace(
            verdict,
            left_out=measured.left_out,
            reference=measured.reference,
            domain=self.domain,
            notes=(*verdict.notes, *notes),
        )


def _fit_data(measured: Measured, split: Split) -> list[ChipData]:
    arrays = measured.arrays
    chips = np.flatnonzero(~split.hidden_chips)[:_FIT_CHIPS]
    # Nonlinear cells take a time that goes with vectors times cells; large arrays tell enough
    # in a few vectors.
    most = min(_FIT_VECTORS // len(chips), _FIT_CELLS // arrays["conductance"][0].size)
    vectors = np.flatnonzero(~split.hidden_vectors)[: max(2, most)]
    return [
        ChipData(
            arrays["conductance"][c],
            arrays["row_voltage"][c][vectors],
            arrays["output_current"][c][vectors],
        )
        for c in chips
    ]


def _replay(measured: Measured, split: Split) -> dict[str, ModelArray]:
    """Held-out vectors as SPICE answered them."""
    pairs = np.argwhere(split.judged)
    if not len(pairs):
        pairs = np.argwhere(~split.judged)
    chip, vector = pairs[:_MOST_REPLAYS].T
    arrays = measured.arrays
    found = {
        "replay_chip": ModelArray(chip, "1", ("replay",), "chip of a stored product"),
        "replay_voltage": ModelArray(
            arrays["row_voltage"][chip, vector], "V", ("replay", "row"), "its drive voltages"
        ),
        "replay_current": ModelArray(
            arrays["output_current"][chip, vector], "A", ("replay", "col"), "currents from SPICE"
        ),
    }
    if "output_voltage" in arrays:
        found["replay_output_voltage"] = ModelArray(
            arrays["output_voltage"][chip, vector], "V", ("replay", "col"), "outputs from SPICE"
        )
    return found


SURROGATE = CrossbarSurrogate
