"""Surrogate of a macro: driver, array, front end and converter, composed from their surrogates.

The parts are fitted to what was measured of each alone, and the chain of their predictions is the
prediction of the macro: the array's model gives a front end's output, the converter's levels its
code. Front ends that are not ideal have a model of their own, with which the array's is solved;
see `imccircuit.surrogates.macro_front`. Nothing is fitted to the whole macro; it only judges. What
the parts do to each other there (converters that load the front ends, a reference they share) is
therefore in the verdict's error.

Weights of several slices, signed weights and inputs bit by bit are arithmetic around such a macro;
see `imccircuit.surrogates.macro_compose`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.benches.macro_parameters import MacroGates, MacroParameters
from imccircuit.errors import UsageError
from imccircuit.metrics.adc import compute_codes
from imccircuit.surrogates.adc import BIT_WEIGHTS, AdcSurrogate
from imccircuit.surrogates.adc_noise import convert_columns
from imccircuit.surrogates.base import Model, Parameter, Surrogate, check_count, provenance_of
from imccircuit.surrogates.crossbar import CrossbarSurrogate
from imccircuit.surrogates.crossbar_domain import check_array, quantities_text
from imccircuit.surrogates.data import Measured
from imccircuit.surrogates.inputs import index_of
from imccircuit.surrogates.macro_compose import Composition, Integers, compose_product
from imccircuit.surrogates.macro_costs import costs_of_parts
from imccircuit.surrogates.macro_drive import drive_of
from imccircuit.surrogates.macro_front import noise_text, with_noise
from imccircuit.surrogates.macro_parts import (
    ARRAY,
    MacroParts,
    array_of,
    converter_name,
    fit_parts,
    macro_parameters,
    pack,
    replay_arrays,
    unpack,
)
from imccircuit.surrogates.macro_rest import outputs_at_rest
from imccircuit.surrogates.macro_verdict import judge_macro
from imccircuit.surrogates.seen import Again
from imccircuit.surrogates.verdict import Verdict
from imccircuit.units import format_quantity

Floats = NDArray[np.float64]


class MacroSurrogate(Surrogate):
    """Codes of a macro from its rows' voltages.

    Arrays, parameters, settings and gates of the model are those of the parts with ``array.`` or
    ``converter_<column>.`` before their names. Chip k is the k-th measured chip in all of them.
    ``replay_…`` are conversions of the monolithic deck for exports; older files have none.
    """

    kind = "macro"
    required = (
        *(f"{ARRAY}.{name}" for name in CrossbarSurrogate.required),
        *(f"{converter_name(0)}.{name}" for name in (*AdcSurrogate.required, *BIT_WEIGHTS)),
    )
    required_parameters = (
        "converters",
        "bias_voltage",
        "read_voltage",
        "on_conductance",
        "off_conductance",
    )
    open_inputs = ("transition_level",)

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.parts = unpack(model, int(self.value("converters")))

    @property
    def chips(self) -> int:
        """Number of chips whose conductances and levels are in the model."""
        return self.parts.array.chips

    @property
    def converters(self) -> int:
        """Number of columns that have a converter, the first ones."""
        return len(self.parts.converters)

    @property
    def lsb_v(self) -> float:
        """Full scale of a converter over 2^bits, in V."""
        return self.parts.converters[0].lsb_v

    def predict(
        self,
        *,
        input: ArrayLike | None = None,  # noqa: A002 - its name in the results
        voltage_v: ArrayLike | None = None,
        input_code: ArrayLike | None = None,
        chip: int = 0,
        conductance_s: ArrayLike | None = None,
        input_offset_v: ArrayLike | None = None,
        output_offset_v: ArrayLike | None = None,
        output_coefficient_v: ArrayLike | None = None,
        input_coefficient_v: ArrayLike | None = None,
        transition_level: ArrayLike | None = None,
        driver_level_v: ArrayLike | None = None,
        seed: int | None = None,
        first_index: int = 0,
        strict: bool = False,
    ) -> dict[str, NDArray[Any]]:
        """Codes for inputs.

        Parameters
        ----------
        input : (batch, row) inputs, 0 to 1 of the read voltage; or
        voltage_v : (batch, row) drive voltages in V, of drivers without load; or
        input_code : (batch, row) codes of the rows' drivers. With drivers an input is the nearest
            code's, 1 the last one's.
        chip : chip of the model, 0 by default.
        conductance_s : (row, col) conductances in S of another array; front ends and converters
            remain those of ``chip``. The domain is as of a crossbar: what was measured and the
            card may program, off and on conductance included.
        input_offset_v, output_offset_v : (col,) offsets of other front ends in V, of ideal ones.
        output_coefficient_v, input_coefficient_v : (col, term) numbers in V of other front ends
            that are not ideal; see `FrontEndSurrogate.predict`.
        transition_level : (converter, code) levels of other converters in V.
        driver_level_v : (row, code) levels of other drivers in V.
        seed : of the noise of converters and of front ends that are not ideal, 64 bits; without one
            there is none. Draws are keyed by
            seed, chip, vector and column, so a batch in parts gives the same codes as in one.
        first_index : number of the first vector, for the noise.
        strict : refuse inputs outside the domain instead of warning once.

        Returns
        -------
        ``output_code`` (batch, converter), ``sampled_voltage_v`` (batch, converter), and
        ``output_current_a`` (batch, col).

        Raises
        ------
        UsageError : shapes do not fit, there is no such chip, or a seed is given where no noise is
            known: by an older model, or of other converters.
        """
        index_of("chip", chip, self.chips)
        ways = {"input": input, "input_code": input_code, "voltage_v": voltage_v}
        bias = self.value("bias_voltage")
        drive = drive_of(self.parts, ways, driver_level_v, chip, bias, self.value("read_voltage"))
        if voltage_v is not None or self.parts.driver is None:
            # Codes are the domain of drivers, and refused where they are none.
            self.check_domain("voltage_v", drive + bias, strict=strict)
        if conductance_s is not None and np.ndim(conductance_s) == 2:
            check_array(self, np.asarray(conductance_s, dtype=np.float64), strict=strict)
        others = {
            "input_offset_v": input_offset_v,
            "output_offset_v": output_offset_v,
            "output_coefficient_v": output_coefficient_v,
            "input_coefficient_v": input_coefficient_v,
        }
        current, outputs = outputs_at_rest(self, drive, others, chip, conductance_s, strict=strict)
        voltage = outputs[:, : self.converters]
        if seed is None:
            codes = self._codes(voltage, chip, transition_level)
        elif transition_level is not None:
            raise UsageError("the noise of other converters is not known; leave the seed out")
        else:
            parts = with_noise(self.parts.converters, self.parts.front)
            codes = convert_columns(parts, voltage, chip, seed, first_index)
        return {
            "output_code": codes,
            "sampled_voltage_v": voltage,
            "output_current_a": current,
        }

    def _codes(
        self, voltage_v: Floats, chip: int, transition_level: ArrayLike | None
    ) -> NDArray[np.int64]:
        if transition_level is None:
            levels = [part.levels_v(chip) for part in self.parts.converters]
        else:
            levels = list(np.asarray(transition_level))
        each = [compute_codes(levels[j], voltage_v[:, j]) for j in range(self.converters)]
        return np.stack(each, axis=1)

    def matrix_product(
        self, inputs: ArrayLike, weights: ArrayLike, composition: Composition, chip: int = 0
    ) -> NDArray[np.int64]:
        """Integer matrix product inputs @ weights on a chip's front ends and converters.

        Digits of weights are programmed linearly between off and on conductance, without spread;
        digits of inputs drive linearly up to the read voltage. A code stands for the middle of its
        interval of a converter without error. From that the sum of a column follows with the bias,
        the read voltage (of drivers the mean voltage of their last code) and the fitted
        transresistance, and the off conductance's share with the sum of the inputs, which is known.
        What wires and drivers drop is not corrected.

        Parameters
        ----------
        inputs : (batch, row) integers, as many rows as the array at most.
        weights : (row, col) signed integers, any number of columns.

        Returns
        -------
        (batch, col), wrong by what the circuit is wrong by.

        Raises
        ------
        UsageError : more rows than the array has, values that ``composition`` has no room for, or
            passes of more digits than the rows' drivers have codes for.
        """
        return compose_product(
            inputs, weights, composition, lambda x, w: self._column_sums(x, w, composition, chip)
        )

    def _column_sums(
        self, digits: Integers, stored: Integers, composition: Composition, chip: int
    ) -> Floats:
        """Sums (batch, col) of products of digits that the macro's codes stand for."""
        rows, cols = self.parts.array.conductance_s().shape
        if len(stored) > rows:
            raise UsageError(f"{len(stored)} rows of weights; allowed: {rows}, those of the array")
        most_x, most_w = composition.largest_input_digit, composition.largest_weight_digit
        driver = self.parts.driver
        if driver is not None and (2**driver.bits - 1) % most_x:
            raise UsageError(
                f"pass_bits = {composition.pass_bits} on drivers of {driver.bits} bits; allowed: "
                + ", ".join(str(b) for b in range(1, driver.bits + 1) if driver.bits % b == 0)
            )
        off = self.value("off_conductance")
        step = (self.value("on_conductance") - off) / most_w
        x = np.zeros((len(digits), rows))
        x[:, : digits.shape[1]] = digits
        read = self.value("read_voltage")
        if driver is not None:
            read = np.sign(read) * driver.lsb * (2**driver.bits - 1)
        scale = self.parts.transresistance_ohm * read / most_x
        found = []
        for start in range(0, stored.shape[1], self.converters):
            part = stored[:, start : start + self.converters]
            g = np.full((rows, cols), off)
            g[: len(part), : part.shape[1]] += step * part
            code = self.predict(input=x / most_x, chip=chip, conductance_s=g)["output_code"]
            voltage = (code[:, : part.shape[1]] + 0.5) * self.lsb_v
            current = (self.value("bias_voltage") - voltage) / scale
            found.append((current - off * digits.sum(axis=1, keepdims=True)) / step)
        return np.concatenate(found, axis=1)

    def sample_chips(self, n: int, seed: int) -> dict[str, Floats]:
        """Draw front ends, converters, and drivers where there are any.

        Returns
        -------
        ``input_offset`` and ``output_offset`` (chip, col), or of front ends that are not ideal
        ``input_coefficient`` and ``output_coefficient`` (chip, col, term), ``transition_level``
        (chip, converter, code) and ``driver_level`` (chip, row, code), all in V; see `predict`.
        Conductances are inputs and not drawn here.

        Raises
        ------
        UsageError : one chip was fitted.
        """
        if not all(part.has_population for part in self.parts.converters):
            raise UsageError("the model was fitted to one chip, so it knows no variation")
        check_count(n)
        levels = [
            part.sample_chips(n, _seed_of(seed, j))["transition_level"]
            for j, part in enumerate(self.parts.converters)
        ]
        front, cols = self.parts.front, self.parts.columns
        if front is None:
            ends = self.parts.array.sample_chips(n, seed)
        else:
            ends = front.sample_chips(n * cols, seed)
            ends = {name: values.reshape(n, cols, -1) for name, values in ends.items()}
        found = {**ends, "transition_level": np.stack(levels, axis=1)}
        driver = self.parts.driver
        if driver is not None:
            rows = driver.chips // self.chips
            drawn = driver.sample_chips(n * rows, seed)["output_level"].reshape(n, rows, -1)
            sign = np.sign(self.value("read_voltage"))
            found["driver_level"] = self.value("bias_voltage") + sign * drawn
        return found

    def admissibility(self) -> tuple[str, ...]:
        """What physics does not allow in a part."""
        return tuple(
            f"{name}: {problem}"
            for name, part in self.parts.named().items()
            for problem in part.admissibility()
        )

    @classmethod
    def fit(cls, measured: Measured) -> Self:
        """Fit the parts to what was measured of each alone."""
        parameters, gates = macro_parameters(measured), measured.recipe.gates
        if not isinstance(gates, MacroGates):
            raise UsageError(f"{measured.results.path} holds no macro")
        parts, costs = costs_of_parts(measured, fit_parts(measured))
        card = parameters.circuit.array.device_card
        packed: dict[str, Any] = dict(pack(parts))
        own = {
            "converters": Parameter("converters", float(parameters.converters), "1"),
            "bias_voltage": Parameter("bias_voltage", parameters.circuit.bias_voltage, "V"),
            "read_voltage": Parameter("read_voltage", parameters.stimulus.read_voltage, "V"),
            "on_conductance": Parameter("on_conductance", card.on_conductance.value, "S"),
            "off_conductance": Parameter("off_conductance", card.off_conductance.value, "S"),
            **costs,
        }  # fmt: skip
        limits = {**parts.array.limits, "voltage_v": _drive_limits(parameters, measured)}
        if parts.front is not None:
            limits["output_current_a"] = parts.front.limits["current_a"]
        model = Model(
            arrays={**packed["arrays"], **replay_arrays(measured)},
            parameters={**own, **packed["parameters"]},
            settings=packed["settings"],
            gates={**{name: float(value) for name, value in gates}, **packed["gates"]},
            domain=_domain(parts, limits["voltage_v"], parameters.circuit.bias_voltage),
            provenance=provenance_of(measured),
            limits=limits,
        )
        return cls(model).judged(measured)

    def seen_again(self, measured: Measured) -> Again:
        """What the fit of the array saw: its chips and vectors are the macro's."""
        return self.parts.array.seen_again(array_of(measured))

    def judge(self, measured: Measured) -> Verdict:
        """Verdict from the monolithic decks of held-out chips, or held-out inputs of one chip."""
        return replace(
            judge_macro(self, measured),
            left_out=measured.left_out,
            reference=measured.reference,
            domain=self.domain,
        )


