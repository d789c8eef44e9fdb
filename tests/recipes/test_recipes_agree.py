"""Every shipped recipe, made small: the same numbers from other solvers and a renamed technology.

A recipe that is added is tested here without a line of its own, unless it is slow as it is.
"""

import os
import re
import tomllib
from functools import cache

import numpy as np
import pytest
from driving import measure

from imccircuit import library
from imccircuit.benches.problem import Transient
from imccircuit.engines.ngspice import NgspiceEngine
from imccircuit.recipes.load import load_recipe
from imccircuit.recipes.plan import Plan

pytestmark = pytest.mark.ngspice
OLD = os.environ.get("IMCCIRCUIT_NGSPICE_OLD")


def is_recipe(name):
    text = library.find("characterize", name, ".toml").read_text()
    return tomllib.loads(text).get("kind") != "study"


NAMES = [name for name in library.names("characterize", ".toml") if is_recipe(name)]


SMALL: dict[str, list[str]] = {
    "adc_ramp8": ["circuit.bits=4"],
    "adc_ramp8_kinds": ["circuit.columns=1"],
    "adc_ramp8_mismatch": ["circuit.bits=4", "circuit.columns=2", "circuit.clock_period=64 ns"],
    "adc_ramp8_transistor": ["circuit.bits=4", "circuit.columns=1"],
    "adc_ramp5_rough": ["circuit.bits=4", "circuit.columns=2", "circuit.clock_period=64 ns"],
    "adc_sar5_mismatch": ["circuit.bits=3"],
    "adc_sar5_rough": ["circuit.bits=3"],
    "adc_sar8": ["circuit.bits=4"],
    "adc_sar8_mismatch": ["circuit.bits=3"],
    "adc_sar8_transistor": ["circuit.bits=3", 'circuit.unit_capacitor="16 fF"'],
    "adc_sar_split10": ["circuit.bits=4", "circuit.split.lower_bits=2"],
    "aidac_small": ["circuit.input_bits=2", "circuit.weight_bits=2", "circuit.rows=2",
                    "circuit.outputs=2", "stimulus.vectors=1"],
    "charge_array": ["circuit.rows=8", "circuit.cols=2", "stimulus.batch=2"],
    "charge_column": ["circuit.rows=8", "stimulus.batch=2", "stimulus.cost_vectors=1"],
    "charge_column_sizes": ["circuit.rows=8", "stimulus.batch=2"],
    "comparator_strongarm": ['stimulus.overdrives=["1 mV", "10 mV", "100 mV"]'],
    "crossbar_digits": ["circuit.rows=8"],
    "dac_capacitor": ["circuit.bits=3"],
    "dac_ladder": ["circuit.bits=3"],
    "dac_pulse_width": ["circuit.bits=3"],
    "irc_column": ["circuit.rows=8"],
    "macro_sar8": ["circuit.array.rows=6", "circuit.array.cols=2", "circuit.converters=1",
                   "circuit.converter.bits=3", "stimulus.batch=2"],
    "macro_sar8_amplifiers": ["circuit.array.rows=6", "circuit.array.cols=2",
                              "circuit.converters=1", "circuit.converter.bits=3",
                              "stimulus.batch=2"],
    "macro_sar8_drivers": ["circuit.array.rows=6", "circuit.array.cols=2", "circuit.converters=1",
                           "circuit.converter.bits=3", "stimulus.batch=2"],
    "macro_sar8_transistor": ["circuit.array.rows=6", "circuit.array.cols=2",
                              "circuit.converters=1", "circuit.converter.bits=3",
                              'circuit.converter.unit_capacitor="16 fF"', "stimulus.batch=2"],
    "irc_column_mismatch": ["circuit.rows=8", "stimulus.active_rows=2"],
}  # fmt: skip
"""Settings under which a recipe takes a second or so."""
SLOW = ("adc_sar8_transistor", "aidac_array128", "aidac_budget", "aidac_budget_ramp",
        "aidac_small_driver", "aidac_small_transistor", "comparator_strongarm",
        "comparator_strongarm_mismatch", "comparator_strongarm_noise", "macro_sar8_transistor",
        "sense_amp", "sense_amp_ternary")  # fmt: skip
