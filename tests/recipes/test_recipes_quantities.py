"""Variations and temperatures that would change nothing, or cannot be, are refused on loading."""

import re

import numpy as np
import pytest

from imccircuit import library
from imccircuit.benches.bench import Variation
from imccircuit.devices.draws import Draws
from imccircuit.engines.ngspice import NgspiceEngine
from imccircuit.errors import InputError
from imccircuit.recipes.load import load_recipe


def refusal(name, *sets):
    with pytest.raises(InputError) as caught:
        load_recipe(str(name), sets)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.fixture
def subcircuits(tmp_path):
    """Card of a technology whose transistors are subcircuits."""
    text = (library.path("device_models") / "mos_generic.toml").read_text()
    text = text.replace('"mos_generic.lib"', '"cells.spice"\ndevice = "subcircuit"')
    text = text.replace("imc_nmos", "fet_n").replace("imc_pmos", "fet_p")
    text = text.replace('{ tt = "tt", ff = "ff", ss = "ss" }', '{ tt = "" }')
    path = tmp_path / "kit.toml"
    path.write_text(text)
    (tmp_path / "cells.spice").write_text(
        ".subckt fet_n d g s b\n.ends\n.subckt fet_p d g s b\n.ends\n"
    )
    return path


@pytest.mark.parametrize(
    ("name", "sets", "quantity"),
    [
        ("onet1r_iv", (), "transistor"),
        ("irc_column", ("sweep=[]",), "threshold"),
        ("irc_column", ("sweep=[]",), "current_factor"),
        ("sense_amp", ("sweep=[]",), "transistor"),
        ("readout_tia_transistor", (), "transistor"),
        ("adc_ramp8_mismatch", (), "ramp_transistors"),
        ("adc_ramp8_transistor", ("sweep=[]",), "comparator_transistors"),
        ("comparator_strongarm", ("sweep=[]",), "input_pair"),
        ("dac_pulse_width", ("circuit.switches=transistor",), "driver"),
        ("aidac_small_transistor", ("circuit.time_cell=starved",), "time_cells"),
        ("aidac_small_transistor", (), "switches"),
        ("aidac_small_driver", (), "row_drivers"),
    ],
)
def test_subcircuits_take_no_mismatch(subcircuits, name, sets, quantity):
    common = (*sets, f"technology={subcircuits}")
    load_recipe(name, [*common, "variation.quantities=[]"])
    error = refusal(name, *common, f"variation.quantities=['{quantity}']")
    assert error.key == "variation.quantities"
    assert error.value == quantity
    assert "kit.toml gives transistors as subcircuits" in str(error)


def test_subcircuits_at_one_point_of_a_sweep(subcircuits, tmp_path):
    sweep = f"sweep=[{{technology = ['mos_generic', '{subcircuits}']}}]"
    varied = "variation.quantities=['conductance', 'transistor']"
    assert "subcircuits" in str(refusal("onet1r_iv", sweep, varied))
    # Where no transistor is, none is mismatched.
    load_recipe("adc_ramp8", ["circuit.comparator_offset_sigma=1 mV", f"technology={subcircuits}",
                              "variation.quantities=['comparator_offset']"])  # fmt: skip


@pytest.fixture
def spreadless(tmp_path):
    """Card of cells that are all alike."""
    text = (library.path("device_models") / "rram_10k.toml").read_text()
    path = tmp_path / "alike.toml"
    path.write_text(re.sub(r"(?ms)^\[spread\].*?(?=^\[|\Z)", "", text))
    return path


@pytest.mark.parametrize("name", ["rram_iv", "irc_column_mismatch", "crossbar_ir_drop"])
def test_a_card_without_spread_varies_no_conductance(spreadless, name):
    sets = ("sweep=[]", "circuit={}", f"circuit.device_card={spreadless}", "variation.samples=2")
    load_recipe(name, [*sets, "variation.quantities=[]"])
    error = refusal(name, *sets, "variation.quantities=['conductance']")
    assert "varies nothing with this device_card" in str(error)
    both = f"sweep=[{{'circuit.device_card' = ['rram_10k', '{spreadless}']}}]"
    load_recipe(name, ["circuit={}", both, "variation.quantities=['conductance']"])


PASSIVE = [
    ("rram_iv", ()),
    ("rram_iv", ("circuit={cell='1r_sinh', device_card='rram_sinh'}",)),
    ("crossbar_ir_drop", ()),
    ("crossbar_ir_drop", ("circuit.cell=1r_sinh", "circuit.device_card=rram_sinh")),
    ("crossbar_digits", ()),
]


@pytest.mark.parametrize(("name", "sets"), PASSIVE)
def test_a_temperature_on_which_nothing_depends(name, sets):
    load_recipe(name, [*sets, "conditions.temperature=27 degC"])
    for change in ("conditions.temperature=85 degC",
                   "sweep=[{'conditions.temperature' = ['27 degC', '85 degC']}]"):  # fmt: skip
        error = refusal(name, *sets, change)
        assert "conditions.temperature would change nothing" in str(error)


@pytest.mark.parametrize(
    ("name", "sets"),
    [
        ("onet1r_iv", ()),
        ("crossbar_ir_drop", ("circuit.cell=1t1r",)),
        ("adc_sar8", ()),  # noise of sampling
        ("adc_ramp8", ()),  # of the reset
        ("readout_tia", ()),
    ],
)
def test_a_temperature_that_counts(name, sets):
    recipe = load_recipe(name, [*sets, "conditions.temperature=85 degC"])
    assert recipe.parameters(next(recipe.steps())).has_temperature


@pytest.mark.ngspice
@pytest.mark.parametrize(("name", "sets"), PASSIVE[:4])
def test_passive_cells_are_the_same_at_every_temperature(name, sets):
    small = ("circuit.rows=3", "circuit.cols=3", "stimulus.batch=2") if "cross" in name else ()
    recipe = load_recipe(name, [*sets, *small])
    parameters = recipe.parameters(next(recipe.steps()))
    hot = parameters.conditions.model_copy(update={"temperature": 125.0})
    found = [
        measured(recipe.bench, p)
        for p in (parameters, parameters.model_copy(update={"conditions": hot}))
    ]
    for key, values in found[0].items():
        np.testing.assert_array_equal(values, found[1][key], err_msg=key)


def measured(bench, parameters):
    """Arrays that a bench returns."""
    measurement = bench.measure(parameters, Variation(Draws(0, 0)))
    problem = next(measurement)
    try:
        while True:
            (outcome,) = NgspiceEngine().solve([problem])
            problem = measurement.send(outcome.answer)
    except StopIteration as stop:
        return stop.value


def test_a_swept_key_that_is_idle_everywhere(tmp_path):
    # Its first value is its default, so no point alone shows that it changes nothing.
    (tmp_path / "r.toml").write_text(
        'bench = "crossbar_mvm"\n[[sweep]]\ncircuit.tia_gain = [1000.0, 2000.0]\n'
    )
    with pytest.raises(InputError, match=r"circuit\.tia_gain would change nothing"):
        load_recipe(str(tmp_path / "r.toml"))
