"""Front ends of a macro that are not ideal: each drawn one alone, and with the array.

Alone, every column's own amplifier goes through the bench `readout_transfer`, whose variables have
``front_end_`` before their names and ``col`` before their axes here. Array and front ends together,
without converters, are one more deck: no surrogate is fitted to it, it tells what in the one deck
is the converters' doing.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.bench import Along, Arrays, MeasurementError, Variable, Variation
from imccircuit.benches.macro_parameters import FRONT_QUANTITIES, MacroParameters
from imccircuit.benches.problem import Answer, OperatingPoint, Probe, Problem
from imccircuit.benches.readout_front import draw_front
from imccircuit.benches.readout_transfer import BENCH as FRONT_END
from imccircuit.circuits.crossbar import output_current_vectors, output_voltage_vectors
from imccircuit.circuits.crossbar_parts import Cell
from imccircuit.circuits.macro import Amplifiers, front_ends
from imccircuit.circuits.readout_parts import Tia
from imccircuit.errors import UsageError
from imccircuit.nodal.array import ResistiveArray

Floats = NDArray[np.float64]

PREFIX = "front_end_"
"""Before the names of a front end's variables, and of their axes but the column."""
FRONT_VARIABLES = (
    "output_voltage", "input_voltage", "driven_output", "gain", "lsb", "offset_voltage",
    "input_resistance", "settling_time", "noise_sigma", "energy", "latency", "area",
)  # fmt: skip
"""Variables of a front end alone that a macro keeps."""
_DIMS = ("level", "drive", "edge", "block")
# As where a front end is alone.
_OPTIONS: Mapping[str, str | float] = {"reltol": 1e-6, "vntol": 1e-9}
_LARGEST_V, _LARGEST_A = 1e3, 1.0


@dataclass(frozen=True)
class ColumnVariation(Variation):
    """What differs from front end to front end: as of a chip of its own, by column."""

    column: int = 0

    def generator(self, quantity: str) -> np.random.Generator | None:
        """Generator of a front end's quantity; that of column 0 has the macro's plain name."""
        name = FRONT_QUANTITIES[quantity]
        if name not in self.quantities:
            return None
        return self.draws.generator(name if self.column == 0 else f"{name}/{self.column}")


@dataclass(frozen=True)
class Fronts:
    """Drawn front ends of a chip.

    Attributes
    ----------
    amplifiers : for a deck of the whole.
    arrays : what was measured of each alone, ``front_end_…`` (col, …).
    temperature_degc : circuit temperature.
    """

    amplifiers: Amplifiers
    arrays: Arrays
    temperature_degc: float

    def with_array(
        self, array: ResistiveArray, voltage_v: Floats, cell: Cell
    ) -> Generator[Problem, Answer, Arrays]:
        """``output_current`` in A and ``output_voltage`` in V, (batch, col), without converters.

        Parameters
        ----------
        array : with the resistance of the rows' drivers.
        voltage_v : (batch, row) drive voltages in V, without load.
        """
        cols = array.shape[1]
        answer = yield Problem(
            circuit=front_ends(array, voltage_v[0], self.amplifiers, cell=cell),
            analysis=OperatingPoint(),
            probes=(
                Probe("output_current", output_current_vectors(cols), (cols,), _LARGEST_A),
                Probe("output_voltage", output_voltage_vectors(cols), (cols,), _LARGEST_V),
            ),
            alterations=tuple(
                {f"vin_{row}": float(value) for row, value in enumerate(vector)}
                for vector in voltage_v
            ),
            options=_OPTIONS,
            temperature_degc=self.temperature_degc,
        )
        return {name: answer.final(name) for name in ("output_current", "output_voltage")}


def measure_fronts(
    parameters: MacroParameters, variation: Variation
) -> Generator[Problem, Answer, Fronts]:
    """Draw a front end a column and measure each alone.

    Raises
    ------
    MeasurementError : one of them is saturated within its range, or does not settle.
    UsageError : the macro's front ends are ideal.
    """
    alone = parameters.front_end_parameters()
    if alone is None:
        raise UsageError("the macro's front ends are ideal: there is nothing to draw")
    fronts, found = [], []
    for column in range(parameters.cols):
        own = ColumnVariation(variation.draws, variation.quantities, column)
        fronts.append(cast(Tia, draw_front(alone, own)))
        try:
            arrays = yield from FRONT_END.measure(alone, own)
        except MeasurementError as error:
            # The bench of a front end names keys of its own.
            text = str(error).replace("stimulus.", "circuit.front_end.")
            raise MeasurementError(f"front end of column {column}, alone: {text}") from None
        found.append(arrays)
    given = parameters.circuit.front_end
    return Fronts(
        Amplifiers(tuple(fronts), given.line_capacitance, given.load_capacitance),
        {PREFIX + name: np.stack([one[name] for one in found]) for name in FRONT_VARIABLES},
        parameters.conditions.temperature,
    )


def front_sizes(parameters: MacroParameters) -> dict[str, int]:
    """Length of the axes of a front end's variables; none where they are ideal."""
    alone = parameters.front_end_parameters()
    if alone is None:
        return {}
    sizes = FRONT_END.sizes(alone)
    return {PREFIX + dim: sizes[dim] for dim in _DIMS}


def front_variables(parameters: MacroParameters) -> tuple[Variable, ...]:
    """Those of `FRONT_VARIABLES` and of the array alone; none where front ends are ideal."""
    alone = parameters.front_end_parameters()
    if alone is None:
        return ()
    known = {variable.name: variable for variable in FRONT_END.variables(alone)}
    own = Variable("array_current", ("batch", "col"), "A", "column current, bit lines at the bias")
    return own, *(
        replace(
            known[name],
            name=PREFIX + name,
            dims=("col", *(PREFIX + dim for dim in known[name].dims)),
            long_name=f"{known[name].long_name}, front end alone",
        )
        for name in FRONT_VARIABLES
    )


def front_coordinates(parameters: MacroParameters) -> Mapping[str, NDArray[Any] | Along]:
    """Values along those axes."""
    alone = parameters.front_end_parameters()
    if alone is None:
        return {}
    found = FRONT_END.coordinates(alone)
    return {PREFIX + dim: found[dim] for dim in _DIMS}
