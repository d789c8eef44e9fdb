"""SPICE itself on tile operations drawn at random, chip for chip.

An operation is one vector of digits of one pass on one tile of one chip. The deck of the array is
built from the recipe alone: the conductances that were meant, the layer's feedback resistance and
the tile's seed; cells and offsets are drawn by the bench. For a conversion the deck of the
converter is built from the bit weights w and the offset o of the drawn converter,

    C_k = w_k C/V_ref,  C_dummy = C − Σ C_k,  comparator offset = −o C/(C + C_parasitic)

with C the nominal sum, and the operation's voltage is converted in closed loop. Switches and a
latch of transistors add to weights and offset; what they add is taken off first, as measured once
on the converter without mismatch, for the deck adds it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.adc_parameters import AdcParameters
from imccircuit.metrics.adc import compute_codes
from imccircuit.networks.characterised import Characterised, measure
from imccircuit.networks.chips import TileChip, tile_seed
from imccircuit.networks.hardware import Hardware, LayerChip
from imccircuit.recipes.load import Recipe, check_recipe
from imccircuit.results.read import read_results
from imccircuit.surrogates.adc_levels import fit_weights

# Keys of a recipe's circuit that what is given here takes the place of.
_ARRAY_KEYS = ("rows", "cols", "weights", "conductances", "differential")
_CONVERTER_KEYS = (
    "bits", "unit_capacitor", "capacitor_card", "dummy_capacitor", "bit_capacitors",
    "comparator_offset", "comparator_offset_sigma", "columns", "group_size", "column",
)  # fmt: skip


@dataclass(frozen=True)
class Operation:
    """One vector on one tile of one chip.

    Attributes
    ----------
    model, chip, layer, tile : which tile of which chip, of the network named.
    digits : (row,) that drive it.
    hardware : the network as mapped; its ranges and seed make the tile.
    programmed : the layer on that chip.
    seed : of all chips.
    """

    model: str
    chip: int
    layer: int
    tile: int
    digits: NDArray[np.uint8]
    hardware: Hardware
    programmed: LayerChip
    seed: int


@dataclass(frozen=True)
class Checked:
    """What SPICE said to one operation.

    Attributes
    ----------
    label : the operation.
    difference_v : largest difference in V of the columns' voltages, surrogate minus SPICE.
    limit_v : the stricter of what the array's gate and, at its input, the converter's allow.
    codes : number of columns.
    codes_apart : columns whose voltages give another code on the same levels.
    conversions, conversions_apart : in closed loop; those count as apart that gave another code
        though their voltage is further from a level than the converter's gate allows.
    """

    label: str
    difference_v: float
    limit_v: float
    codes: int
    codes_apart: int
    conversions: int
    conversions_apart: int

    @property
    def agrees(self) -> bool:
        """Within the gates of both surrogates."""
        return bool(self.difference_v <= self.limit_v) and self.conversions_apart == 0


def transistor_share(converter: Recipe, folder: Path) -> NDArray[np.float64]:
    """What transistors add to bit weights, lowest first, and offset (bit + 1,) in V.

    The fit of the recipe's converter without mismatch less what its capacitors and its comparator's
    offset say; zeros of a circuit without transistors.

    Raises
    ------
    EngineError : SPICE did not solve it.
    """
    parameters = cast(AdcParameters, converter.parameters({}))
    circuit = parameters.circuit
    if not parameters.has_transistors:
        return np.zeros(circuit.resolution + 1)
    raw = {
        **{key: value for key, value in converter.raw.items() if key != "variation"},
        "stimulus": {**converter.raw.get("stimulus", {}), "energy_inputs": 0},
    }
    output = folder / "converter-without-mismatch.h5"
    measure(check_recipe(converter.name, converter.file, converter.text, raw), output, 1)
    forced = np.asarray(read_results(output).dataset["forced_level"].values)
    found = fit_weights(forced.reshape(1, -1), circuit.resolution)[0]
    total = float(circuit.nominal_f.sum()) + circuit.dummy_f
    from_capacitors = circuit.nominal_f / total * circuit.reference_voltage
    offset = -circuit.comparator_offset * (total + circuit.parasitic_capacitor) / total
    return np.asarray(found - np.append(from_capacitors, offset))


def check_operation(
    operation: Operation,
    parts: Characterised,
    conversions: int,
    folder: Path,
    share_v: NDArray[np.float64],
) -> Checked:
    """Ask SPICE for an operation, and for ``conversions`` of its columns in closed loop.

    Parameters
    ----------
    share_v : that of `transistor_share`.

    Raises
    ------
    EngineError : SPICE did not solve it.
    """
    tile, layer = operation.programmed.tiles[operation.tile], operation.programmed
    name = f"{operation.model}-{operation.layer}-{operation.tile}-{operation.chip}"
    output = folder / f"array-{name}.h5"
    measure(_array_recipe(operation, parts, tile), output, 1)
    spice = np.asarray(read_results(output).dataset["output_voltage"].values[0, 0, 0])
    found = layer.voltages_v(operation.tile, operation.digits[None])[0]
    codes = [
        np.array([compute_codes(tile.levels_v[j], v[j : j + 1])[0] for j in range(len(v))])
        for v in (found, spice)
    ]
    apart, asked = 0, min(conversions, len(spice))
    model = parts.converter_model
    own_v = model.model.gates["max_error"] * model.lsb_v
    inside = (spice > 0.0) & (spice < model.full_scale_v)
    columns = np.flatnonzero(inside)[:: max(1, int(inside.sum()) // max(1, asked))][:asked]
    for j in columns:
        output = folder / f"converter-{name}-{j}.h5"
        recipe = converter_recipe(parts.converter, tile, int(j), float(spice[j]), share_v)
        measure(recipe, output, 1)
        code = int(read_results(output).dataset["loop_code"].values[0, 0].ravel()[0])
        near = float(np.min(np.abs(tile.levels_v[j] - spice[j])))
        apart += int(code != codes[1][j] and near > own_v)
    return Checked(
        label=f"{operation.model}, layer {operation.layer}, tile {operation.tile}, "
        f"chip {operation.chip}",
        difference_v=float(np.max(np.abs(found - spice))),
        limit_v=min(parts.array_model.model.gates["max_error"] * model.full_scale_v, own_v),
        codes=len(spice),
        codes_apart=int(np.sum(codes[0] != codes[1])),
        conversions=len(columns),
        conversions_apart=apart,
    )


def _array_recipe(operation: Operation, parts: Characterised, tile: TileChip) -> Recipe:
    base, hardware = parts.array, operation.hardware
    digits = hardware.mapped[operation.layer].tiles[operation.tile].digits
    most = hardware.mapping.composition.largest_weight_digit
    feedback = tile.transresistance_ohm / parts.population.front_end.gain_ratio
    seed = tile_seed(operation.seed, operation.chip, operation.layer, operation.tile)
    drive = -operation.programmed.digit_v * operation.digits.astype(np.float64)
    raw = {
        **base.raw,
        "circuit": {
            **{k: v for k, v in base.raw["circuit"].items() if k not in _ARRAY_KEYS},
            "conductances": parts.population.targets(digits, most),
            "tia_feedback_resistance": f"{feedback!r} ohm",
        },
        "stimulus": {"voltages": drive[None], "cell_voltages": False},
        "variation": {
            "samples": 1, "seed": seed, "quantities": ["conductance", "tia_offset"],
        },
    }  # fmt: skip
    return check_recipe(base.name, base.file, base.text, raw)


def converter_recipe(
    base: Recipe, tile: TileChip, column: int, voltage_v: float, share_v: NDArray[np.float64]
) -> Recipe:
    """One conversion of ``voltage_v`` by the converter of a tile's column; see the module."""
    circuit = cast(AdcParameters, base.parameters({})).circuit
    total = float(circuit.nominal_f.sum()) + circuit.dummy_f
    bits = (tile.bit_weight_v[column] - share_v[:-1]) / circuit.reference_voltage * total
    level_offset = tile.level_offset_v[column] - share_v[-1]
    offset = -level_offset * total / (total + circuit.parasitic_capacitor)
    given: dict[str, Any] = {
        "bit_capacitors": [f"{value!r} F" for value in bits.tolist()],
        "dummy_capacitor": f"{max(0.0, total - float(bits.sum()))!r} F",
        "comparator_offset": f"{float(offset)!r} V",
    }
    kept = {k: v for k, v in base.raw["circuit"].items() if k not in _CONVERTER_KEYS}
    raw = {
        **{k: v for k, v in base.raw.items() if k != "variation"},
        "circuit": {**kept, **given},
        "stimulus": {
            **{k: v for k, v in base.raw.get("stimulus", {}).items() if k != "loop_tolerance"},
            "loop_input": [voltage_v / circuit.reference_voltage],
        },
    }
    return check_recipe(base.name, base.file, base.text, raw)
