"""Keys that change nothing are refused, and no others are dead.

A measurement is run once on a small circuit and its answers are kept. With one key changed it is
run again on those answers: whatever the key changes shows in a problem (circuit, alterations,
options, analysis) or in what is made of the answers, without another simulation.
"""

from types import SimpleNamespace
from typing import Literal, get_args, get_origin

import numpy as np
import pytest

from imccircuit.benches.bench import Variation
from imccircuit.devices.draws import Draws
from imccircuit.engines.contract import Status
from imccircuit.engines.ngspice import NgspiceEngine
from imccircuit.errors import ImcError, InputError
from imccircuit.recipes.fields import field_keys, field_of, unit_of, value_of
from imccircuit.recipes.load import load_recipe
from imccircuit.units import SI

pytestmark = pytest.mark.ngspice

CROSSBAR = ("circuit.rows=3", "circuit.cols=3", "stimulus.batch=2")
READOUT = ("stimulus.levels=5", "stimulus.overdrive=0.5")
CHARGE = ("circuit.rows=4", "stimulus.batch=4", "stimulus.cost_vectors=1", "sweep=[]")
RAMP = ("circuit.bits=4", "circuit.columns=2", "circuit.clock_period=16 ns", "sweep=[]")
IRC = ("circuit.rows=4", "sweep=[]")
SENSE = ("stimulus.active_rows=1", "stimulus.offset_tolerance=4 %", "sweep=[]")
SAR = ("circuit.bits=3", "circuit.columns=4", "circuit.group_size=2", "circuit.column=2",
       "circuit.comparator_offset_sigma=1 mV", "stimulus.energy_inputs=1",
       "variation.quantities=['bit_capacitors', 'comparator_offset']")  # fmt: skip
GROUPED = ("circuit.rows=2", "circuit.outputs=2", "circuit.input_bits=2", "circuit.weight_bits=2",
           "stimulus.vectors=1", "circuit.row_drivers=1", "circuit.driver_gain_sigma=1 %",
           "variation.quantities=['unit_capacitors', 'row_drivers', 'time_cells']")  # fmt: skip