"""Recipes that take longer however small they are made."""
BETWEEN_STEPS = ("kickback_common", "kickback_differential", "regeneration_deviation")
"""Extremes of a waveform, read at time points: as uncertain as steps, as a share of the supply."""
FLIPS = {"noise_yes": 3}
"""Decisions that may flip. Thresholds of two solvers stand 2.6 uV apart, for each is 1.3 uV off; σ
of the noise is 0.72 mV. Of 400 decisions at a level 400·0.4·2.6/720 = 0.6 are expected to, and more
than 3 with a chance of 1 in 300."""
DIFFERENCE_OF = {"zero_delay": "full_delay", "decision_slope": "decision_time"}
"""A difference of times is known to a share of these, however small it is: edges 0.4 ns after their
launch whether or not they are 1.5 ps apart, decisions after 160 ps of which two differ by 17."""
ZERO = {"V": 1e-12, "A": 1e-16}
"""What SPICE cannot tell from nothing where a quantity is nothing: a rounding error of a volt."""


def plan_of(name, settings=()):
    return Plan(load_recipe(name, [*SMALL.get(name, []), *settings]))


def arrays(plan, engine):
    variation = plan.recipe.common.variation
    return measure(
        plan.recipe.bench, plan.parameters(0), engine,
        entropy=variation.seed, quantities=variation.quantities,
    )  # fmt: skip


@cache
def reference(name):
    """What KLU gives, once for all tests of a recipe."""
    return arrays(plan_of(name), NgspiceEngine(solver="klu"))


def without_close_calls(wanted, found):
    """Both, without the pairs at a sense amplifier that lie between their ends of its range.

    An end is a bisection's, known to its last step: solvers that differ by less may stop a step
    apart, and a pair in between is outside for one and inside for the other.
    """
    if "outcome" not in wanted or "range_low" not in wanted:
        return wanted, found
    mean = wanted["pair_input"].mean(axis=1)
    close = np.zeros(len(mean), dtype=bool)
    for end in ("range_low", "range_high"):
        low, high = sorted([float(wanted[end]), float(found[end])])
        close |= (low <= mean) & (mean <= high)
    assert close.mean() < 0.1, "as many close calls are no chance"
    kept = [
        {**arrays, "outcome": np.where(close, 0, arrays["outcome"]),
         "decision": np.where(close, 0, arrays["decision"]), "right_share": np.asarray(np.nan)}
        for arrays in (wanted, found)
    ]  # fmt: skip
    return kept[0], kept[1]


def check_same(name, found, share, of_time=None, common=("J",)):
    plan = plan_of(name)
    units = {v.name: v.units for v in plan.recipe.bench.variables(plan.parameters(0))}
    # What goes back into a source is a share of what an operation costs, and may be nothing; an
    # offset is a share of what it is the offset of.
    largest = {
        unit: max((np.max(np.abs(values[np.isfinite(values)]), initial=0.0)
                   for variable, values in reference(name).items() if units[variable] == unit),
                  default=0.0)
        for unit in common
    }  # fmt: skip
    reference_kept, found = without_close_calls(reference(name), found)
    if of_time is not None and {"output_code", "product"} <= set(found):
        # Products that agree may lie on two sides of an edge: a code is its own product, rounded.
        steps = 2 ** plan.parameters(0).circuit.output_bits - 1
        reference_kept = {**reference_kept, "output_code": np.rint(found["product"] * steps)}
    for variable, wanted in reference_kept.items():
        got = np.asarray(found[variable])
        assert np.array_equal(np.isnan(got), np.isnan(wanted)), variable
        scale = np.max(np.abs(wanted[np.isfinite(wanted)]), initial=0.0)
        # A residual or a nonlinearity is measured by what it is a share of.
        scale = max(scale, 1.0) if units[variable] in ("LSB", "1", "FS") else scale
        scale = largest.get(units[variable], scale)
        if variable in DIFFERENCE_OF:
            scale = np.max(np.abs(reference_kept[DIFFERENCE_OF[variable]]))
        within = share
        if units[variable] in ("J", "C", "s") and of_time is not None:
            within = of_time
        if variable in BETWEEN_STEPS and of_time is not None:
            within, scale = of_time, max(scale, plan.parameters(0).supply_v)
        if of_time is not None and variable in FLIPS:
            within, scale = FLIPS[variable], 1.0
        atol = max(within * scale, ZERO.get(units[variable], 0.0)) if share else 0.0
        np.testing.assert_allclose(got, wanted, rtol=0, atol=atol, err_msg=variable)


