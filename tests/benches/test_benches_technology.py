"""A recipe on cards of one's own: wires, and a foundry's library with other names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imccircuit import library
from imccircuit.errors import InputError
from imccircuit.recipes.load import load_recipe
from imccircuit.recipes.plan import Plan
from imccircuit.results.read import read_results
from imccircuit.sweeps.run import RunOptions, run_plan

RECIPE = """
bench = "crossbar_mvm"
[circuit]
cell = "1t1r"
conductances = [[1e-5, 4e-5], [2e-5, 1e-6]]
{cards}
[stimulus]
voltages = [[0.2, 0.1]]
"""


def write_foundry(folder: Path) -> None:
    """The generic pair under other model names and sections, as a foundry would name them."""
    text = (library.path("device_models") / "mos_generic.lib").read_text()
    text = (
        text.replace("mos_generic.lib", "foundry.lib")
        .replace("imc_nmos", "nch_lvt")
        .replace("imc_pmos", "pch_lvt")
    )
    for section in ("tt", "ff", "ss"):
        text = text.replace(f".lib {section}", f".lib top_{section}")
        text = text.replace(f".endl {section}", f".endl top_{section}")
    (folder / "foundry.lib").write_text(text)
    card = (library.path("device_models") / "mos_generic.toml").read_text()
    card = card.replace("mos_generic.lib", "foundry.lib")
    card = card.replace('"imc_nmos"', '"nch_lvt"').replace('"imc_pmos"', '"pch_lvt"')
    for section in ("tt", "ff", "ss"):
        card = card.replace(f'{section} = "{section}"', f'{section} = "top_{section}"')
    (folder / "foundry.toml").write_text(card)


def run(folder: Path, cards: str, head: str = "") -> np.ndarray:
    recipe = folder / "mine.toml"
    recipe.write_text(head + RECIPE.format(cards=cards))
    output = folder / "out.h5"
    summary = run_plan(Plan(load_recipe(str(recipe))), output, RunOptions(jobs=1, mode="fresh"))
    assert summary.failed == 0, summary.reasons
    return np.asarray(read_results(output).dataset["output_current"].values[0, 0])


@pytest.mark.ngspice
def test_foundry_library_gives_the_current_of_the_same_models(tmp_path: Path) -> None:
    write_foundry(tmp_path)
    generic = run(tmp_path, "")
    foundry = run(tmp_path, "", 'technology = "foundry.toml"\n')
    # The same models under other names: the same numbers.
    np.testing.assert_array_equal(foundry, generic)
    assert np.all(generic > 0)


def test_model_that_the_library_lacks(tmp_path: Path) -> None:
    write_foundry(tmp_path)
    card = tmp_path / "foundry.toml"
    card.write_text(card.read_text().replace("nch_lvt", "nch_hvt"))
    with pytest.raises(InputError, match=r"nch_hvt.*allowed") as caught:
        run(tmp_path, "", 'technology = "foundry.toml"\n')
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.h5").exists()


def test_wire_card_decides_where_the_recipe_says_nothing(tmp_path: Path) -> None:
    card = (library.path("device_models") / "wire_generic.toml").read_text()
    (tmp_path / "thin.toml").write_text(card.replace('"2 ohm"', '"7 ohm"', 1))
    (tmp_path / "mine.toml").write_text(
        RECIPE.format(cards='wire_card = "thin.toml"\ncolumn_segment_resistance = "0 ohm"')
    )
    circuit = load_recipe(str(tmp_path / "mine.toml")).parameters({}).circuit
    assert circuit.row_ohm == 7.0
    assert circuit.column_ohm == 0.0


def test_a_corner_that_would_change_nothing(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text('bench = "adc_transfer"\nconditions.corner = "ff"\n')
    with pytest.raises(InputError, match=r"conditions\.corner would change nothing.*allowed"):
        load_recipe(str(tmp_path / "r.toml"))
    (tmp_path / "r.toml").write_text(RECIPE.format(cards="") + '[conditions]\ncorner = "xx"')
    with pytest.raises(InputError, match=r"'xx': no such corner; allowed: tt, ff, ss"):
        load_recipe(str(tmp_path / "r.toml"))


@pytest.mark.ngspice
def test_corner_supply_and_temperature_move_a_1t1r_cell_as_physics_says(tmp_path: Path) -> None:
    def current(conditions: str) -> float:
        return float(run(tmp_path, "", f"conditions = {{ {conditions} }}\n")[0, 1])

    nominal = current("")
    assert current('corner = "ff"') > nominal > current('corner = "ss"')
    assert current('supply = "1.3 V"') > nominal > current('supply = "1.0 V"')
    # Far above threshold a hot channel conducts worse.
    assert current('temperature = "85 degC"') < nominal
