"""The shipped macro against its one deck, and a signed product that decks compute bit by bit."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from imccircuit.recipes.load import load_recipe
from imccircuit.recipes.plan import Plan
from imccircuit.results.read import read_results
from imccircuit.surrogates.fit import fit_results
from imccircuit.surrogates.macro import MacroSurrogate
from imccircuit.surrogates.macro_compose import Composition
from imccircuit.sweeps.run import RunOptions, run_plan

pytestmark = [pytest.mark.long, pytest.mark.ngspice]

Integers = NDArray[np.int64]


def run(path: Path, recipe: str | Path, settings: Sequence[str] = ()) -> Path:
    summary = run_plan(Plan(load_recipe(str(recipe), settings)), path, RunOptions(jobs=1))
    assert summary.failed == 0, summary.reasons
    return path


def fitted(path: Path) -> MacroSurrogate:
    model = fit_results(path)
    assert isinstance(model, MacroSurrogate)
    logging.getLogger(__name__).info("%s", model.verdict)
    return model


@pytest.mark.parametrize(
    ("name", "vectors"),
    # Of ideal amplifiers two vectors show the offsets, others show themselves alone.
    [("macro_sar8", 6), ("macro_sar8_amplifiers", 8)],
)
def test_a_shipped_macro_passes_its_gates(tmp_path: Path, name: str, vectors: int) -> None:
    """64 × 8 cells and 8 bits, with two converters, ten chips and eight vectors of the recipe's."""
    settings = ["circuit.converters=2", "variation.samples=10", "stimulus.batch=8"]
    verdict = fitted(run(tmp_path / "macro.h5", name, settings)).verdict
    assert verdict.reference.startswith("ngspice")
    figure = verdict.errors[0]
    # Five chips are held out.
    assert (figure.quantity, figure.count) == ("input of a conversion", 5 * vectors * 2)
    found = {gate.name: gate.value for gate in verdict.gates}
    assert found["input_error, rms"] <= 0.1
    assert found["differing codes outside the 95 % interval"] == 0
    assert found["transition_distance"] <= 0.3
    assert verdict.state == "pass", str(verdict)


ROWS, CONVERTERS, BITS = 16, 4, 6
# The parts of macro_sar8, smaller. Cells are programmed exactly; front ends and converters are
# those of one drawn chip.
RECIPE = f"""
bench = "macro_mvm"
[circuit]
converters = {CONVERTERS}
output_resistance = "1 kohm"
reference_resistance = "50 ohm"
[circuit.array]
CELLS
readout = "tia"
row_segment_resistance = "1 ohm"
column_segment_resistance = "1 ohm"
tia_feedback_resistance = "20 kohm"
tia_offset_sigma = "1 mV"
[circuit.converter]
bits = {BITS}
unit_capacitor = "2 fF"
comparator_offset_sigma = "2 mV"
[stimulus]
INPUTS
[variation]
samples = 1
seed = 1
quantities = ["tia_offset", "bit_capacitors", "comparator_offset"]
"""


def recipe(folder: Path, cells: str, inputs: str) -> Path:
    path = folder / "macro.toml"
    path.write_text(RECIPE.replace("CELLS", cells).replace("INPUTS", inputs))
    return path


def on_decks(folder: Path, x: Integers, stored: Integers, on_s: float, off_s: float) -> Integers:
    """Codes (pass, batch, column) of 3-bit inputs and of bits (row, column) stored in columns.

    Every pass drives one bit of the inputs, all passes in one deck; as many columns a deck as there
    are converters, the last ones off.
    """
    passes = np.stack([x >> k & 1 for k in range(3)])
    columns = np.pad(stored, ((0, 0), (0, -stored.shape[1] % CONVERTERS)))
    inputs = passes.reshape(-1, ROWS).astype(float)
    codes = []
    for start in range(0, columns.shape[1], CONVERTERS):
        cells = off_s + (on_s - off_s) * columns[:, start : start + CONVERTERS]
        np.savez(folder / "given.npz", g=cells, x=inputs)
        given = recipe(folder, 'conductances = "given.npz:g"', 'inputs = "given.npz:x"')
        data = read_results(run(folder / f"deck_{start}.h5", given)).dataset
        np.testing.assert_allclose(data["conductance"].values[0, 0], cells, rtol=0, atol=1e-15)
        codes.append(data["output_code"].values[0, 0])
    found = np.concatenate(codes, axis=1)[:, : stored.shape[1]]
    return found.astype(np.int64).reshape(3, len(x), -1)


@pytest.mark.parametrize("signed", ["differential", "offset"])
def test_a_signed_product_bit_by_bit_is_that_of_the_decks(
    tmp_path: Path, signed: Literal["differential", "offset"]
) -> None:
    """Codes of the decks, put together by hand, give what the surrogate's product gives.

    What is common to all columns cancels in differential ones, and shows in offset ones.
    """
    drawn = recipe(tmp_path, f"rows = {ROWS}\ncols = {CONVERTERS}", "batch = 12")
    model = fitted(run(tmp_path / "macro.h5", drawn))
    assert model.verdict.state == "pass", str(model.verdict)
    rng = np.random.default_rng(5)
    x, w = rng.integers(0, 8, (4, ROWS)), rng.integers(-3, 4, (ROWS, 2))
    on, off = model.value("on_conductance"), model.value("off_conductance")
    # Of a column: its bits, the number of its weight, and what its sum counts with its sign.
    halves = [(np.maximum(w, 0), 1), (np.maximum(-w, 0), -1)]
    bits, known = (2, 0) if signed == "differential" else (3, 4 * x.sum(axis=1, keepdims=True))
    if signed == "offset":
        halves = [(w + 4, 1)]
    columns = [(h[:, j] >> k & 1, j, sign * 2**k)
               for h, sign in halves for k in range(bits) for j in range(2)]  # fmt: skip
    codes = on_decks(tmp_path, x, np.stack([c for c, _, _ in columns], axis=1), on, off)
    assert len(np.unique(codes)) >= 8
    # V = 0.1 V + R_f·A/(A + 1)·I and I = 0.1 V·(off·Σx + (on − off)·Σx·w), from the code's middle.
    current = ((codes + 0.5) / 2**BITS - 0.1) / (20e3 * 1000 / 1001)
    driven = np.stack([x >> k & 1 for k in range(3)]).sum(axis=2)
    sums = (current / 0.1 - off * driven[:, :, None]) / (on - off)
    total = np.zeros((len(x), 2))
    for column, (_, j, counts) in enumerate(columns):
        total[:, j] += counts * (sums[0] + 2 * sums[1] + 4 * sums[2])[:, column]
    product = np.rint(total).astype(np.int64) - known
    off_by = np.abs(product - x @ w)
    logging.getLogger(__name__).info("%s of %s, off by %s", product, x @ w, off_by)
    found = model.matrix_product(x, w, Composition(3, 3, 1, 1, signed))
    np.testing.assert_array_equal(found, product)