def each_recipe(test):
    """Parametrise over all recipes; the tests of one share a worker, and so the reference."""
    marked = [
        pytest.param(
            name,
            marks=[pytest.mark.xdist_group(name), *([pytest.mark.long] if name in SLOW else [])],
        )
        for name in NAMES
    ]
    return pytest.mark.parametrize("name", marked)(test)


@each_recipe
def test_sparse_gives_what_klu_gives(name):
    sparse = arrays(plan_of(name), NgspiceEngine(solver="sparse"))
    # Rounding may move a time step, and with it an integral over steps of reltol 1e-3 or less.
    check_same(name, sparse, 1e-6, of_time=1e-4)


class Watched:
    """An engine that remembers whether a transient was asked for."""

    def __init__(self, engine):
        self.engine, self.transient = engine, False

    def solve(self, problems):
        self.transient |= any(isinstance(p.analysis, Transient) for p in problems)
        return self.engine.solve(problems)


@pytest.mark.long
@pytest.mark.skipif(OLD is None, reason="IMCCIRCUIT_NGSPICE_OLD names no older ngspice")
@each_recipe
def test_an_older_ngspice_gives_the_same(name):
    old = NgspiceEngine(executable=OLD)
    if not old.ngspice.has_xspice and name.startswith(("adc_sar", "adc_ramp", "macro_sar")):
        pytest.skip("this older ngspice has no code models")
    watched = Watched(old)
    found = arrays(plan_of(name), watched)
    # Each version chooses its own time steps, and either is off by up to reltol: 1e-3.
    share = 2e-3 if watched.transient else 1e-6
    common = ("J", "A", "V") if watched.transient else ("J",)
    check_same(name, found, share, of_time=2e-3, common=common)


@pytest.fixture(scope="module")
def renamed(tmp_path_factory):
    """The generic technology under other names of models, library and sections."""
    folder = tmp_path_factory.mktemp("foundry")
    models = library.path("device_models")
    text = (models / "mos_generic.lib").read_text()
    text = text.replace("imc_nmos", "nch_svt").replace("imc_pmos", "pch_svt")
    text = re.sub(r"'mos_generic\.lib'", "'my_foundry.l'", text)
    text = re.sub(r"(?m)^\.(lib|endl) (tt|ff|ss)$", r".\1 top_\2", text)
    (folder / "my_foundry.l").write_text(text)
    card = (models / "mos_generic.toml").read_text()
    card = card.replace("mos_generic.lib", "my_foundry.l").replace("imc_nmos", "nch_svt")
    card = card.replace("imc_pmos", "pch_svt")
    card = re.sub(r'(tt|ff|ss) = "\1"', r'\1 = "top_\1"', card)
    (folder / "my_pdk.toml").write_text(card)
    return folder / "my_pdk.toml"


@each_recipe
def test_another_technology_with_the_same_models_gives_the_same_numbers(name, renamed):
    if not plan_of(name).parameters(0).has_transistors:
        pytest.skip("no transistor in it")
    mine = arrays(plan_of(name, [f"technology={renamed}"]), NgspiceEngine())
    check_same(name, mine, 0.0)
