"""A network on a chip: every product through drawn tiles, front ends, converters and noise.

    V_j = o_j + R_t (Σ_row read·digit/most·G_eff − offset current_j),  code = levels below V_j

What becomes of codes, see `imccircuit.networks.digital_side`. The product and its conversion are
one kernel of whole digits (`imccircuit.surrogates.kernels.mvm`), which rounds R_t·G_eff to sixteen
bits; the offset of a column, which does not depend on the inputs, is taken off its levels
beforehand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.networks.chips import IDEAL, Population, Scales, TileChip, draw_tile, tile_seed
from imccircuit.networks.digital_side import (
    Digital,
    DigitalSide,
    ReadNoise,
    TileSums,
    run_network,
)
from imccircuit.networks.mapping import MappedLayer, Mapping, map_layer, quantise_inputs
from imccircuit.networks.models import Floats, Network
from imccircuit.networks.ranges import LayerRange, calibrate_gain, calibrate_range
from imccircuit.surrogates.kernels.codes import code_table
from imccircuit.surrogates.kernels.mvm import CodedProduct
from imccircuit.surrogates.kernels.noise import ConversionNoise
from imccircuit.surrogates.macro_compose import input_digits

Change = Callable[[TileChip, int], TileChip]


class LayerChip(DigitalSide):
    """A mapped layer on the tiles of one chip.

    Parameters
    ----------
    mapped, mapping : the layer's integers on tiles.
    tiles : the tiles as drawn.
    population : what they were drawn from.
    found : calibration of the layer.
    """

    def __init__(
        self,
        mapped: MappedLayer,
        mapping: Mapping,
        tiles: Sequence[TileChip],
        population: Population,
        found: LayerRange,
    ) -> None:
        composition = mapping.composition
        self.full_scale_v = population.converter.full_scale_v
        self.tiles = tuple(tiles)
        digit_v = population.read_voltage_v / composition.largest_input_digit
        step = population.step_s(composition.largest_weight_digit)
        self._products, sums = [], []
        for tile, place in zip(self.tiles, mapped.tiles, strict=True):
            constant = tile.output_offset_v - tile.transresistance_ohm * tile.offset_current_a
            # Rows are pulled down and the amplifiers invert: currents of the cells count upwards.
            matrix = (tile.transresistance_ohm * digit_v * tile.effective_s).astype(np.float32)
            table = code_table(tile.levels_v - constant[:, None])
            self._products.append(CodedProduct(matrix, table, input_bits=composition.pass_bits))
            lsb = self.full_scale_v / (tile.levels_v.shape[1] + 1)
            worth = lsb / (tile.transresistance_ohm * digit_v * step)
            sums.append(TileSums(place.rows, place.combine, worth))
        off = population.off_s / step
        super().__init__(Digital(composition, found, mapped.step, off, digit_v, tuple(sums)))

    def codes(
        self, tile: int, digits: NDArray[np.uint8], noise: ConversionNoise | None = None
    ) -> NDArray[Any]:
        """Codes (vector, col) that a tile answers digits (vector, row) with."""
        return self._products[tile](digits, noise)

    def rounding_v(self, tile: int) -> Floats:
        """Most in V by which rounded weights move what a tile's converters get, (col,)."""
        return self._products[tile].rounding_v

    def voltages_v(self, tile: int, digits: NDArray[Any]) -> Floats:
        """Voltages (vector, col) in V before a tile's converters, in double precision."""
        drawn = self.tiles[tile]
        current = self.digit_v * np.asarray(digits, dtype=np.float64) @ drawn.effective_s
        return np.asarray(
            drawn.output_offset_v + drawn.transresistance_ohm * (current - drawn.offset_current_a)
        )


