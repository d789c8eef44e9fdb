"""Parts of a macro: the results of each alone, and their models inside the macro's own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.adc_parameters import AdcGates
from imccircuit.benches.adc_transfer import BENCH as CONVERTER
from imccircuit.benches.crossbar_parameters import CrossbarGates
from imccircuit.benches.dac_ladder import BENCH as ROW_DRIVER
from imccircuit.benches.dac_parameters import DacGates
from imccircuit.benches.macro_parameters import MacroParameters
from imccircuit.errors import UsageError
from imccircuit.surrogates.adc import BIT_WEIGHTS, AdcSurrogate
from imccircuit.surrogates.adc_levels import is_weight_parameter
from imccircuit.surrogates.adc_noise import decision_levels
from imccircuit.surrogates.base import Model, ModelArray, Parameter, Surrogate
from imccircuit.surrogates.crossbar import CrossbarSurrogate
from imccircuit.surrogates.crossbar_split import split_of
from imccircuit.surrogates.dac import DacSurrogate
from imccircuit.surrogates.data import Measured
from imccircuit.surrogates.front_end import FrontEndSurrogate
from imccircuit.surrogates.macro_front import FRONT, front_end_of
from imccircuit.surrogates.verdict import Verdict

ARRAY, DRIVER = "array", "driver"
_ARRAY_VARIABLES = (
    "output_current", "output_voltage", "conductance", "tia_offset", "array_power"
)  # fmt: skip
# With front ends of their own: what the array's bench calls it → what the macro's does.
_ALONE_VARIABLES = {
    "output_current": "array_current",
    "conductance": "conductance",
    "array_power": "array_power",
}
# What a converter's own bench calls it → what the macro's does.
_CONVERTER_VARIABLES = {
    "transition_level": "transition_level",
    "forced_level": "forced_level",
    "noise_sigma": "converter_noise",
    "energy": "converter_energy",
    "latency": "converter_latency",
    "area": "converter_area",
}
# What the array's model has of ideal front ends.
_AMPLIFIERS = {"input_offset", "output_offset", "transresistance"}
_VERDICT = "verdict"
_MOST_REPLAYS = 256


def converter_name(column: int) -> str:
    """Name of the part that is a column's converter."""
    return f"converter_{column}"


@dataclass(frozen=True)
class MacroParts:
    """Models of the parts.

    Attributes
    ----------
    array : array and ideal front ends, or the array alone. Its drive voltages count from the bias
        of the bit lines, and are those of the rows' drivers without load; its driver resistance is
        theirs.
    converters : of the first columns, in order.
    driver : levels of the rows' drivers, from the bias on towards the read voltage; row i of chip k
        is its chip k·rows + i. None where rows are driven by sources.
    front : front ends that are not ideal; that of column j of chip k is its chip k·cols + j. None
        for ideal ones, which the array's model has.
    """

    array: CrossbarSurrogate
    converters: tuple[AdcSurrogate, ...]
    driver: DacSurrogate | None = None
    front: FrontEndSurrogate | None = None

    @property
    def columns(self) -> int:
        """Number of columns of the array."""
        return int(self.array.conductance_s().shape[1])

    @property
    def transresistance_ohm(self) -> float:
        """R_t of V = bias − R_t·I, mean over front ends."""
        return (self.array if self.front is None else self.front).value("transresistance")

    def front_numbers_v(self, chip: int) -> NDArray[np.float64]:
        """Numbers (col, 2 · term) of a chip's front ends in V; see ``front``.

        Raises
        ------
        UsageError : they are ideal.
        """
        if self.front is None:
            raise UsageError("the macro's front ends are ideal: they have offsets and no curves")
        return self.front.own[chip * self.columns : (chip + 1) * self.columns]

    def row_levels(self, chip: int) -> NDArray[np.float64]:
        """Levels (row, code) of the rows' drivers of a chip in V; see ``driver``.

        Raises
        ------
        UsageError : rows are driven by sources.
        """
        if self.driver is None:
            raise UsageError("the macro has no drivers: its rows take voltages or inputs, no codes")
        rows = self.driver.chips // self.array.chips
        numbers = self.driver.array("number")[chip * rows : (chip + 1) * rows]
        return self.driver.law.levels(numbers)

    def named(self) -> dict[str, Surrogate]:
        """All of them by name."""
        found: dict[str, Surrogate] = {} if self.driver is None else {DRIVER: self.driver}
        found[ARRAY] = self.array
        if self.front is not None:
            found[FRONT] = self.front
        return found | {converter_name(j): part for j, part in enumerate(self.converters)}


def macro_parameters(measured: Measured) -> MacroParameters:
    """Parameters of a macro's results; `UsageError` if they are of something else."""
    if not isinstance(measured.parameters, MacroParameters):
        raise UsageError(f"{measured.results.path} holds no macro")
    return measured.parameters


