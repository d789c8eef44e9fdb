"""What a recipe becomes: settings, axes, points, shape groups, draws, digest."""

import json

import numpy as np
import pytest

from imccircuit import library
from imccircuit.errors import InputError
from imccircuit.recipes.load import check_recipe, load_recipe
from imccircuit.recipes.plan import Plan
from imccircuit.recipes.resolve import restore
from imccircuit.recipes.settings import apply_settings, parse_setting

CROSSBAR = {"bench": "crossbar_mvm"}


def plan_of(**tables):
    return Plan(check_recipe("r", "r.toml", "", {**CROSSBAR, **tables}))


# -- --set -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("a.b=3", "a.b", 3),
        ("a.b = 3", "a.b", 3),
        ("a=1.5 mV", "a", "1.5 mV"),
        ('a="1.5 mV"', "a", "1.5 mV"),
        ("engine=nodal", "engine", "nodal"),
        ("a=true", "a", True),
        ("a=[1, 2]", "a", [1, 2]),
        ("a=x=y", "a", "x=y"),
        ("a=", "a", ""),
        (
            'a={from="1 ohm", to="2 ohm", steps=2}',
            "a",
            {"from": "1 ohm", "to": "2 ohm", "steps": 2},
        ),
        ("a=1\nb=2", "a", "1\nb=2"),
    ],
)
def test_settings_are_toml_or_a_bare_string(text, key, value):
    assert parse_setting(text) == (key, value)


def apply(sweep, *texts):
    raw = {"sweep": sweep}
    apply_settings(raw, [parse_setting(text) for text in texts])
    return raw


def test_a_value_fixes_a_swept_key_and_a_list_replaces_its_axis():
    sweep = [{"c.a": [1, 2], "c.b": [3, 4]}, {"c.d": [5]}]
    assert apply(sweep, "c.a=7") == {"sweep": [{"c.b": [3, 4]}, {"c.d": [5]}], "c": {"a": 7}}
    assert apply(sweep, "c.a=[7, 8]")["sweep"][0] == {"c.a": [7, 8], "c.b": [3, 4]}
    assert apply(sweep, "c.d=6")["sweep"] == [{"c.a": [1, 2], "c.b": [3, 4]}]
    ranged = apply(sweep, "c.d={from=1, to=3, steps=3}")["sweep"][1]
    assert ranged == {"c.d": {"from": 1, "to": 3, "steps": 3}}
    assert apply([{"c.d": {"from": 1, "to": 2, "steps": 2}}], "c.d=[4]")["sweep"] == [{"c.d": [4]}]


def test_an_array_fixes_an_axis_of_arrays_and_arrays_replace_it():
    sweep = [{"c.a": [[1, 2], [3, 4]]}]
    assert apply(sweep, "c.a=[5, 6]") == {"sweep": [], "c": {"a": [5, 6]}}
    assert apply(sweep, "c.a=[[5, 6]]") == {"sweep": [{"c.a": [[5, 6]]}]}
    raw = {"sweep": [{"c.a": [np.ones(2), np.ones(2)]}]}
    apply_settings(raw, [("c.a", np.zeros(3))])
    assert raw["sweep"] == []
    np.testing.assert_array_equal(raw["c"]["a"], np.zeros(3))


def test_the_sweep_is_set_before_its_keys_and_the_last_setting_stands():
    assert apply([], "c.a=1", 'sweep=[{"c.a"=[1,2]}]') == {"sweep": [], "c": {"a": 1}}
    assert apply([], "c.a=1", "c.a=2")["c"] == {"a": 2}


def test_all_settings_apply_together_before_anything_is_checked(tmp_path, monkeypatch):
    # Each of the two alone contradicts the recipe's other size.
    path = tmp_path / "r.toml"
    path.write_text('bench = "crossbar_mvm"\n[circuit]\nconductances = [[1e-6, 1e-6]]\n'
                    "[stimulus]\nvoltages = [[0.1]]")  # fmt: skip
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", g=np.full((3, 2), 1e-6), v=np.full((4, 3), 0.1))
    sets = ["stimulus.voltages=a.npz:v", "circuit.conductances=a.npz:g"]
    for order in (sets, sets[::-1]):
        parameters = load_recipe(str(path), order).parameters({})
        assert (parameters.rows, parameters.cols, parameters.batch) == (3, 2, 4)


