"""Surrogate of a charge-domain array: outputs of columns of capacitors that share their charge.

Fitted to output voltages, input and stored bits alone; see `imccircuit.surrogates.charge_law` for
the law, and `imccircuit.surrogates.charge_verdict` for how it is judged. It is blind to the drawn
capacitors, to the line's capacitance and to the law that drew them. Of a chip it knows what its
vectors tell: each cell's weight, pulled towards the population's mean the less they tell.

Where a fifth of the vectors can be held out they are, of every chip: a chip's own weights cannot
be known without measuring it, so they come from its other vectors. The common law and the
population come from the chips that are not held out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.benches.charge_parameters import ChargeGates, ChargeParameters
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
from imccircuit.surrogates.charge_cells import cells_of, design_of_counts, products_of
from imccircuit.surrogates.charge_law import RESIDUAL_ORDER, ChargeLaw, fit_law
from imccircuit.surrogates.charge_verdict import judge_charge
from imccircuit.surrogates.data import Measured, held_out
from imccircuit.surrogates.inputs import index_of
from imccircuit.surrogates.seen import Again, items_of, seen_again, seen_array
from imccircuit.surrogates.verdict import Verdict
from imccircuit.units import format_quantity

Floats = NDArray[np.float64]

# No capacitor is negative; far below any spread there is.
_LEAST_CAPACITOR = 0.01


class ChargeColumnSurrogate(Surrogate):
    """Weights of measured chips' cells, and chips drawn from their population.

    Arrays of the model: ``cell_weight`` (chip, row, col) V, what a product adds to its column;
    ``column_offset`` (chip, col) V; ``stored`` (row, col) bits as fitted; ``coefficient`` (term)
    V and ``coefficient_covariance`` (term, term) V²; ``sample``, ``held_out`` (chip);
    ``held_out_vector`` (vector).
    """

    kind = "charge_column"
    required = (
        "cell_weight",
        "column_offset",
        "stored",
        "coefficient",
        "coefficient_covariance",
        "sample",
        "held_out",
        "held_out_vector",
    )
    required_parameters = (
        "supply", "gain", "offset", "sigma_capacitor", "sigma_offset", "sigma_left", "chips",
    )  # fmt: skip

    @property
    def rows(self) -> int:
        """Cells of a column, N."""
        return int(self.array("cell_weight").shape[1])

    @property
    def chips(self) -> int:
        """Number of chips whose cells are in the model."""
        return len(self.array("sample"))

    @property
    def step_v(self) -> float:
        """What one product more moves a nominal output, in V."""
        return self.value("gain") / self.rows

    @property
    def law(self) -> ChargeLaw:
        """The common law and the population, as they were fitted."""
        names = ("sigma_capacitor", "sigma_offset", "sigma_left")
        found = [self.model.parameters[name] for name in names]
        return ChargeLaw(
            self.array("coefficient"),
            self.array("coefficient_covariance"),
            np.array([p.value for p in found]),
            np.array([p.sigma for p in found]),
            self.value("supply"),
            self.rows,
        )

    @property
    def order(self) -> int:
        """Number of residual terms in the number of active products; 0 for ideal switches."""
        return max(0, len(self.array("coefficient")) - 3)

    def predict(
        self,
        *,
        x: ArrayLike,
        w: ArrayLike | None = None,
        chip: int = 0,
        cell_weight: ArrayLike | None = None,
        column_offset: ArrayLike | None = None,
        strict: bool = False,
    ) -> dict[str, NDArray[Any]]:
        """Outputs of a measured chip, or of a drawn one.

        Parameters
        ----------
        x : (batch, row) input bits, as the recipe writes them: 0, 1, for ``xnor`` −1, 1.
        w : (row, col) stored bits likewise; those of the fit by default.
        chip : measured chip whose cells are taken, 0 by default.
        strict : refuse numbers of active products outside the domain instead of warning once.
        cell_weight, column_offset : (row, col) and (col,) in V of a chip from `sample_chips`.

        Returns
        -------
        ``output_voltage_v`` (batch, col).

        Raises
        ------
        UsageError : shapes do not fit, there is no such chip, or ``x`` or ``w`` is no bit.
        """
        index_of("chip", chip, self.chips)
        cells = np.asarray(self.array("cell_weight")[chip] if cell_weight is None else cell_weight)
        offset = np.asarray(
            self.array("column_offset")[chip] if column_offset is None else column_offset
        )
        bits = np.atleast_2d(self._bits("x", x))
        stored = np.asarray(self.array("stored") if w is None else self._bits("w", w))
        given = (bits.shape[1], stored.shape, offset.shape)
        if given != (self.rows, cells.shape, stored.shape[1:]):
            raise UsageError(
                f"inputs {bits.shape}, stored bits {stored.shape} and offsets {offset.shape} do "
                f"not fit an array {cells.shape}"
            )
        on, kept = (bits > 0).astype(np.float64), (stored > 0).astype(np.float64)
        linear, count = on @ (kept * cells), on @ kept
        if self.model.settings["product"] == "xnor":
            linear += (1 - on) @ ((1 - kept) * cells)
            count += (1 - on) @ (1 - kept)
        self.check_domain("active_products", count, strict=strict)
        voltage = linear + offset + self.value("offset")
        if self.order:
            terms = design_of_counts(count, on.sum(axis=1), self.rows, self.order)
            voltage = voltage + terms @ self.array("coefficient")[2:]
        return {"output_voltage_v": np.asarray(voltage)}

    def _bits(self, name: str, values: ArrayLike) -> NDArray[Any]:
        """Bits as the recipe writes them; between two of them there is no switch position."""
        found, low = np.asarray(values), -1 if self.model.settings["product"] == "xnor" else 0
        wrong = found[(found != low) & (found != 1)]
        if wrong.size:
            raise UsageError(
                f"{name} holds {wrong.flat[0]:g}, which is no bit of this array; allowed: {low}, 1"
            )
        return found

    def sample_chips(self, n: int, seed: int) -> dict[str, Floats]:
        """Draw chips: ``cell_weight`` (chip, row, col) and ``column_offset`` (chip, col), in V.

        Capacitors are Gaussian around their mean and positive; weights follow by charge
        conservation.

        Raises
        ------
        UsageError : no spread was found, or one chip was fitted.
        """
        sigma = self.value("sigma_capacitor")
        if self.value("chips") < 2 or not np.isfinite(
            self.model.parameters["sigma_capacitor"].sigma
        ):
            raise UsageError("the model was fitted to chips that do not vary, or to one chip")
        check_count(n)
        shape, share = self.array("cell_weight").shape[1:], self.law.share
        cells, offsets = [], []
        for k in range(n):
            generator = Draws(seed, k).generator("charge_cells")
            drawn = np.maximum(1 + sigma * generator.standard_normal(shape), _LEAST_CAPACITOR)
            cells.append(self.step_v * drawn / (1 + share * (drawn.mean(axis=0) - 1)))
            spread = self.value("sigma_offset") * self.step_v
            offsets.append(spread * generator.standard_normal(shape[1]))
        return {"cell_weight": np.stack(cells), "column_offset": np.stack(offsets)}

    def admissibility(self) -> tuple[str, ...]:
        """Weights of cells are positive, and the output is no larger than the supply."""
        problems = []
        cells = self.array("cell_weight")
        if not np.all(np.isfinite(cells)) or np.any(cells <= 0):
            problems.append("a cell's weight is not positive")
        # With transistors that inject the gain is not that of charge alone.
        if not 0 < self.law.share < (1.0 if self.order == 0 else 1.5):
            problems.append("the output with all products one is not between 0 and the supply")
        return tuple(problems)

    @classmethod
    def fit(cls, measured: Measured) -> Self:
        """Fit to output voltages; see the module."""
        gates, parameters = measured.recipe.gates, measured.parameters
        if not isinstance(parameters, ChargeParameters) or not isinstance(gates, ChargeGates):
            raise UsageError(f"{measured.results.path} holds no charge-domain array")
        kind = parameters.circuit.product
        output = measured.arrays["output_voltage"]
        if len(np.unique(measured.arrays["active_products"])) < 3:
            raise UsageError(
                f"{measured.results.path} holds fewer than three different numbers of active "
                "products, from which no gain can be told"
            )
        chips = np.zeros(measured.chips, dtype=bool)
        vectors = np.zeros(output.shape[1], dtype=bool)
        if (hidden := held_out(measured.chips)) is not None:
            chips = hidden
        if (hidden := held_out(output.shape[1])) is not None:
            vectors = hidden
        products, active = products_of(measured.arrays["input"][0], measured.arrays["weight"][0],
                                       kind)  # fmt: skip
        order = RESIDUAL_ORDER if parameters.has_transistors else 0
        law = fit_law(
            output[~chips][:, ~vectors],
            products[~vectors],
            active[~vectors],
            parameters.supply_v,
            order,
        )
        arrays = {
            **cells_of(law, output[:, ~vectors], products[~vectors], active[~vectors], order),
            "stored": ModelArray(
                measured.arrays["weight"][0], "1", ("row", "col"), "stored bits as fitted"
            ),
            "coefficient": ModelArray(law.coefficients, "V", ("term",), "O, G, then residual"),
            "coefficient_covariance": ModelArray(
                law.coefficient_covariance, "V**2", ("term", "term_"), "of their errors"
            ),
            "sample": ModelArray(measured.samples, "1", ("chip",), "Monte Carlo sample"),
            "held_out": ModelArray(chips.astype(np.int8), "1", ("chip",), "not seen by the fit"),
            "held_out_vector": ModelArray(
                vectors.astype(np.int8), "1", ("vector",), "not seen by the fit, of any chip"
            ),
        }
        arrays |= seen_array(items_of_columns(measured), ~chips, ~vectors)
        count = float(np.count_nonzero(~chips))
        model = Model(
            arrays=arrays,
            parameters=_parameters(law, parameters, count) | carried_figures(measured, ~chips),
            settings={"product": kind, "switches": parameters.circuit.switches},
            gates={name: float(value) for name, value in gates},
            domain=_domain(parameters, measured),
            provenance=provenance_of(measured),
            limits={"active_products": _ends(measured)},
        )
        return cls(model).judged(measured)

    def seen_again(self, measured: Measured) -> Again:
        """Chips by their outputs for the fit's own vectors."""
        return seen_again(self.model, items_of_columns(measured))

    def judge(self, measured: Measured) -> Verdict:
        """Verdict on vectors that the fit did not see; see `charge_verdict`."""
        if measured.arrays["weight"].shape[1:] != self.array("stored").shape:
            raise UsageError(f"{measured.results.path} has not the array of the model")
        notes = [f"{p.name}: {p.note}" for p in self.model.parameters.values() if p.note]
        verdict = judge_charge(self, measured)
        return replace(
            verdict,
            left_out=measured.left_out,
            reference=measured.reference,
            domain=self.domain,
            notes=(*verdict.notes, *notes),
        )