class Hardware:
    """A network that is mapped and calibrated, ready to be programmed on chips.

    Parameters
    ----------
    network : in float.
    mapping : how its layers are laid on tiles.
    population : what chips are drawn from.
    rule, percentile : of the ranges; see `imccircuit.networks.ranges`.
    images : (image, pixel) calibration data.

    Attributes
    ----------
    mapped : its layers on tiles.
    ranges : calibration of each layer.

    Raises
    ------
    UsageError : another scaling of the images, or calibration data without a signal.
    """

    def __init__(
        self,
        network: Network,
        mapping: Mapping,
        population: Population,
        images: Floats,
        rule: str = "least_error",
        percentile: float = 99.9,
    ) -> None:
        self.network, self.mapping, self.population = network, mapping, population
        self.mapped = tuple(map_layer(layer.weights, mapping) for layer in network.layers)
        self._rule, self._percentile = rule, percentile
        self.ranges: tuple[LayerRange, ...] = ()
        found: list[LayerRange] = []

        def observe(number: int, rows: Floats) -> Floats:
            found.append(self._calibrate(number, rows))
            return rows @ network.layers[number].weights

        network.logits(images, observe)
        self.ranges = tuple(found)

    def _calibrate(self, number: int, rows: Floats) -> LayerRange:
        """Range from the currents of a chip without spread, gain from its sums.

        The gain is of what columns show: what is taken off afterwards has nothing to do with it.
        """
        composition, population = self.mapping.composition, self.population
        full, _, _ = calibrate_range(rows, "maximum", composition.input_bits)
        x = quantise_inputs(rows, full, composition.input_bits)
        digit_v = population.read_voltage_v / composition.largest_input_digit
        most = composition.largest_weight_digit
        currents = [
            digit_v * (digits[:, tile.rows] @ population.targets(tile.digits, most)).ravel()
            for digits in input_digits(x, composition)
            for tile in self.mapped[number].tiles
        ]
        every = population.temperature_factor * np.concatenate(currents)
        bits = population.converter.bits
        current, clipped, error = calibrate_range(every, self._rule, bits, self._percentile)
        found = LayerRange(full, current, clipped, error)
        nominal = replace(IDEAL, wires=1.0)
        layer = self._program(number, found, 0, 0, nominal)
        exact = x @ self.mapped[number].integers + layer.common(x)
        return replace(found, gain=calibrate_gain(exact, layer.raw_sums(x, None)))

    def _program(
        self,
        number: int,
        found: LayerRange,
        seed: int,
        chip: int,
        scales: Scales,
        change: Change | None = None,
    ) -> LayerChip:
        most = self.mapping.composition.largest_weight_digit
        tiles = [
            draw_tile(
                self.population,
                tile.digits,
                most,
                found.full_scale_a,
                tile_seed(seed, chip, number, index),
                scales,
            )
            for index, tile in enumerate(self.mapped[number].tiles)
        ]
        if change is not None:
            tiles = [
                change(tile, tile_seed(seed, chip, number, index))
                for index, tile in enumerate(tiles)
            ]
        return LayerChip(self.mapped[number], self.mapping, tiles, self.population, found)

    def program(
        self, seed: int, chip: int, scales: Scales | None = None, change: Change | None = None
    ) -> tuple[LayerChip, ...]:
        """The layers on the tiles of one chip.

        Ideal wires need no gain, so without wires the gain is 1.

        Parameters
        ----------
        change : made to every tile as drawn, given its seed.
        """
        scales = Scales() if scales is None else scales
        ranges = self.ranges
        if scales.wires == 0:
            ranges = tuple(replace(item, gain=1.0) for item in ranges)
        return tuple(
            self._program(number, found, seed, chip, scales, change)
            for number, found in enumerate(ranges)
        )

    def logits(
        self,
        layers: Sequence[LayerChip],
        images: Floats,
        noise: ReadNoise | None = None,
        chip: int = 0,
    ) -> Floats:
        """Outputs (image, class) for images (image, pixel) on a programmed chip."""
        return run_network(self.network, layers, images, noise, chip)