# -- axes --------------------------------------------------------------------------------------


def test_the_last_axis_is_the_fastest_and_keys_of_one_table_advance_together():
    plan = plan_of(
        sweep=[
            {"circuit.row_segment_resistance": ["1 ohm", "2 ohm"]},
            {"circuit.rows": [2, 3, 4], "circuit.cols": [5, 6, 7]},
        ]
    )
    assert plan.points == 6
    seen = [(p.circuit.row_segment_resistance, p.circuit.rows, p.circuit.cols)
            for p in map(plan.parameters, range(6))]  # fmt: skip
    assert seen == [(1, 2, 5), (1, 3, 6), (1, 4, 7), (2, 2, 5), (2, 3, 6), (2, 4, 7)]
    assert [list(group.points) for group in plan.groups] == [[0, 3], [1, 4], [2, 5]]
    assert [group.sizes["col"] for group in plan.groups] == [5, 6, 7]
    first = plan.groups[0].swept
    assert list(first["circuit.row_segment_resistance"].values) == [1.0, 2.0]
    assert first["circuit.row_segment_resistance"].unit == "ohm"
    assert list(first["circuit.rows"].values) == [2, 2]
    assert first["circuit.rows"].unit == "1"


def test_points_of_one_shape_share_a_group_in_the_order_of_their_first_point():
    plan = plan_of(
        sweep=[{"circuit.rows": [4, 2, 4]}, {"circuit.driver_resistance": ["0 ohm", "1 ohm"]}],
        circuit={"cols": 2},
    )
    assert [list(group.points) for group in plan.groups] == [[0, 1, 4, 5], [2, 3]]
    assert [group.sizes["row"] for group in plan.groups] == [4, 2]