OFFSET = "variation.quantities=['offset']"
CASES = {
    "crossbar": ("crossbar_ir_drop", *CROSSBAR),
    "crossbar 1t1r": ("crossbar_ir_drop", *CROSSBAR, "circuit.cell=1t1r",
                      "variation.quantities=['conductance', 'transistor']"),
    "crossbar 1r_sinh": ("crossbar_ir_drop", *CROSSBAR, "circuit.cell=1r_sinh",
                         "circuit.device_card=rram_sinh"),
    "crossbar tia": ("crossbar_digits", "circuit.rows=3", "circuit.cols=2", "stimulus.batch=2"),
    "crossbar clamp": ("crossbar_digits", "circuit.rows=3", "circuit.cols=2", "stimulus.batch=2",
                       "circuit.readout=clamp_mirror", "circuit.clamp_voltage=0.1 V"),
    "crossbar integrator": ("crossbar_digits", "circuit.rows=3", "circuit.cols=2",
                            "stimulus.batch=2", "circuit.readout=integrator"),
    "tia": ("readout_tia", *READOUT, OFFSET, "circuit.amplifier.offset_sigma=1 mV"),
    "integrator": ("readout_integrator", *READOUT, OFFSET, "circuit.amplifier.offset_sigma=1 mV"),
    "clamp": ("readout_clamp_mirror", *READOUT, OFFSET, "circuit.amplifier.offset_sigma=1 mV",
              # Within the mirror's limit nothing shows of it.
              "circuit.load_resistance=20 kohm"),
    "tia transistor": ("readout_tia_transistor", *READOUT),
    "integrator transistor": ("readout_integrator_transistor", *READOUT),
    "clamp transistor": ("readout_clamp_mirror_transistor", *READOUT),
    "charge": ("charge_array", *CHARGE, "circuit.cols=2"),
    "charge gates": ("charge_column", *CHARGE,
                     "variation.quantities=['unit_capacitor', 'transistor']"),
    "ramp ideal": ("adc_ramp8", *RAMP, "circuit.ramp=ideal"),
    "ramp cascode": ("adc_ramp8_mismatch", *RAMP),
    "ramp mirror": ("adc_ramp8", *RAMP, "circuit.ramp=mirror"),
    "ramp ladder": ("adc_ramp8", *RAMP, "circuit.ramp=ladder",
                    "variation.quantities=['ladder_resistors', 'comparator_offset']",
                    "circuit.comparator_offset_sigma=1 mV"),
    "ramp cdac": ("adc_ramp8", *RAMP, "circuit.ramp=cdac", "circuit.line_capacitor=1 fF"),
    "ramp transistor": ("adc_ramp8_transistor", *RAMP),
    "sar sw": ("adc_sar8", *SAR, "circuit.split.lower_bits=1"),
    "sar gates": ("adc_sar8_transistor", *SAR),
    "grouped ideal": ("aidac_small", *GROUPED, "circuit.time_slope_sigma=1 %",
                      "circuit.arrays=1", "circuit.junction_capacitance=0.1 fF"),
    "grouped transistors": ("aidac_small_transistor", *GROUPED, "circuit.arrays=1"),
    "grouped drivers": ("aidac_small_driver", "circuit.rows=2", "circuit.outputs=2",
                        "circuit.input_bits=2", "circuit.weight_bits=2", "stimulus.vectors=1",
                        "circuit.arrays=1"),
    "cells 1r": ("rram_iv", "circuit.cells=1"),
    "cells 1r_sinh": ("rram_iv", "circuit={cell = '1r_sinh', device_card = 'rram_sinh'}"),
    "cells 1t1r": ("onet1r_iv", "circuit.cells=1"),
    "irc": ("irc_column_mismatch", *IRC, "stimulus.active_rows=3"),
    "irc ternary": ("irc_column", *IRC),
    "sense": ("sense_amp", *SENSE),
    "sense behavioural": ("sense_amp", *SENSE, "circuit.level=behavioural",
                          "variation.quantities=['offset']", "circuit.offset_sigma=1 uA"),
    "sense ternary": ("sense_amp_ternary", "circuit.rows=4", "stimulus.active_rows=4",
                      "stimulus.batch=3", "stimulus.offset_tolerance=4 %", "sweep=[]"),
}  # fmt: skip

# What to try where the default is nothing, by name of the key; arrays are left out.
UNSET = {
    "word_line_voltage": ["0.77 V"], "sinh_voltage": ["0.31 V"], "read_time": ["1000 s"],
    "row_segment_resistance": ["3 ohm"], "column_segment_resistance": ["3 ohm"],
    "row_segment_capacitance": ["1 fF"], "bit_segment_resistance": ["3 ohm"],
    "source_segment_resistance": ["3 ohm"], "reference_voltage": ["0.55 V"],
    "feedback_capacitance": ["1.5 pF"], "load_voltage": ["1.1 V"], "reset_width": [2.0],
    "unit_capacitor": ["1.1 fF"], "current": ["0.01 uA"], "transistor_width": ["200 nm"],
    "transistor_length": ["70 nm"], "active_rows": [2], "batch": [3], "resolution": ["5 uA"],
    "cell_voltages": [False, True], "mirror_width": ["2 um"], "mirror_length": ["2 um"],
    "cascode_length": ["300 nm"], "comparator_noise": ["1 mV"],
}  # fmt: skip

# Keys that may be changed without any effect on these circuits, and why.
SILENT = {
    ("crossbar clamp", "circuit.mirror_swing_low"): "a limit that nothing here reaches",
    ("sar sw", "stimulus.null_tolerance"): "nothing left to tolerate in a linear circuit",
    ("sar gates", "stimulus.null_tolerance"): "one pass is enough either way",
    ("sar sw", "circuit.columns"): "says only which columns there are",
    ("sar gates", "circuit.columns"): "says only which columns there are",
    ("sense", "circuit.rows"): "a limit of active_rows",
    ("sense behavioural", "circuit.rows"): "a limit of active_rows",
}


@pytest.fixture(scope="module")
def known():
    """Recipe, parameters and answers of each case."""
    engine, found = NgspiceEngine(), {}

    def get(case):
        if case not in found:
            name, *sets = CASES[case]
            recipe = load_recipe(name, sets)
            start = next(recipe.steps())
            parameters = recipe.parameters(start)
            answers = []
            traced = trace(recipe, parameters, engine=engine, answers=answers)
            assert "raised" not in traced[-1], traced[-1]
            found[case] = SimpleNamespace(recipe=recipe, start=start, parameters=parameters,
                                          answers=answers, traced=traced)  # fmt: skip
        return found[case]

    return get


