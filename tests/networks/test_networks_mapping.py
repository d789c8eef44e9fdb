"""Layers on tiles: arithmetic against integer products, voltages against a solved array."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from imccircuit.errors import UsageError
from imccircuit.networks.chips import IDEAL, Scales
from imccircuit.networks.digital_side import ReadNoise
from imccircuit.networks.hardware import Hardware
from imccircuit.networks.mapping import (
    Mapping,
    map_layer,
    quantise_inputs,
    quantise_weights,
)
from imccircuit.networks.models import Layer, Network
from imccircuit.nodal import solve_crossbar
from imccircuit.surrogates.macro_compose import Composition, input_digits

RNG = np.random.default_rng(5)


def network(rows=20, outputs=6):
    weights = RNG.standard_normal((rows, outputs))
    return Network("test", (Layer(weights, np.zeros(outputs), relu=False),))


def test_columns_stand_pair_by_pair_and_slice_by_slice() -> None:
    # 7 and -2 of 4 bits: |7| = 3 + 4·1, |-2| = 2 + 4·0 in slices of 2 bits.
    mapped = map_layer([[7.0, -2.0]], Mapping(8, 8, Composition(4, 4, 4, 2)))
    (tile,) = mapped.tiles
    assert mapped.step == 1.0
    np.testing.assert_array_equal(tile.digits, [[3, 0, 1, 0, 0, 2, 0, 0]])
    np.testing.assert_array_equal(tile.combine[:, 0], [1, -1, 4, -4, 0, 0, 0, 0])
    np.testing.assert_array_equal(tile.combine[:, 1], [0, 0, 0, 0, 1, -1, 4, -4])


@pytest.mark.parametrize("signed", ["differential", "offset"])
@pytest.mark.parametrize(
    ("rows", "cols", "slice_bits", "pass_bits"), [(64, 64, 4, 4), (7, 6, 1, 1), (3, 5, 3, 2)]
)
def test_tiles_together_are_the_integer_product(signed, rows, cols, slice_bits, pass_bits) -> None:
    composition = Composition(5, 5, pass_bits, slice_bits, signed)
    mapped = map_layer(RNG.standard_normal((20, 6)), Mapping(rows, cols, composition))
    x = RNG.integers(0, 32, (11, 20))
    total = -composition.offset * x.sum(axis=1, keepdims=True) * np.ones(6)
    for number, digits in enumerate(input_digits(x, composition)):
        for tile in mapped.tiles:
            assert tile.digits.shape[0] <= rows
            assert tile.digits.shape[1] <= cols
            found = digits[:, tile.rows] @ tile.digits @ tile.combine
            total += 2 ** (pass_bits * number) * found
    np.testing.assert_array_equal(total, x @ mapped.integers)


def test_no_pair_is_torn() -> None:
    mapped = map_layer(RNG.standard_normal((4, 9)), Mapping(64, 7, Composition(4, 4, 4, 3)))
    for tile in mapped.tiles:
        assert tile.combine.sum() == 0  # a plus for every minus


def test_a_tile_smaller_than_one_slice_is_one_line() -> None:
    with pytest.raises(UsageError, match=r"smaller than one slice.*from 1 row and 2") as caught:
        Mapping(64, 1, Composition(4, 4))
    assert "\n" not in str(caught.value)
    assert Mapping(64, 1, Composition(4, 4, signed="offset")).halves == 1
    with pytest.raises(UsageError, match="smaller than one slice"):
        Mapping(0, 64, Composition(4, 4))


def test_weights_fill_their_integers_and_inputs_theirs() -> None:
    integers, step = quantise_weights([[0.3, -1.4], [0.0, 0.72]], Composition(4, 4))
    assert step == pytest.approx(0.2, abs=1e-15)
    np.testing.assert_array_equal(integers, [[2, -7], [0, 4]])
    np.testing.assert_array_equal(quantise_inputs([[0.0, 0.5, 1.0, 9.0]], 1.0, 2), [[0, 2, 3, 3]])
    with pytest.raises(UsageError, match="another scaling: from -1 to 1"):
        quantise_inputs([[-1.0, 1.0]], 1.0, 4)
    with pytest.raises(UsageError, match="finite"):
        quantise_weights([[np.nan]], Composition(4, 4))


@pytest.mark.parametrize(("signed", "most"), [("differential", 0.3), ("offset", 1.5)])
def test_ideal_circuits_with_steps_to_spare_give_the_product(signed, most, population) -> None:
    """Rows alone, 2 bits times 3: 256 steps for sums to 21; slices of an offset weigh up to 8."""
    mapping = Mapping(1, 64, Composition(2, 4, 2, 3, signed))
    hardware = Hardware(network(rows=3), mapping, population, RNG.random((50, 3)), "maximum")
    (layer,) = hardware.program(1, 0, IDEAL)
    x = RNG.integers(0, 4, (40, 3))
    exact = x @ hardware.mapped[0].integers
    np.testing.assert_allclose(layer.sums(x, None), exact, rtol=0, atol=most)


def test_codes_are_those_of_the_solved_array(population) -> None:
    """Each tile again, by solving every node, and by counting levels; offsets at zero."""
    calm = replace(population, front_end=replace(population.front_end, offset_sigma_v=0.0))
    mapping = Mapping(16, 8, Composition(4, 5, 2, 2))
    hardware = Hardware(network(), mapping, calm, RNG.random((60, 20)))
    (layer,) = hardware.program(3, 1)
    x = RNG.integers(0, 16, (25, 20))
    compared = 0
    for digits in input_digits(x, mapping.composition):
        for index, tile in enumerate(hardware.mapped[0].tiles):
            chip, part = layer.tiles[index], digits[:, tile.rows].astype(np.uint8)
            feedback = 1.0 / hardware.ranges[0].full_scale_a / 0.999
            drive = -0.2 / 3 * part
            current = solve_crossbar(chip.conductance_s, drive, r_row_ohm=2.0, r_col_ohm=3.0,
                                     r_sense_ohm=0.001 * feedback).output_current_a  # fmt: skip
            voltage = -0.999 * feedback * current
            expected = np.sum(voltage[:, :, None] > chip.levels_v, axis=2)
            # In single precision a voltage within 1e-6 of 1 V of a level may fall on either side,
            # and so may one that rounded weights move as far.
            rounding = layer.rounding_v(index)
            assert np.all(rounding < 1e-3)
            distance = np.min(np.abs(voltage[:, :, None] - chip.levels_v), axis=2)
            sure = distance > 1e-6 + rounding
            np.testing.assert_array_equal(layer.codes(index, part)[sure], expected[sure])
            compared += int(sure.sum())
    assert compared > 1000


def test_a_chip_is_its_key(population) -> None:
    hardware = Hardware(network(), Mapping(16, 8, Composition(4, 5, 4, 4)), population,
                        RNG.random((60, 20)))  # fmt: skip
    one, again, other = (hardware.program(3, k)[0].tiles[1] for k in (0, 0, 1))
    np.testing.assert_array_equal(one.conductance_s, again.conductance_s)
    np.testing.assert_array_equal(one.levels_v, again.levels_v)
    assert not np.any(one.conductance_s == other.conductance_s)
    assert not np.any(one.levels_v[:, 100] == other.levels_v[:, 100])
    # Every column has a converter of its own, with the σ it was drawn from.
    assert np.std(one.level_offset_v) == pytest.approx(2e-3, abs=1.5e-3)


def test_noise_is_the_same_in_parts_and_has_its_sigma(population) -> None:
    hardware = Hardware(network(), Mapping(32, 64, Composition(4, 5, 4, 4)), population,
                        RNG.random((60, 20)))  # fmt: skip
    (layer,) = hardware.program(3, 0)
    x, noise = RNG.random((100, 20)), ReadNoise(9, 5e-3)
    whole = layer(x, noise, 0, 0)
    parts = [layer(x[:37], noise, 0, 0), layer(x[37:], noise, 0, 37)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    assert not np.array_equal(whole, layer(x, noise, 1, 0))
    # 5 mV is 1.3 steps of 3.9 mV, so that many codes move by it: σ of a column pair is √2 larger.
    calm = layer(x, None, 0, 0)
    step = 1 / 256 / (layer.tiles[0].transresistance_ohm * layer.digit_v * population.step_s(15))
    scale = step * hardware.mapped[0].step * hardware.ranges[0].input_full_scale / 15
    moved = np.std(whole - calm) / scale / hardware.ranges[0].gain
    # Rounding of both adds 2/12 to each column; 600 sums know their σ within 3 %, asked are 10 %.
    assert moved == pytest.approx(np.sqrt(2 * (1.28**2 + 1 / 6)), rel=0.1, abs=0)


def test_dropped_decisions_are_dropped_bits(population) -> None:
    hardware = Hardware(network(), Mapping(32, 64, Composition(4, 5, 4, 4)), population,
                        RNG.random((60, 20)))  # fmt: skip
    digits = RNG.integers(0, 16, (50, 20)).astype(np.uint8)
    full = hardware.program(3, 0)[0].codes(0, digits)
    short = hardware.program(3, 0, Scales(drop_bits=3))[0].codes(0, digits)
    np.testing.assert_array_equal(short, full >> 3)
    with pytest.raises(UsageError, match="0 to 7"):
        hardware.program(3, 0, Scales(drop_bits=8))


def test_offsets_drive_the_cells_that_they_stand_at(population) -> None:
    """Without wires an input at e takes e·Σ g of the column; a nodal solve says so with them."""
    hardware = Hardware(network(), Mapping(32, 64, Composition(4, 5, 4, 4)), population,
                        RNG.random((60, 20)))  # fmt: skip
    normal = [hardware.program(3, 0, Scales(wires=w, spread=0))[0].tiles[0] for w in (0.0, 1e-6)]
    offset = normal[0].output_offset_v  # both shares are 0.999 in this population
    np.testing.assert_allclose(
        normal[0].offset_current_a, -offset * normal[0].conductance_s.sum(axis=0), rtol=1e-12
    )
    # An amplifier's input resistance stays, R_t/1000: a per cent of what the cells together have.
    np.testing.assert_allclose(normal[1].offset_current_a, normal[0].offset_current_a, rtol=0.03)
    # What an offset does to the code: its own level and, amplified, that of its cells.
    silent = np.zeros((1, 20), dtype=np.uint8)
    layer = hardware.program(3, 0, Scales(spread=0))[0]
    voltage = offset - layer.tiles[0].transresistance_ohm * layer.tiles[0].offset_current_a
    np.testing.assert_allclose(layer.voltages_v(0, silent)[0], voltage, rtol=0, atol=1e-12)
    expected = np.sum(voltage[:, None] > layer.tiles[0].levels_v, axis=1)
    np.testing.assert_array_equal(layer.codes(0, silent)[0], expected)