def test_tasks_count_samples_fastest():
    plan = plan_of(sweep=[{"circuit.rows": [2, 3]}], variation={"samples": 3})
    assert [plan.task(i) for i in range(plan.tasks)] == [
        (0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]  # fmt: skip


@pytest.mark.parametrize(
    ("table", "key", "values"),
    [
        ({"from": "1 ohm", "to": "3 ohm", "steps": 3}, "circuit.driver_resistance", [1, 2, 3]),
        ({"from": "1 ohm", "to": "10 kohm", "steps": 5, "scale": "log"},
         "circuit.driver_resistance", [1, 10, 100, 1000, 10000]),
        ({"from": "500 mohm", "to": "1 ohm", "steps": 2}, "circuit.driver_resistance", [0.5, 1]),
        ({"from": "-40 degC", "to": "125 degC", "steps": 2}, "conditions.temperature", [-40, 125]),
        ({"from": 2, "to": 8, "steps": 3}, "circuit.rows", [2, 5, 8]),
        ({"from": 1.0, "to": 100.0, "steps": 2}, "circuit.tia_gain", [1, 100]),
    ],
)  # fmt: skip
def test_ranges(table, key, values):
    # A temperature counts only where there are transistors.
    cell = "1t1r" if key.startswith("conditions") else "1r"
    plan = plan_of(sweep=[{key: table}], circuit={"cols": 2, "readout": "tia", "cell": cell})
    assert sum(len(group.points) for group in plan.groups) == len(values)
    found = np.concatenate([group.swept[key].values for group in plan.groups])
    # A value of the grid goes through twelve digits of text; these come out exactly.
    assert list(found) == values


def test_dotted_keys_of_an_axis_need_no_quotes(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text('bench = "crossbar_mvm"\n[[sweep]]\ncircuit.rows = [2, 3]\n'
                    "circuit.driver_resistance = { from = '1 ohm', to = '2 ohm', steps = 2 }\n"
                    "stimulus.voltages = [[[0.1, 0.2]], [[0.1, 0.2, 0.3]]]")  # fmt: skip
    plan = Plan(load_recipe(str(path)))
    assert [p.circuit.rows for p in map(plan.parameters, range(2))] == [2, 3]
    assert plan.parameters(1).circuit.driver_resistance == 2


def test_coordinates_of_every_kind_of_key():
    plan = plan_of(
        circuit={"rows": 2, "cols": 2},
        sweep=[
            {
                "circuit.cell": ["1r", "1t1r"],
                "circuit.device_card": ["rram_techC", "rram_techB"],
                "stimulus.cell_voltages": [True, True],
                "circuit.word_line_voltage": ["1 V", "1.2 V"],
                "stimulus.voltages": [[[0.1, 0.2]], [[0.3, 0.1]]],
            }
        ],
    )
    swept = plan.groups[0].swept
    assert list(swept["circuit.cell"].values) == ["1r", "1t1r"]
    assert list(swept["circuit.device_card"].values) == ["rram_techC", "rram_techB"]
    assert (list(swept["circuit.word_line_voltage"].values), swept["circuit.word_line_voltage"].unit
            ) == ([1.0, 1.2], "V")  # fmt: skip
    assert swept["stimulus.cell_voltages"].values.dtype == np.int8
    assert list(swept["stimulus.voltages"].values) == [0, 1]
    assert sorted(plan.arrays) == []


def test_a_large_plan_costs_little_until_it_is_run():
    axis = {"from": "1 ohm", "to": "2 ohm", "steps": 1000}
    plan = plan_of(sweep=[{"circuit.driver_resistance": axis}, {"circuit.sense_resistance": axis}],
                   circuit={"rows": 1, "cols": 1})  # fmt: skip
    assert plan.points == 1_000_000
    assert len(plan.groups[0].swept["circuit.driver_resistance"].values) == 1_000_000


# -- draws -------------------------------------------------------------------------------------


def normals(plan, point, sample, quantity):
    generator = plan.variation(point, sample).generator(quantity)
    return None if generator is None else tuple(generator.standard_normal(3))


def test_a_sample_is_the_same_chip_at_every_point():
    sweep = [{"circuit.rows": [2, 3]}]
    circuit = {"readout": "tia", "tia_offset_sigma": "1 mV"}
    plan = plan_of(
        sweep=sweep, circuit=circuit, variation={"samples": 3, "quantities": ["conductance"]}
    )
    draws = {(p, s): normals(plan, p, s, "conductance") for p in range(2) for s in range(3)}
    assert draws[0, 1] == draws[1, 1]
    assert len({draws[0, s] for s in range(3)}) == 3
    assert normals(plan, 0, 0, "tia_offset") is None
    more = plan_of(
        sweep=sweep,
        circuit=circuit,
        variation={"samples": 3, "quantities": ["tia_offset", "conductance"]},
    )
    assert normals(more, 0, 1, "conductance") == draws[0, 1]
    assert normals(more, 0, 1, "tia_offset") != draws[0, 1]
    other = plan_of(
        sweep=sweep, circuit=circuit, variation={"quantities": ["conductance"], "seed": 2}
    )
    assert normals(other, 0, 1, "conductance") != draws[0, 1]
    independent = plan_of(
        sweep=sweep, circuit=circuit, variation={"quantities": ["conductance"], "independent": True}
    )
    assert normals(independent, 0, 1, "conductance") != normals(independent, 1, 1, "conductance")


def drawn_capacitors(settings):
    plan = Plan(load_recipe("adc_sar8_mismatch", settings))
    found = []
    for sample in range(2):
        problem = next(plan.recipe.bench.measure(plan.parameters(0), plan.variation(0, sample)))
        lines = str(problem.circuit).splitlines()
        found.append([line for line in lines if line.lower().startswith(("c", "xbit"))])
    return found


def test_explicit_capacitors_are_not_drawn():
    first, second = drawn_capacitors([])
    assert first != second
    explicit = ["circuit.bit_capacitors=['1 fF', '2 fF', '4 fF']"]
    with pytest.raises(InputError, match="'bit_capacitors': varies nothing"):
        drawn_capacitors(explicit)
    first, second = drawn_capacitors(
        [*explicit, 'variation.quantities=["comparator_offset"]', "circuit.comparator_offset=1 mV"]
    )
    assert first == second
    assert first


# -- what is stored ----------------------------------------------------------------------------


def test_the_resolved_recipe_makes_the_same_plan_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", g=np.full((2, 3), 1e-6), h=np.full((2, 4), 1e-6))
    for name, sets in (
        ("crossbar_ir_drop", []),
        ("adc_sar8", ["circuit.bit_capacitors=['1 fF', '2 fF']"]),
        ("adc_sar8_mismatch", []),
        ("crossbar_ir_drop", ["circuit.conductances=a.npz:g", 'sweep=[{"circuit.cell"=["1r"]}]']),
        ("crossbar_ir_drop", ['sweep=[{"circuit.conductances"=["a.npz:g","a.npz:h"]}]']),
    ):
        plan = Plan(load_recipe(name, sets))
        text = json.loads(json.dumps(plan.resolved))
        tables = restore(text, plan.arrays)
        again = Plan(check_recipe(name, "results.h5", "", tables))
        assert again.digest == plan.digest
        assert again.resolved == plan.resolved
        assert again.points == plan.points
        for point in range(plan.points):
            assert str(again.parameters(point)) == str(plan.parameters(point))


def test_the_resolved_recipe_names_every_key():
    tables = json.loads(Plan(load_recipe("crossbar_ir_drop")).resolved)
    assert tables["circuit"]["tia_feedback_resistance"] == "5000.0 ohm"
    assert tables["conditions"] == {"temperature": "27.0 degC"}
    assert tables["variation"]["samples"] == 1
    assert tables["technology"] == "mos_generic"
    swept = Plan(load_recipe("crossbar_ir_drop", ['sweep=[{"circuit.rows"=[3]}]']))
    assert "rows" not in json.loads(swept.resolved)["circuit"]


@pytest.fixture
def own_card(tmp_path):
    def make(folder, name="mine.toml", extra=""):
        (tmp_path / folder).mkdir(exist_ok=True)
        path = tmp_path / folder / name
        text = (library.path("device_models") / "capacitor_28nm.toml").read_text()
        path.write_text(text + extra)
        return path

    return make


def test_the_digest_follows_what_decides_numbers(own_card):
    def digest(*sets, name="adc_sar8"):
        return Plan(load_recipe(name, sets)).digest

    base = digest()
    assert digest() == base
    assert digest("title=other", "takes=1 h") == base
    assert digest("circuit.bits=8") == base
    array = "crossbar_ir_drop"
    assert digest("engine=nodal", name=array) != digest(name=array)
    others = [digest("circuit.bits=7"), digest("variation.seed=2"),
              digest("variation.samples=2"), digest("conditions.temperature=85 degC"),
              digest('sweep=[{"circuit.bits"=[8]}]'), digest(name="adc_sar8_mismatch")]  # fmt: skip
    assert len({base, *others}) == 7
    here = digest(f"circuit.capacitor_card={own_card('a')}")
    assert digest(f"circuit.capacitor_card={own_card('b')}") == here
    assert digest(f"circuit.capacitor_card={own_card('b', extra='# changed')}") != here


def test_the_digest_does_not_follow_the_recipes_place(tmp_path):
    found = set()
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "r.toml"
        path.write_text('bench = "adc_transfer"')
        found.add(Plan(load_recipe(str(path))).digest)
    assert len(found) == 1


def test_two_cards_of_one_name_are_both_hashed(own_card):
    one, two = own_card("a"), own_card("b", extra="# b")
    sweep = f'sweep=[{{"circuit.capacitor_card"=["{one}","{two}"]}}]'
    sets = [sweep, "variation.quantities=['bit_capacitors']"]
    plan = Plan(load_recipe("adc_sar8", sets))
    hashed = [name for name in plan.file_hashes if name.startswith("mine")]
    assert sorted(hashed) == ["mine.toml", "mine.toml#2"]
    own_card("a", extra="# a")
    assert Plan(load_recipe("adc_sar8", sets)).digest != plan.digest


def test_arrays_are_hashed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    digests = set()
    for value in (1e-6, 2e-6):
        np.savez("a.npz", g=np.full((2, 3), value))
        digests.add(Plan(load_recipe("crossbar_ir_drop", ["circuit.conductances=a.npz:g"])).digest)
    np.savez("a.npz", g=np.full((3, 2), value))
    digests.add(Plan(load_recipe("crossbar_ir_drop", ["circuit.conductances=a.npz:g"])).digest)
    assert len(digests) == 3


def test_a_card_is_read_once(own_card):
    path = own_card("a")
    recipe = load_recipe("adc_sar8", [f"circuit.capacitor_card={path}"])
    before = recipe.parameters({}).circuit.capacitor_card
    path.write_text("nonsense")
    assert recipe.parameters({}).circuit.capacitor_card is before
