"""Every recipe with transistors, in a technology of another supply and of other sizes.

Its decks are to hold no size and no voltage of the generic card where the technology's should
stand, and the measurement is to come out, or to say in one line why not.
"""

import re
import tomllib

import pytest

from imccircuit import library
from imccircuit.benches.bench import MeasurementError, Variation
from imccircuit.devices.draws import Draws
from imccircuit.engines.contract import Status
from imccircuit.engines.ngspice import NgspiceEngine
from imccircuit.errors import InputError
from imccircuit.recipes.load import load_recipe

pytestmark = pytest.mark.ngspice

SMALL = {
    "adc_ramp8_mismatch": ["circuit.bits=5", "circuit.columns=2", "circuit.clock_period=16 ns",
                           "circuit.reference_voltage=0.3 V"],
    "adc_ramp8_transistor": ["circuit.bits=5", "circuit.columns=2", "circuit.clock_period=16 ns",
                             "circuit.reference_voltage=0.3 V"],
    "adc_sar8_transistor": ["circuit.bits=3", "circuit.unit_capacitor=16 fF",
                            "circuit.reference_voltage=0.8 V"],
    "charge_column": ["circuit.rows=8", "stimulus.batch=4", "circuit.storage=6t",
                      "conditions.supply=0.9 V"],
    "irc_column": ["circuit.rows=8"],
    "irc_column_mismatch": ["circuit.rows=8", "stimulus.active_rows=4"],
    "macro_sar8_amplifiers": ["circuit.array.rows=4", "circuit.array.cols=1",
                              "circuit.converters=1", "circuit.converter.bits=3",
                              "stimulus.batch=1", "circuit.front_end.levels=5"],
    "macro_sar8_transistor": ["circuit.array.rows=4", "circuit.array.cols=1",
                              "circuit.converters=1", "circuit.converter.bits=3",
                              "circuit.converter.unit_capacitor=16 fF", "stimulus.batch=1",
                              "circuit.converter.reference_voltage=0.8 V"],
    "onet1r_iv": ["circuit.cells=1"],
    "readout_clamp_mirror_transistor": ["stimulus.levels=5"],
    "readout_integrator_transistor": ["stimulus.levels=5"],
    "readout_tia_transistor": ["stimulus.levels=5"],
    "sense_amp": ["stimulus.active_rows=1"],
    "sense_amp_ternary": ["circuit.rows=4", "stimulus.active_rows=4", "stimulus.batch=2"],
}  # fmt: skip

# Sizes that a cell has of its own, in whatever technology.
OWN = {"ramp_comparator_ota": {"w", "l", "wt", "lt", "wload", "lload"}}
SIZE = re.compile(r"\b([wl]\w*)\s*=\s*(?:\d+(?:\.\d+)?[nu]\b|\{[wl]\w*\})", re.IGNORECASE)


def names():
    shipped = library.names("characterize", ".toml")
    tables = {n: tomllib.loads(library.find("characterize", n, ".toml").read_text())
              for n in shipped}  # fmt: skip
    recipes = [name for name in shipped if tables[name].get("kind") != "study"]
    return [name for name in recipes if with_transistors(name)]


def with_transistors(name):
    recipe = load_recipe(name)
    return recipe.parameters(next(recipe.steps())).has_transistors


@pytest.fixture(scope="module")
def card(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cards")
    source = library.path("device_models")
    (folder / "mos_generic.lib").write_text((source / "mos_generic.lib").read_text())
    text = (source / "mos_generic.toml").read_text()
    for kind, width, length in (("nmos", 300, 130), ("pmos", 400, 180)):
        head, section, tail = text.partition(f"[{kind}]")
        tail = tail.replace('"120 nm"', f'"{width} nm"', 1).replace('"60 nm"', f'"{length} nm"', 1)
        text = head + section + tail
    text = text.replace('value = "1.2 V"', 'value = "0.9 V"', 1)
    path = folder / "other.toml"
    path.write_text(text)
    return path


def watched(recipe, most):
    """Circuits of the first problems of a measurement, each solved, and what it ended with."""
    parameters = recipe.parameters(next(recipe.steps()))
    variation = Variation(Draws(0, 0), frozenset(recipe.common.variation.quantities))
    engine, circuits, end = NgspiceEngine(), [], ""
    measurement = recipe.bench.measure(parameters, variation)
    try:
        problem = next(measurement)
        while True:
            circuits.append(problem.netlist)
            if len(circuits) == most:
                break
            (outcome,) = engine.solve([problem])
            if outcome.status is not Status.GOOD:
                end = outcome.reason
                break
            problem = measurement.send(outcome.answer)
    except StopIteration:
        end = "good"
    except MeasurementError as error:
        end = str(error)
    return circuits, end


def defaulted_sizes(text):
    """Instances of cells that leave a size to the default that stands in the cell."""
    lines = re.sub(r"\n\+", " ", text).splitlines()
    sizes = {}
    for line in lines:
        if line.lower().startswith(".subckt"):
            name = line.split()[1].lower()
            sizes[name] = {m[1].lower() for m in SIZE.finditer(line)} - OWN.get(name, set())
    found = []
    for line in lines:
        words = re.sub(r"\s*=\s*", "=", line).split()
        if line[:1].lower() == "x":
            given = {word.partition("=")[0].lower() for word in words if "=" in word}
            cell = next((word.lower() for word in words if word.lower() in sizes), "")
            if missing := sizes.get(cell, set()) - given:
                found.append((words[0], cell, sorted(missing)))
    return found


def check(name, card, most):
    try:
        recipe = load_recipe(name, [f"technology={card}", *SMALL.get(name, [])], [card.parent])
        circuits, end = watched(recipe, most)
    except InputError as error:
        circuits, end = [], str(error)
    assert "\n" not in end
    for text in circuits:
        assert not defaulted_sizes(text)
        lines = re.sub(r"\n\+", " ", text).splitlines()
        own = (".subckt", ".lib", ".include", "*")
        body = "\n".join(line for line in lines if not line.lower().startswith(own))
        assert not re.findall(r".*\bl\w*\s*=\s*(?:6e-08|60n|0\.06u)\b.*", body, re.IGNORECASE)
        assert not re.findall(r".*(?<![\w.])1\.2(?![\w.]).*", body)
    return circuits, end


@pytest.mark.parametrize("name", names())
def test_decks_have_the_technology_s_sizes_and_supply(name, card):
    circuits, end = check(name, card, 1)
    assert circuits, end


@pytest.mark.long
@pytest.mark.parametrize("name", names())
def test_a_measurement_comes_out_or_says_why_not(name, card):
    _, end = check(name, card, 1000)
    assert end