def trace(recipe, parameters, *, answers, engine=None):
    """Problems and arrays as text; answers of an engine, or those that were kept."""
    given, said = iter(answers[:]), []
    quantities = frozenset(recipe.common.variation.quantities)
    measurement = recipe.bench.measure(parameters, Variation(Draws(1, 0), quantities))
    try:
        problem = next(measurement)
        while True:
            said.append(repr((problem.netlist, problem.analysis, problem.alterations,
                              dict(problem.options), problem.temperature_degc)))  # fmt: skip
            if engine is None:
                answer = next(given)
            else:
                (outcome,) = engine.solve([problem])
                assert outcome.status is Status.GOOD, outcome.reason
                answer = outcome.answer
                answers.append(answer)
            problem = measurement.send(answer)
    except StopIteration as stop:
        said.append(repr({k: np.asarray(v).tolist() for k, v in (stop.value or {}).items()}))
    except (ImcError, ArithmeticError, LookupError, ValueError) as error:
        said.append(f"raised {error!r}")
    return said


def alternatives(model, key, value):
    """Other values of a key, as a recipe writes them."""
    field = field_of(model, key)
    if get_origin(field.annotation) is Literal:
        return [choice for choice in get_args(field.annotation) if choice != value]
    if value is None:
        return UNSET.get(key.rpartition(".")[2], [])
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1, 2 * value]
    if not isinstance(value, float):
        return []
    numbers = (
        [factor * value for factor in (1.07, 0.93, 2.0, 3.0)] if value else [1e-2, 1e-6, 1e-15]
    )
    has_unit = any(isinstance(mark, SI) for mark in field.metadata)
    return [f"{number!r} {unit_of(field)}".rstrip() for number in numbers] if has_unit else numbers


def own_keys(model):
    return [key for key in field_keys(model) if key.split(".")[0] in ("circuit", "stimulus")]


@pytest.mark.parametrize("case", CASES)
def test_keys_that_are_not_idle_change_something(known, case):
    at = known(case)
    model, idle = at.recipe.bench.parameters, {*at.parameters.idle_keys()}
    varied = at.recipe.common.variation.quantities
    idle |= {key for key, name in at.parameters.spread_keys().items() if name not in varied}
    dead = []
    for key in own_keys(model):
        if key in idle or (case, key) in SILENT:
            continue
        tried = changed = False
        for value in alternatives(model, key, value_of(at.parameters, key)):
            try:
                parameters = at.recipe.parameters({**at.start, key: value})
            except InputError as error:
                if f"{key} would change nothing" in str(error):
                    dead.append(key)
                continue
            tried = True
            changed = trace(at.recipe, parameters, answers=at.answers) != at.traced
            if changed:
                break
        if tried and not changed:
            dead.append(key)
    assert not dead


@pytest.mark.parametrize("case", CASES)
def test_idle_keys_change_nothing_and_are_refused(known, case):
    at = known(case)
    model = at.recipe.bench.parameters
    for key in at.parameters.idle_keys():
        if key in ("technology", "conditions.supply"):
            continue
        values = alternatives(model, key, value_of(at.parameters, key))
        for value in values:
            with pytest.raises(InputError) as caught:
                at.recipe.parameters({**at.start, key: value})
            assert "\n" not in str(caught.value)
        assert not values or f"{key} would change nothing with" in str(caught.value)
        table, *path = key.split(".")
        number = value_of(at.parameters, key)
        if isinstance(number, float | int) and not isinstance(number, bool):
            parameters = replaced(at.parameters, [table, *path], 1.07 * number + 1e-3)
            assert trace(at.recipe, parameters, answers=at.answers) == at.traced, key


def replaced(model, path, value):
    """Copy with one value set, unchecked."""
    head, *rest = path
    inner = replaced(getattr(model, head), rest, value) if rest else value
    return model.model_copy(update={head: inner})


