"""The pair of columns that a sense amplifier compares: ternary weights, binary inputs.

The columns are those of the bench `irc_column` (`imccircuit.circuits.irc_column`), with wires,
clamp and always-on rows. Their currents are solved for first and then drawn out of the amplifier:
it loads the columns only as far as `minimum_input_voltage` says that it leaves them enough.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.bench import Arrays, Variation
from imccircuit.benches.irc_currents import pair_arrays
from imccircuit.benches.irc_drawn import draw_cells
from imccircuit.benches.irc_parameters import Cells, IrcParameters
from imccircuit.benches.problem import Answer, Problem
from imccircuit.benches.sense_parameters import SenseParameters
from imccircuit.devices.draws import Draws


def pair_currents(
    parameters: SenseParameters, variation: Variation
) -> Generator[Problem, Answer, Arrays]:
    """``pair_current`` (pair, side) A, ``ideal_sum`` (pair), ``ternary_weight`` (row), and others.

    The cells are those that `irc_column` draws for the same seed and chip.
    """
    entropy = variation.draws.entropy
    column = column_parameters(parameters, binary_inputs(parameters, entropy))
    return (yield from pair_arrays(column, draw_cells(column, variation), entropy))


def column_parameters(parameters: SenseParameters, inputs: NDArray[np.float64]) -> IrcParameters:
    """Parameters of the pair as those of the bench `irc_column`."""
    circuit, conditions = parameters.circuit, parameters.conditions
    if circuit.pair.word_line_voltage is not None:
        # The supply is the amplifier's alone then, and `irc_column` refuses one.
        conditions = conditions.model_copy(update={"supply": None})
    tables: dict[str, Any] = {
        "technology": parameters.technology,
        "conditions": conditions,
        "circuit": {
            **{key: getattr(circuit.pair, key) for key in Cells.model_fields},
            "rows": circuit.rows,
            "bias_rows": circuit.bias_rows,
            "ternary": True,
        },
        "stimulus": {"read_voltage": parameters.stimulus.read_voltage, "inputs": inputs},
    }
    return IrcParameters.model_validate(tables, context={"trusted": True})


def binary_inputs(parameters: SenseParameters, entropy: int) -> NDArray[np.float64]:
    """(pair, row) of 0 and 1: given, or drawn once, the same for all chips.

    The number of active rows is drawn with even odds from 1 to `most_active`, then which they are:
    even odds for each row would leave the pairs of few active rows out, for which there is an
    extra bias.
    """
    given = parameters.stimulus.inputs
    if given is not None:
        return given
    generator = Draws(entropy, 0).generator("stimulus")
    rows = parameters.circuit.rows
    counts = generator.integers(1, parameters.most_active + 1, parameters.pairs)
    inputs = np.zeros((len(counts), rows))
    for row, count in zip(inputs, counts.tolist(), strict=True):
        row[generator.permutation(rows)[:count]] = 1.0
    return inputs
