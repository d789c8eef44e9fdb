"""Chips that tiles are programmed on: cells, wires, front ends and converters, drawn by key.

Everything here was fitted to SPICE. Of the array: the resistance of wires and of a front end's
input, and how much of an amplifier's offset arrives at its input and at its output. A layer with
another feedback resistance has its transresistance and its input resistance in proportion, as an
amplifier of the same gain has. Of the converter: the population of its bit weights and offset, and
the curvature that levels have beside them, the same in all columns: junctions of switches bend it,
not mismatch.

A tile of a chip is what the bench ``crossbar_mvm`` would draw for it: cells from the stream
``conductance`` and offsets from the stream ``tia_offset``, keyed by `tile_seed`; so SPICE can be
asked for the same tile of the same chip.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.devices.draws import Draws
from imccircuit.devices.rram import RramCard
from imccircuit.errors import UsageError
from imccircuit.surrogates.adc import AdcSurrogate
from imccircuit.surrogates.adc_levels import predict_forced, predict_levels
from imccircuit.surrogates.adc_noise import decision_levels
from imccircuit.surrogates.array_model import ArrayModel

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scales:
    """How much of each non-ideality there is: 1 as characterised, 0 none.

    Attributes
    ----------
    wires : factor on the resistances of wires, drivers and sense ends.
    spread : factor on the deviation of every cell from what was programmed.
    mismatch : factor on the deviation of every bit weight from the ideal one.
    curvature : factor on what levels of converters have beyond bit weights and offset.
    offsets : factor on the offsets of amplifiers and comparators.
    noise : factor on the noise of conversions.
    drop_bits : decisions that the converters leave out at the end.
    read_time_s : time between programming and reading in s; None: the card's.
    """

    wires: float = 1.0
    spread: float = 1.0
    mismatch: float = 1.0
    curvature: float = 1.0
    offsets: float = 1.0
    noise: float = 1.0
    drop_bits: int = 0
    read_time_s: float | None = None


IDEAL = Scales(wires=0.0, spread=0.0, mismatch=0.0, curvature=0.0, offsets=0.0, noise=0.0)
"""Cells as programmed, no wires, uniform levels, no noise; bits and range remain."""


@dataclass(frozen=True)
class FrontEnd:
    """Amplifiers of the columns, as ratios to their feedback resistance and their offset.

    Attributes
    ----------
    gain_ratio : transresistance over feedback resistance.
    sense_ratio : input resistance over feedback resistance.
    at_input, at_output : share of an amplifier's offset at its input, and at its output.
    offset_v, offset_sigma_v : mean and σ of the offsets in V.
    """

    gain_ratio: float
    sense_ratio: float
    at_input: float
    at_output: float
    offset_v: float
    offset_sigma_v: float


@dataclass(frozen=True)
class Population:
    """What chips are drawn from.

    Attributes
    ----------
    card : of the cells.
    temperature_factor : of the conductances.
    read_time_s : of the cells in s; None: the card's.
    physics : fitted array; its sense resistance is that of the wires alone.
    front_end : fitted amplifiers.
    converter : fitted converter.
    read_voltage_v : of the largest digit.
    """

    card: RramCard
    temperature_factor: float
    read_time_s: float | None
    physics: ArrayModel
    front_end: FrontEnd
    converter: AdcSurrogate
    read_voltage_v: float

    @property
    def off_s(self) -> float:
        """Conductance of digit 0 in S."""
        return float(self.card.off_conductance.value * self.temperature_factor)

    def step_s(self, most: int) -> float:
        """Conductance between digits in S where ``most`` is the largest."""
        on = self.card.on_conductance.value * self.temperature_factor
        return float((on - self.off_s) / most)

    def targets(self, digits: NDArray[np.int64], most: int) -> Floats:
        """Conductances in S that a tile is programmed to, at 27 °C."""
        on, off = self.card.on_conductance.value, self.card.off_conductance.value
        return np.asarray(off + (on - off) / most * digits)

    @property
    def noise_v(self) -> float:
        """Noise of a conversion in V rms, all of it drawn once; 0 where the model knows none."""
        known = self.converter.model.parameters
        parts = [known[n].value for n in ("noise_sampled", "noise_decision") if n in known]
        return float(np.sqrt(sum(part**2 for part in parts)))


@dataclass(frozen=True)
class TileChip:
    """One tile on one chip.

    Attributes
    ----------
    conductance_s : (row, col) of the cells in S.
    effective_s : (row, col) in S, current = voltage @ matrix, wires included.
    offset_current_a : (col,) of the amplifiers' input offsets in A.
    output_offset_v : (col,) in V.
    transresistance_ohm : of the amplifiers.
    levels_v : (col, code) of the columns' converters in V.
    bit_weight_v, level_offset_v : (col, bit) and (col,) they follow from, beside the curvature.
    """

    conductance_s: Floats
    effective_s: Floats
    offset_current_a: Floats
    output_offset_v: Floats
    transresistance_ohm: float
    levels_v: Floats
    bit_weight_v: Floats
    level_offset_v: Floats


def tile_seed(seed: int, chip: int, layer: int, tile: int) -> int:
    """Seed of the draws of one tile, 32 bits."""
    state = np.random.SeedSequence([seed, chip, layer, tile]).generate_state(1, np.uint32)
    return int(state[0])


def draw_tile(
    population: Population,
    digits: NDArray[np.int64],
    most: int,
    full_scale_a: float,
    seed: int,
    scales: Scales,
) -> TileChip:
    """Program digits (row, col), 0 … ``most``, on a tile that is drawn with ``seed``.

    Parameters
    ----------
    full_scale_a : column current for which the front end answers with the converter's full scale.
    seed : of `tile_seed`.

    Raises
    ------
    UsageError : the card does not know the read time.
    """
    front, draws = population.front_end, Draws(seed, 0)
    r_t = population.converter.full_scale_v / full_scale_a
    target = population.targets(digits, most)
    g = _cells(population, target, draws, scales)
    cols = digits.shape[1]
    normal = draws.generator("tia_offset").standard_normal(cols)
    offset = scales.offsets * (front.offset_v + front.offset_sigma_v * normal)
    physics = _physics(population, r_t, scales)
    if physics is None:
        # Rows stand at 0 V: an offset drives its column's cells, and no others.
        effective, current = g, -front.at_input * offset * g.sum(axis=0)
    else:
        effective = physics.effective_conductance(g)
        current = np.zeros(cols)
        if np.any(offset):
            current = -(front.at_input * offset) @ physics.port_admittance(g)
    weights, level_offset = _converters(population.converter, cols, seed, scales)
    both = np.column_stack([weights, level_offset])
    curvature = scales.curvature * _curvature_v(population.converter)
    levels = predict_levels(both, weights.shape[1], curvature)
    every = 2**scales.drop_bits
    return TileChip(
        conductance_s=g,
        effective_s=effective,
        offset_current_a=current,
        output_offset_v=np.asarray(front.at_output * offset),
        transresistance_ohm=r_t,
        levels_v=levels[:, every - 1 :: every],
        bit_weight_v=weights,
        level_offset_v=level_offset,
    )


def _cells(population: Population, target: Floats, draws: Draws, scales: Scales) -> Floats:
    time = population.read_time_s if scales.read_time_s is None else scales.read_time_s
    g = target
    if scales.spread > 0:
        drawn = population.card.spread_at(time).draw(draws.generator("conductance"), target)
        # More than once the deviation may pass zero, which no resistor does.
        g = drawn if scales.spread == 1 else np.maximum(target + scales.spread * (drawn - target),
                                                        1e-3 * np.min(target))  # fmt: skip
    return np.asarray(g * population.temperature_factor)


def _physics(population: Population, r_t_ohm: float, scales: Scales) -> ArrayModel | None:
    """Array with the layer's amplifiers; None where there are no resistances at all."""
    if scales.wires == 0:
        return None
    fitted, front = population.physics, population.front_end
    sense = front.sense_ratio * r_t_ohm / front.gain_ratio
    return ArrayModel(
        r_row_ohm=scales.wires * fitted.r_row_ohm,
        r_col_ohm=scales.wires * fitted.r_col_ohm,
        r_driver_ohm=scales.wires * fitted.r_driver_ohm,
        r_sense_ohm=scales.wires * fitted.r_sense_ohm + sense,
    )