@pytest.mark.parametrize(
    ("case", "quantity", "why"),
    [
        ("crossbar", "transistor", 'cell = "1r"'),
        ("crossbar", "tia_offset", 'readout = "ideal"'),
        ("tia", "transistor", 'implementation = "behavioural"'),
        ("tia transistor", "offset", 'implementation = "transistor"'),
        ("ramp ideal", "ramp_transistors", 'ramp = "ideal"'),
        ("ramp ideal", "comparator_offset", "a spread of zero"),
        ("ramp ladder", "staircase_capacitors", 'ramp = "ladder"'),
        ("ramp mirror", "comparator_transistors", 'comparator = "behavioural"'),
        ("cells 1r", "transistor", 'cell = "1r"'),
        ("charge", "transistor", 'switches = "sw"'),
        ("sense", "offset", 'level = "transistor"'),
        ("sense behavioural", "transistor", 'level = "behavioural"'),
        ("sense", "conductance", 'mapping = "counts"'),
    ],
)
def test_quantities_that_vary_nothing_are_refused(case, quantity, why):
    name, *sets = CASES[case]
    with pytest.raises(InputError, match=f"'{quantity}': varies nothing with {why}") as caught:
        load_recipe(name, [*sets, f"variation.quantities=['{quantity}']"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("case", "axis", "quantity"),
    [
        ("crossbar tia", "circuit.tia_offset_sigma=['1 mV', '2 mV']", "tia_offset"),
        ("ramp ladder", "circuit.ladder_mismatch=[0.001, 0.002]", "ladder_resistors"),
        ("crossbar tia", "circuit.read_time=['1 s', '10 s']", "conductance"),
    ],
)
def test_a_sweep_over_the_spread_of_what_does_not_vary_is_refused(case, axis, quantity):
    name, *sets = CASES[case]
    key, _, values = axis.partition("=")
    sweep = f"sweep=[{{ '{key}' = {values} }}]"
    load_recipe(name, [key_ for key_ in sets if key_ != "sweep=[]"] + [sweep])
    with pytest.raises(InputError, match=f"while its quantity does not vary.*{quantity}"):
        load_recipe(name, [*(one for one in sets if "quantities" not in one), sweep,
                           "variation.quantities=[]"])  # fmt: skip


COLUMNS = ("adc_sar8", "circuit.comparator_offset_sigma=1 mV")


def test_one_of_several_quantities_keeps_a_key_alive():
    name, *sets = COLUMNS
    sets += ["circuit.columns=4", "sweep=[{ 'circuit.column' = [0, 2] }]"]
    for one in ("bit_capacitors", "comparator_offset"):
        load_recipe(name, [*sets, f"variation.quantities=['{one}']"])
    why = "does not vary.*'bit_capacitors' or 'comparator_offset'"
    with pytest.raises(InputError, match=why) as caught:
        load_recipe(name, [*sets, "variation.quantities=[]"])
    assert "\n" not in str(caught.value)


def test_a_sweep_over_a_mere_bound_is_refused():
    name, *sets = COLUMNS
    with pytest.raises(InputError, match=r"sweep.circuit.columns .* only bounds circuit.group"):
        load_recipe(name, [*sets, "sweep=[{ 'circuit.columns' = [4, 8] }]"])


def test_a_card_without_mismatch_varies_nothing():
    name, *sets = CASES["charge"]
    recipe = load_recipe(name, sets)
    parameters = recipe.parameters({})
    card = parameters.circuit.capacitor_card
    none = card.reference_sigma.model_copy(update={"value": 0.0})
    still = replaced(parameters, ["circuit", "capacitor_card"],
                     card.model_copy(update={"reference_sigma": none}))  # fmt: skip
    assert "unit_capacitor" not in parameters.idle_quantities()
    assert "unit_capacitor" in still.idle_quantities()


def test_a_key_that_counts_at_one_point_of_a_sweep_may_be_given():
    sweep = "sweep=[{ 'circuit.ramp' = ['ideal', 'mirror'] }]"
    load_recipe("adc_ramp8_kinds", [sweep, "circuit.mirror_length=4 um"])
    with pytest.raises(InputError, match="cascode_length would change nothing"):
        load_recipe("adc_ramp8_kinds", [sweep, "circuit.cascode_length=4 um"])
