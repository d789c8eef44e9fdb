"""The converter that a spot check builds from a drawn chip's bit weights, with real switches."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from imccircuit.benches.adc_parameters import AdcParameters
from imccircuit.networks.characterised import measure
from imccircuit.networks.chips import TileChip
from imccircuit.networks.spot_check import converter_recipe, transistor_share
from imccircuit.recipes.load import Recipe, check_recipe, load_recipe
from imccircuit.results.read import read_results
from imccircuit.surrogates.adc_levels import fit_weights

BITS, UNIT_F = 4, 2e-15
# Far from binary, and an offset: what a drawn chip may be.
CAPACITORS = np.array([1.1, 1.9, 4.2, 7.8])
OFFSET_V = 0.004
SWITCHES = {
    "switches": "transmission_gate", "comparator": "behavioural", "parasitic_capacitor": "40 fF",
    "reference_voltage": "1 V", "common_mode_voltage": "0.6 V", "cycle_time": "10 ns",
}  # fmt: skip


def recipe_of(circuit: dict[str, object]) -> Recipe:
    """A converter with real switches and ``circuit``."""
    shipped = load_recipe("adc_sar8_transistor")
    raw = {
        "title": "switches", "bench": "adc_transfer", "circuit": {**SWITCHES, **circuit},
        "stimulus": {"null_tolerance": "0.01 LSB"},
    }  # fmt: skip
    return check_recipe(shipped.name, shipped.file, shipped.text, raw)


def tile_of(weights: np.ndarray) -> TileChip:
    """A tile of one column with these weights and this offset (bit + 1,) in V."""
    chip = SimpleNamespace(bit_weight_v=weights[None, :-1], level_offset_v=weights[None, -1])
    return cast(TileChip, chip)


@pytest.mark.ngspice
def test_what_switches_add_to_weights_is_not_taken_for_capacitors(tmp_path) -> None:
    base = recipe_of({"bits": BITS, "unit_capacitor": f"{UNIT_F!r} F"})
    own = recipe_of({
        "bit_capacitors": [f"{c * UNIT_F!r} F" for c in CAPACITORS.tolist()],
        "dummy_capacitor": f"{UNIT_F!r} F",
        "comparator_offset": f"{OFFSET_V} V",
    })  # fmt: skip
    measure(own, tmp_path / "chip.h5", 1)
    forced = read_results(tmp_path / "chip.h5").dataset["forced_level"].values
    weights = fit_weights(np.asarray(forced).reshape(1, -1), BITS)[0]
    share = transistor_share(base, tmp_path)
    assert transistor_share(load_recipe("adc_sar8_mismatch"), tmp_path).tolist() == [0.0] * 9

    def built(share_v: np.ndarray) -> tuple[float, float]:
        """Largest error of a bit weight, and that of the offset at the input, in LSB."""
        recipe = converter_recipe(base, tile_of(weights), 0, 0.5, share_v)
        circuit = cast(AdcParameters, recipe.parameters({})).circuit
        found = np.append(circuit.bit_capacitors, circuit.dummy_f)
        wanted = np.append(CAPACITORS, 1.0)
        bits = np.abs(found / found.sum() - wanted / wanted.sum())[:-1]
        at_input = 1 + circuit.parasitic_capacitor / (UNIT_F * wanted.sum())
        offset = abs(circuit.comparator_offset - OFFSET_V) * at_input
        return float(bits.max()) * 2**BITS, float(offset) * 2**BITS

    # The null method finds levels to 0.01 LSB.
    bit, offset = built(share)
    assert bit < 0.01
    assert offset < 0.01
    bit, offset = built(np.zeros(BITS + 1))
    assert bit > 0.01
    assert offset > 0.3


@pytest.mark.parametrize("name", ["adc_sar8_mismatch", "adc_sar8_transistor"])
def test_shipped_converters_can_be_asked_for_one_conversion(name: str) -> None:
    base = load_recipe(name)
    bits = cast(AdcParameters, base.parameters({})).circuit.resolution
    weights = np.append(2.0 ** np.arange(bits) / 2**bits, 0.0)
    recipe = converter_recipe(base, tile_of(weights), 0, 0.3, np.zeros(bits + 1))
    asked = cast(AdcParameters, recipe.parameters({}))
    np.testing.assert_allclose(
        asked.stimulus.loop_input, [0.3 / asked.circuit.reference_voltage], rtol=1e-12
    )