def _seed_of(seed: int, column: int) -> int:
    """Seed of a column's own converters: the parts' streams have the same names."""
    state = np.random.SeedSequence([seed, column]).generate_state(1, np.uint64)
    return int(cast(np.uint64, state[0]))


def _drive_limits(parameters: MacroParameters, measured: Measured) -> tuple[float, float]:
    """Voltages of the rows in V: of inputs 0 to 1, or 0 and the given ones, and as measured."""
    bias, stimulus = parameters.circuit.bias_voltage, parameters.stimulus
    full = bias + (stimulus.read_voltage if stimulus.inputs is None else 0.0)
    drive = measured.arrays["row_voltage"]
    return min(bias, full, float(drive.min())), max(bias, full, float(drive.max()))


def _domain(parts: MacroParts, drive_v: tuple[float, float], bias_v: float) -> dict[str, str]:
    """Domain of the array, but for its drive voltages from the bias on, and of the converters."""
    converter = parts.converters[0]
    full = format_quantity(converter.full_scale_v, "V")
    array = "array and front ends: none"
    own = {}
    if parts.front is not None:
        array = f"array: none; front ends: {noise_text(parts.front)}"
        own = {
            "read-out": "tia",
            "column current": parts.front.domain["input current"],
            "sampling": "front ends at rest again: what converters draw from them is not in it",
        }
    return {
        **parts.array.domain,
        **own,
        "drive voltage": f"{quantities_text(drive_v, 'V')}, at rest, on a bias of "
        f"{format_quantity(bias_v, 'V')}",
        "converters": f"{len(parts.converters)}, {converter.bits} bit, 0 V to {full}",
        "varied from chip to chip": converter.domain["varied from chip to chip"],
        "noise": f"{array}; converters: {converter.domain['noise']}",
    }


SURROGATE = MacroSurrogate