def array_of(measured: Measured) -> Measured:
    """What the array's own bench would have measured, drive voltages from the bias on.

    With front ends of their own it is the array alone, else array and front ends.
    """
    parameters = macro_parameters(measured)
    # From the bias on, rows at rest drive no current, and cells that are odd in the voltage are.
    drive = measured.arrays["row_voltage"] - parameters.circuit.bias_voltage
    names = {name: name for name in _ARRAY_VARIABLES}
    if not parameters.circuit.front_end.is_ideal:
        names = _ALONE_VARIABLES
    found = {n: measured.arrays[ours] for n, ours in names.items() if ours in measured.arrays}
    driver_ohm = float(np.mean(measured.arrays.get("driver_resistance", 0.0)))
    return replace(
        measured,
        parameters=parameters.array_parameters(drive[0], driver_ohm),
        recipe=replace(measured.recipe, gates=CrossbarGates()),
        arrays={"row_voltage": drive, **found},
    )


def driver_of(measured: Measured) -> Measured | None:
    """What the bench of row drivers would have measured of all rows; None without drivers.

    Every row of every chip is a chip of its own: they are drawn from one law.
    """
    parameters = macro_parameters(measured)
    alone = parameters.driver_parameters()
    if alone is None:
        return None
    level = np.sign(parameters.stimulus.read_voltage) * (
        measured.arrays["driver_level"] - parameters.circuit.bias_voltage
    )
    level = level.reshape(-1, level.shape[-1])
    return replace(
        measured,
        parameters=alone,
        recipe=replace(measured.recipe, bench=ROW_DRIVER, gates=DacGates()),
        samples=np.repeat(measured.samples, parameters.rows),
        arrays={
            "output_level": level,
            "lsb": (level[:, -1] - level[:, 0]) / (level.shape[1] - 1),
        },
        columns=parameters.rows,
    )


def converter_of(measured: Measured, column: int) -> Measured:
    """What the converter's own bench would have measured by the null method.

    Its noise is that of all converters, whose capacitors differ by less than matters to it.
    """
    arrays = {name: values[:, column] for name, values in _of_converters(measured).items()}
    noise = measured.arrays["converter_noise"]
    return replace(
        measured,
        parameters=macro_parameters(measured).converter_parameters(column),
        recipe=replace(measured.recipe, bench=CONVERTER, gates=AdcGates()),
        arrays={
            **arrays,
            "noise_sigma": np.sqrt(np.mean(noise**2, axis=1)),
            "reference_voltage": measured.arrays["reference_voltage"],
        },
    )


def _of_converters(measured: Measured) -> dict[str, NDArray[np.float64]]:
    """Arrays (chip, converter, …) as a converter's own bench names them."""
    return {name: measured.arrays[ours] for name, ours in _CONVERTER_VARIABLES.items()}


def fit_parts(measured: Measured) -> MacroParts:
    """Fit every part to what was measured of it alone.

    Converters of many chips are drawn from one law: they are fitted, and their spread is judged,
    as one population of chips times converters. Those that share capacitors are not independent,
    and each column has a population of its own.
    """
    parameters = macro_parameters(measured)
    columns = range(parameters.converters)
    array = CrossbarSurrogate.fit(array_of(measured))
    rows, fronts = driver_of(measured), front_end_of(measured, parameters)
    driver = None if rows is None else DacSurrogate.fit(rows)
    front = None if fronts is None else FrontEndSurrogate.fit(fronts)
    if measured.chips == 1 or parameters.circuit.converter.group_size > 1:
        own = [AdcSurrogate.fit(converter_of(measured, j)) for j in columns]
        return MacroParts(array, tuple(_with_decisions(own)), driver, front)
    every = AdcSurrogate.fit(_all_converters(measured))
    each = tuple(_of_column(every, j, parameters.converters) for j in columns)
    return MacroParts(array, each, driver, front)


def _with_decisions(parts: list[AdcSurrogate]) -> list[AdcSurrogate]:
    """The same with levels of trial codes in all, where some have them for their curvature."""
    if not any("decision_level" in part.model.arrays for part in parts):
        return parts
    found = []
    for part in parts:
        levels = np.stack([decision_levels(part, chip) for chip in range(part.chips)])
        text = "level of each trial code, before tree clipping"
        arrays = {"decision_level": ModelArray(levels, "V", ("chip", "code"), text)}
        model = replace(part.model, arrays={**part.model.arrays, **arrays})
        found.append(AdcSurrogate(model))
    return found


def _all_converters(measured: Measured) -> Measured:
    """As `converter_of`, every converter of every chip as a chip of its own."""
    count = macro_parameters(measured).converters

    every = {
        name: values.reshape(-1, *values.shape[2:])
        for name, values in _of_converters(measured).items()
    }
    every["reference_voltage"] = np.repeat(measured.arrays["reference_voltage"], count)
    return replace(
        converter_of(measured, 0),
        samples=np.repeat(measured.samples, count),
        arrays=every,
        columns=count,
    )