def items_of_columns(measured: Measured) -> Floats:
    """Items (chip, vector, 3) by which chips and vectors are known again; see `seen`.

    The drawn capacitors are no part of them: the surrogate looks at voltages alone.
    """
    arrays = measured.arrays
    none = np.zeros((measured.chips, 1))
    return items_of(none, arrays["input"], arrays["output_voltage"], arrays["weight"])


def _parameters(law: ChargeLaw, parameters: ChargeParameters, chips: float) -> dict[str, Parameter]:
    offset, gain = law.coefficients[:2]
    errors = np.sqrt(np.diag(law.coefficient_covariance))
    transistors = "with what transistors inject" if parameters.has_transistors else ""
    ratio = law.supply_v / gain - 1
    ratio_error = law.supply_v / gain**2 * errors[1]
    alone = "with fewer vectors than cells, the cells of one chip are taken to be alike"
    small = "no spread that these outputs tell from 0"
    found = [
        Parameter("supply", law.supply_v, "V"),
        Parameter("gain", float(gain), "V", float(errors[1]), transistors),
        Parameter("offset", float(offset), "V", float(errors[0])),
        Parameter("parasitic_ratio", float(ratio), "1", float(ratio_error), transistors),
        *(
            Parameter(
                f"sigma_{name}",
                float(sigma),
                unit,
                float(error),
                "" if np.isfinite(error) else small,
            )
            for name, unit, sigma, error in zip(
                ("capacitor", "offset", "left"),
                ("1", "LSB", "LSB"),
                law.sigmas,
                law.sigma_errors,
                strict=True,
            )
        ),
        Parameter("chips", chips, "1", 0.0, "" if chips > 1 else alone),
    ]
    if len(errors) > 2:
        # The last term is the share of active rows, those before it polynomials.
        names = [*(f"T_{m}" for m in range(len(errors) - 3)), "active rows"]
        left_out = [name for name, error in zip(names, errors[2:], strict=True) if error == 0]
        note = f"these vectors do not tell {', '.join(left_out)}: taken for 0" if left_out else ""
        fitted = float(len(names) - len(left_out))
        found.append(Parameter("residual_terms", fitted, "1", 0.0, note))
    return {p.name: p for p in found}


def _ends(measured: Measured) -> tuple[float, float]:
    active = measured.arrays["active_products"]
    return float(active.min()), float(active.max())


def _domain(parameters: ChargeParameters, measured: Measured) -> dict[str, str]:
    low, high = _ends(measured)
    varied = ", ".join(measured.recipe.common.variation.quantities) or "nothing"
    circuit = parameters.circuit
    return {
        "active products": f"{low:g} to {high:g} of {parameters.rows}",
        "array": f"{parameters.rows} rows x {parameters.cols} columns, {circuit.product}",
        "switches": circuit.switches,
        "share time": format_quantity(circuit.share_time, "s"),
        "supply": format_quantity(parameters.supply_v, "V"),
        "temperature": f"{parameters.conditions.temperature:g} degC",
        "varied from chip to chip": varied,
        "noise": "carried as a number, not added",
    }


SURROGATE = ChargeColumnSurrogate