def _converters(
    converter: AdcSurrogate, cols: int, seed: int, scales: Scales
) -> tuple[Floats, Floats]:
    """Bit weights (col, bit) and offsets (col,) in V of the columns' converters."""
    ideal = converter.lsb_v * 2.0 ** np.arange(converter.bits)
    if converter.level_law is not None:
        raise UsageError("the converter has no bit weights to scale; allowed: one that has")
    if not 0 <= scales.drop_bits < converter.bits:
        raise UsageError(f"{scales.drop_bits} bits left out; allowed: 0 to {converter.bits - 1}")
    if scales.mismatch == 0 and scales.offsets == 0:
        return np.tile(ideal, (cols, 1)), np.zeros(cols)
    if converter.has_population:
        stream = zlib.crc32(b"converters")
        drawn: dict[str, Any] = converter.sample_chips(cols, (stream << 32) | seed)
        weights, offset = drawn["bit_weight"], drawn["level_offset"]
    else:
        # One chip was measured: every column has that one.
        weights = np.tile(converter.array("bit_weight")[0], (cols, 1))
        offset = np.tile(converter.array("level_offset")[0], cols)
    return ideal + scales.mismatch * (weights - ideal), scales.offsets * offset


def _curvature_v(converter: AdcSurrogate) -> Floats:
    """Curvature (code,) in V of every column's levels: what all chips share, or the only one's."""
    if converter.has_population:
        shared = converter.shared_level_v
        return np.zeros(2**converter.bits - 1) if shared is None else shared
    weights = np.append(converter.array("bit_weight")[0], converter.array("level_offset")[0])
    by_weights = predict_forced(weights[None], converter.bits)[0]
    return np.asarray(decision_levels(converter, 0) - by_weights)