def _of_column(every: AdcSurrogate, column: int, count: int) -> AdcSurrogate:
    """One column's converter of a model of all: its chips, and population and verdict of all."""
    arrays = {}
    for name, array in every.model.arrays.items():
        if array.dims[0] == "chip":
            arrays[name] = replace(array, values=array.values[column::count])
        elif array.dims[0] == "replay":
            chip, own = np.divmod(every.array("replay_chip"), count)
            values = chip if name == "replay_chip" else array.values
            arrays[name] = replace(array, values=values[own == column])
        else:
            arrays[name] = array
    return AdcSurrogate(replace(every.model, arrays=arrays))


def replay_arrays(measured: Measured) -> dict[str, ModelArray]:
    """Judged inputs of the monolithic deck, at most 256, and what it sampled and answered."""
    judged = split_of(array_of(measured)).judged
    pairs = np.argwhere(judged if judged.any() else ~judged)
    # From end to end, so that few vectors of all chips come before all vectors of few.
    chip, vector = pairs[:: -(-len(pairs) // _MOST_REPLAYS)].T
    arrays, dims = measured.arrays, ("replay", "converter")
    return {
        "replay_chip": ModelArray(chip, "1", ("replay",), "chip of a stored product"),
        "replay_voltage": ModelArray(
            arrays["row_voltage"][chip, vector], "V", ("replay", "row"), "voltages of its rows"
        ),
        "replay_code": ModelArray(
            arrays["output_code"][chip, vector].astype(np.int64), "1", dims, "codes from SPICE"
        ),
        "replay_sampled_voltage": ModelArray(
            arrays["sampled_voltage"][chip, vector], "V", dims, "inputs of converters from SPICE"
        ),
    }


def pack(parts: MacroParts) -> Mapping[str, dict[str, object]]:
    """Arrays, parameters, settings and gates of all parts, each name with its part before it.

    Axes are named likewise, for parts keep different numbers of examples; the verdict of a part is
    JSON among the settings.
    """
    arrays: dict[str, object] = {}
    parameters: dict[str, object] = {}
    settings: dict[str, object] = {}
    gates: dict[str, object] = {}
    for part, surrogate in parts.named().items():
        model = surrogate.model
        for name, array in model.arrays.items():
            dims = tuple(f"{part}.{dim}" for dim in array.dims)
            arrays[f"{part}.{name}"] = replace(array, dims=dims)
        for name, parameter in model.parameters.items():
            # Of every column the same ten lines: the arrays hold them all.
            if isinstance(surrogate, AdcSurrogate) and is_weight_parameter(name):
                continue
            parameters[f"{part}.{name}"] = replace(parameter, name=f"{part}.{name}")
        gates |= {f"{part}.{name}": limit for name, limit in model.gates.items()}
        texts = {**model.settings, _VERDICT: model.verdict.to_json()}
        settings |= {f"{part}.{name}": text for name, text in texts.items()}
        settings[f"{part}.domain"] = json.dumps(dict(model.domain))
    return {"arrays": arrays, "parameters": parameters, "settings": settings, "gates": gates}


def unpack(model: Model, converters: int) -> MacroParts:
    """Models of the parts from what `pack` made.

    Raises
    ------
    KeyError, ValueError : a part is not whole.
    """
    has_driver, has_front = (
        any(name.startswith(f"{part}.") for name in model.arrays) for part in (DRIVER, FRONT)
    )
    array = CrossbarSurrogate(_part(model, ARRAY, CrossbarSurrogate))
    if not has_front:
        known = {*array.model.arrays, *array.model.parameters}
        missing = sorted(_AMPLIFIERS - known)
        if missing:
            raise KeyError(f"no {ARRAY}.{missing[0]}")
    return MacroParts(
        array,
        tuple(
            AdcSurrogate(_part(model, converter_name(j), AdcSurrogate)) for j in range(converters)
        ),
        DacSurrogate(_part(model, DRIVER, DacSurrogate)) if has_driver else None,
        FrontEndSurrogate(_part(model, FRONT, FrontEndSurrogate)) if has_front else None,
    )


def _part(model: Model, part: str, kind: type[Surrogate]) -> Model:
    own = f"{part}."

    def cut(text: str) -> str:
        return text.removeprefix(own)

    arrays = {
        cut(name): ModelArray(
            array.values, array.units, tuple(map(cut, array.dims)), array.long_name
        )
        for name, array in model.arrays.items()
        if name.startswith(own)
    }
    parameters: dict[str, Parameter] = {
        cut(name): replace(parameter, name=cut(name))
        for name, parameter in model.parameters.items()
        if name.startswith(own)
    }
    needs = (*kind.required, *(BIT_WEIGHTS if kind is AdcSurrogate else ()))
    for found, needed in ((arrays, needs), (parameters, kind.required_parameters)):
        for name in needed:
            if name not in found:
                raise KeyError(f"no {own}{name}")
    settings = {cut(n): text for n, text in model.settings.items() if n.startswith(own)}
    verdict, domain = settings.pop(_VERDICT), json.loads(settings.pop("domain"))
    return Model(
        arrays=arrays,
        parameters=parameters,
        settings=settings,
        gates={cut(n): limit for n, limit in model.gates.items() if n.startswith(own)},
        domain={str(name): str(text) for name, text in domain.items()},
        provenance=model.provenance,
        verdict=Verdict.from_json(verdict),
    )
