"""What is wrong in a recipe or --set is one line: file, key, value, and what is allowed."""

import pickle

import numpy as np
import pytest

from imccircuit.errors import ImcError, InputError, UsageError
from imccircuit.recipes.load import load_recipe
from imccircuit.recipes.plan import Plan

CROSSBAR = 'bench = "crossbar_mvm"\n'
ADC = 'bench = "adc_transfer"\n'


SELF_EVIDENT = {
    "a log range through zero",
    "an array of shape (2,)",
    "an array of shape (0,)",
}


@pytest.fixture
def write(tmp_path):
    def make(text, name="r.toml"):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return make


def fault(name, sets=(), libraries=()):
    with pytest.raises(ImcError) as caught:
        Plan(load_recipe(name, sets, libraries))
    text = str(caught.value)
    assert text
    assert "\n" not in text
    assert len(text) < 2000
    assert not text.startswith("Traceback")
    return caught.value


@pytest.mark.parametrize(
    ("text", "key", "problem"),
    [
        ("", "bench", "not a bench"),
        ('bench = "none"', "bench", "not a bench"),
        ("bench = 3", "bench", "not a bench"),
        (CROSSBAR + "colour = 1", "colour", "unknown key"),
        (CROSSBAR + "[circuit]\nrow_segmnt_resistance = '1 ohm'", "circuit.row_segmnt_resistance",
         "unknown key, perhaps 'row_segment_resistance' is meant"),
        (CROSSBAR + "[circuit]\nrow_segment_resistance = '1 V'", "circuit.row_segment_resistance",
         "wrong dimension"),
        (CROSSBAR + "[circuit]\nrow_segment_resistance = 1", "circuit.row_segment_resistance",
         "not a quantity with a unit"),
        (CROSSBAR + "[circuit]\nrow_segment_resistance = '1'", "circuit.row_segment_resistance",
         "no unit"),
        (CROSSBAR + "[circuit]\nrow_segment_resistance = '-1 ohm'",
         "circuit.row_segment_resistance", "out of range"),
        (CROSSBAR + "[circuit]\nrows = 0", "circuit.rows", "out of range"),
        (CROSSBAR + "[circuit]\nrows = 1.5", "circuit.rows", "wrong type"),
        (CROSSBAR + "circuit = 3", "circuit", "wrong type"),
        (CROSSBAR + "[circuit]\ntia_gain = inf", "circuit.tia_gain", "wrong type"),
        (CROSSBAR + "[circuit]\nmirror_ratio = nan", "circuit.mirror_ratio", "wrong type"),
        (CROSSBAR + "[gates]\noffset_spread_factor = inf", "gates.offset_spread_factor",
         "wrong type"),
        (CROSSBAR + "[circuit]\ntia_gain = 3.0\n[[sweep]]\ncircuit.rows = [2, 3]", "",
         "circuit.tia_gain would change nothing with readout = \"ideal\""),
        (ADC + "[circuit]\nswitch_off_resistance = '50 ohm'", "circuit",
         "switch_off_resistance = 50 ohm is not above switch_on_resistance = 100 ohm"),
        ('bench = "charge_mvm"\ncircuit.switch_on_resistance = "1e14 ohm"', "circuit",
         "switch_off_resistance = 1e+13 ohm is not above switch_on_resistance = 1e+14 ohm"),
        (CROSSBAR + 'engine = "hspice"', "engine", "unknown choice"),
        (CROSSBAR + 'kind = "party"', "kind", "unknown choice"),
        (CROSSBAR + 'title = "a\\u001b[31mb"', "title", "not accepted"),
        (CROSSBAR + 'title = "a\\nb"', "title", "not accepted"),
        (CROSSBAR + f'title = "{"x" * 300}"', "title", "string too long"),
        (CROSSBAR + "[conditions]\ntemperature = '300 degC'", "conditions.temperature",
         "out of range"),
        (CROSSBAR + "[variation]\nsamples = 0", "variation.samples", "out of range"),
        (CROSSBAR + "[variation]\nseed = -1", "variation.seed", "out of range"),
        (CROSSBAR + '[variation]\nquantities = ["colour"]', "variation.quantities",
         "bench crossbar_mvm does not vary it"),
        (CROSSBAR + "gates = 3", "gates", "wrong type"),
        (CROSSBAR + "[gates]\nnrmse = '1 V'", "gates.nrmse", "wrong dimension"),
        (CROSSBAR + "[gates]\nmax_eror = '1 %'", "gates.max_eror",
         "unknown key, perhaps 'max_error' is meant"),
        (CROSSBAR + "[circuit]\nconductances = [1e-6, 2e-6]", "circuit.conductances",
         "an array of shape (2,)"),
        (CROSSBAR + "[circuit]\nconductances = []", "circuit.conductances",
         "an array of shape (0,)"),
        (CROSSBAR + "[circuit]\nconductances = [[1e-6], [1e-6, 1e-6]]", "circuit.conductances",
         None),
        (CROSSBAR + "[circuit]\nconductances = [[nan]]", "circuit.conductances", None),
        (CROSSBAR + "[circuit]\nconductances = [['1 V']]", "circuit.conductances", None),
        (CROSSBAR + "[circuit]\nconductances = 'nowhere.npz:g'", "circuit.conductances",
         "no such file"),
        (CROSSBAR + "[circuit]\ndevice_card = 'nobody'", "circuit.device_card", "no such card"),
        (CROSSBAR + "[circuit]\ndevice_card = 'mine.toml'", "circuit.device_card",
         "no such file"),
        (CROSSBAR + "[circuit]\ndevice_card = '/etc/passwd'", "circuit.device_card",
         "not a card"),
        (CROSSBAR + "[circuit]\ndevice_card = '/etc/x.toml'", "circuit.device_card",
         "outside the recipe's folder"),
        (ADC + "[circuit]\nbit_capacitors = ['1 fF', '-2 fF']", "circuit.bit_capacitors", None),
        (ADC + "[circuit]\nbit_capacitors = ['1 fF']", "circuit", None),
        (CROSSBAR + "[circuit]\nconductances = [[1e-6]]\n[stimulus]\nvoltages = [[1, 2]]", "",
         None),
        # sweeps
        (CROSSBAR + "sweep = 3", "sweep", "wrong type"),
        (CROSSBAR + "sweep = [3]", "sweep[0]", "wrong type"),
        (CROSSBAR + "[[sweep]]", "sweep[0]", "an axis without keys"),
        (CROSSBAR + '[[sweep]]\n"circuit.rows" = []', "sweep[0].circuit.rows",
         "not the values of an axis"),
        (CROSSBAR + '[[sweep]]\n"circuit.rows" = 3', "sweep[0].circuit.rows",
         "not the values of an axis"),
        (CROSSBAR + '[[sweep]]\n"circuit.rows" = [1, 2]\n"circuit.cols" = [1]', "sweep[0]",
         "paired keys of different lengths"),
        (CROSSBAR + '[[sweep]]\n"circuit.rows" = [1]\n[[sweep]]\n"circuit.rows" = [2]',
         "sweep[1].circuit.rows", "swept twice"),
        (CROSSBAR + '[[sweep]]\ncircuit.rows = [1]\n"circuit.rows" = [2]',
         "sweep[0].circuit.rows", "swept twice"),
        (CROSSBAR + '[[sweep]]\n"circuit.rows" = [4, 0]', "circuit.rows", "out of range"),
        (CROSSBAR + '[[sweep]]\n"circuit.rws" = [4, 5]', "sweep.circuit.rws",
         "cannot be swept, perhaps 'circuit.rows' is meant"),
        (CROSSBAR + '[[sweep]]\nengine = ["nodal"]', "sweep.engine", "cannot be swept"),
        (CROSSBAR + "[[sweep]]\ncircuit = [{ rows = 4 }]", "sweep.circuit",
         "cannot be swept, perhaps 'circuit.rows' is meant"),
        (CROSSBAR + '[[sweep]]\n"circuit.rows" = { from = 1, to = 4 }', "sweep[0].circuit.rows",
         "missing ['steps']"),
        (CROSSBAR + '[[sweep]]\n"circuit.rows" = { from = 1, to = 4, steps = 1 }',
         "sweep[0].circuit.rows.steps", "not a number of steps"),
        (CROSSBAR + '[[sweep]]\n"circuit.rows" = { from = 1, to = 4, steps = 2, scle = "log" }',
         "sweep[0].circuit.rows", "unknown ['scle']"),
        (CROSSBAR + '[[sweep]]\n"circuit.rows" = { from = 0, to = 4, steps = 2, scale = "log" }',
         "sweep[0].circuit.rows", "a log range through zero"),
        (CROSSBAR + '[[sweep]]\n"circuit.driver_resistance" = '
         "{ from = '1 ohm', to = 4, steps = 2 }", "sweep[0].circuit.driver_resistance",
         "from and to do not go together"),
        (CROSSBAR + '[[sweep]]\n"circuit.driver_resistance" = '
         "{ from = '1 ohm', to = '4 V', steps = 2 }", "sweep[0].circuit.driver_resistance",
         "wrong dimension"),
        (CROSSBAR + '[variation]\nsamples = 10000000\n[[sweep]]\n"circuit.rows" = [1, 2]',
         "sweep", "2 points with 10000000 samples each"),
    ],
)  # fmt: skip
def test_one_line(write, tmp_path, text, key, problem):
    name = write(text)
    error = fault(name)
    assert isinstance(error, InputError)
    assert str(error).startswith(name)
    assert error.key == key
    if problem is not None:
        assert error.problem == problem
        assert error.allowed or problem in SELF_EVIDENT
    assert [path.name for path in tmp_path.iterdir()] == ["r.toml"]


@pytest.mark.parametrize(
    "content",
    [b"bench = ", b"\xff\xfe", b"a = 1\na = 2", b"x = " + b"[" * 5000, b"x = " + b"9" * 5000,
     b"bench = 'crossbar_mvm'\nx = " + b"[" * 60 + b"]" * 60,
     b"bench = 'crossbar_mvm'\nx = " + b"{a=" * 60 + b"1" + b"}" * 60,
     b"bench = 'crossbar_mvm'\ntitle = " + b"[" * 60 + b"]" * 60,
     b"bench = 'crossbar_mvm'\n[circuit]\nconductances = " + b"[" * 15 + b"]" * 15,
     b"bench = 'crossbar_mvm'\n[circuit]\nrows = " + b"9" * 4000,
     b"bench = 'crossbar_mvm'\n[circuit]\nrows = 2024-01-01"],
)  # fmt: skip
def test_broken_files(tmp_path, content):
    path = tmp_path / "r.toml"
    path.write_bytes(content)
    assert str(path) in str(fault(str(path)))


@pytest.mark.parametrize("name", ["nobody", "nowhere.toml", "", ".", "a" * 5000 + ".toml",
                                  "a\0.toml", "digits.toml"])  # fmt: skip
def test_no_such_recipe(name):
    assert isinstance(fault(name), UsageError)


def test_a_study_says_how_it_is_run(write):
    name = write('kind = "study"')
    assert f"imccircuit accuracy {name}" in str(fault(name))


# -- files that a recipe names -----------------------------------------------------------------


@pytest.fixture
def arrays(tmp_path):
    """Folders ``recipes`` and ``elsewhere`` with an array in each."""
    for name in ("recipes", "elsewhere"):
        folder = tmp_path / name
        folder.mkdir()
        np.savez(folder / "a.npz", g=np.full((2, 3), 1e-6), one=np.ones(3), text=np.array(["x"]))
    return tmp_path


def crossbar(folder, value, extra=""):
    path = folder / "r.toml"
    path.write_text(f'{CROSSBAR}engine = "nodal"\n[circuit]\nconductances = "{value}"\n{extra}')
    return str(path)


def test_an_array_beside_the_recipe_is_read_and_decides_the_sizes(arrays, monkeypatch):
    monkeypatch.chdir(arrays)
    plan = Plan(load_recipe(crossbar(arrays / "recipes", "a.npz:g")))
    assert plan.groups[0].sizes["row"] == 2
    assert plan.groups[0].sizes["col"] == 3
    assert list(plan.arrays) == ["circuit.conductances"]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("../elsewhere/a.npz:g", "outside the recipe's folder"),
        ("link.npz:g", "outside the recipe's folder"),
        ("folder/a.npz:g", "outside the recipe's folder"),
        ("{tmp}/elsewhere/a.npz:g", "outside the recipe's folder"),
        ("loop.npz:g", "cannot be a path (RuntimeError)"),
        ("b.npz:g", "no such file"),
        ("a.npz:h", "no array 'h' in it"),
        ("a.npz:text", "not an array of real numbers"),
        ("a.npz:one", "an array of shape (3,)"),
        ("pickled.npz:g", "not a readable .npz file of numbers (holds Python objects)"),
        ("bare.npz:g", "not a readable .npz file of numbers (no whole archive)"),
        ("npy.npz:g", None),
        ("torn.npz:g", None),
        ("text.npz:g", None),
        ("empty.npz:g", "not a readable .npz file of numbers (no whole archive)"),
    ],
)
def test_arrays_that_are_refused(arrays, value, problem):
    folder = arrays / "recipes"
    (folder / "link.npz").symlink_to(arrays / "elsewhere" / "a.npz")
    (folder / "folder").symlink_to(arrays / "elsewhere")
    (folder / "loop.npz").symlink_to(folder / "loop.npz")
    np.savez(folder / "pickled.npz", g=np.array([{}], dtype=object))
    (folder / "bare.npz").write_bytes(pickle.dumps({"g": 1}))
    with (folder / "npy.npz").open("wb") as file:
        np.save(file, np.ones((2, 3)))
    whole = (folder / "a.npz").read_bytes()
    (folder / "torn.npz").write_bytes(whole[: len(whole) // 2])
    (folder / "text.npz").write_text("hello")
    (folder / "empty.npz").write_bytes(b"")
    error = fault(crossbar(folder, value.replace("{tmp}", str(arrays))))
    assert error.key == "circuit.conductances"
    if problem is not None:
        assert error.problem == problem


def test_folders_that_the_user_names_may_be_read(arrays, monkeypatch):
    name = crossbar(arrays / "recipes", "../elsewhere/a.npz:g")
    assert load_recipe(name, libraries=[arrays / "elsewhere"])
    monkeypatch.setenv("IMCCIRCUIT_LIBRARY", f"/nowhere:{arrays / 'elsewhere'}")
    assert load_recipe(name)
    monkeypatch.setenv("IMCCIRCUIT_LIBRARY", f"/nowhere:{arrays / 'elsewher'}")
    assert fault(name).problem == "outside the recipe's folder"


def test_paths_of_set_start_at_the_current_folder_and_may_go_anywhere(arrays, monkeypatch):
    (arrays / "recipes" / "r.toml").write_text(CROSSBAR)
    monkeypatch.chdir(arrays / "elsewhere")
    name = "../recipes/r.toml"
    for value in ("a.npz:g", "../recipes/a.npz:g", str(arrays / "recipes" / "a.npz:g")):
        recipe = load_recipe(name, [f"circuit.conductances={value}"])
        assert recipe.parameters({}).circuit.conductances.shape == (2, 3)
    error = fault(name, ["circuit.conductances=b.npz:g"])
    assert (error.file, error.key) == ("--set", "circuit.conductances")
    assert str(arrays / "elsewhere") in error.allowed
    axis = 'sweep=[{"circuit.conductances"=["a.npz:g","a.npz:g"]}]'
    assert Plan(load_recipe(name, [axis])).points == 2


def own_card(folder, name="mine.toml"):
    from imccircuit import library

    text = (library.path("device_models") / "capacitor_28nm.toml").read_text()
    (folder / name).write_text(text)
    return folder / name


def test_cards_by_path_and_by_name_in_a_named_folder(arrays, monkeypatch):
    own_card(arrays / "recipes")
    own_card(arrays / "elsewhere", "yours.toml")
    path = arrays / "recipes" / "r.toml"
    path.write_text(ADC + "[circuit]\ncapacitor_card = 'mine.toml'")
    card = load_recipe(str(path)).parameters({}).circuit.capacitor_card
    assert card.file == arrays / "recipes" / "mine.toml"
    path.write_text(ADC + "[circuit]\ncapacitor_card = '../elsewhere/yours.toml'")
    assert fault(str(path)).problem == "outside the recipe's folder"
    path.write_text(ADC + "[circuit]\ncapacitor_card = 'yours'")
    assert fault(str(path)).problem == "no such card"
    found = load_recipe(str(path), libraries=[arrays / "elsewhere"])
    assert found.parameters({}).circuit.capacitor_card.file == arrays / "elsewhere" / "yours.toml"
    own_card(arrays / "elsewhere", "capacitor_pessimistic.toml")
    path.write_text(ADC + "[circuit]\ncapacitor_card = 'capacitor_pessimistic'")
    found = load_recipe(str(path), libraries=[arrays / "elsewhere"])
    assert found.parameters({}).circuit.capacitor_card.file.parent == arrays / "elsewhere"


def test_a_card_of_the_recipe_may_not_name_files_elsewhere(arrays):
    from imccircuit import library

    models = library.path("device_models")
    text = (models / "mos_generic.toml").read_text()
    for folder in ("recipes", "elsewhere"):
        (arrays / folder / "mos.toml").write_text(
            text.replace("mos_generic.lib", "../elsewhere/m.lib")
        )
    (arrays / "elsewhere" / "m.lib").write_text(
        (models / "mos_generic.lib").read_text().replace("mos_generic.lib", "m.lib")
    )
    path = arrays / "recipes" / "r.toml"
    path.write_text("technology = 'mos.toml'\n" + CROSSBAR)
    error = fault(str(path))
    assert (error.key, error.problem) == ("technology", "outside the recipe's folder")
    assert load_recipe(str(path), libraries=[arrays / "elsewhere"])
    path.write_text(CROSSBAR)  # what the user names is the user's own
    card = arrays / "elsewhere" / "mos.toml"
    assert load_recipe(str(path), [f"technology={card}"])


def test_an_engine_that_the_bench_is_not_for(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text('bench = "adc_transfer"\nengine = "nodal"\n')
    error = fault(str(path))
    assert (error.key, error.allowed) == ("engine", "ngspice")


# -- --set -------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["rows", "=3", "circuit..rows=3", ".a=1", "a.=1", "  =3"])
def test_set_that_is_no_setting(text):
    assert fault("crossbar_ir_drop", [text]).problem.startswith("not key=value")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("circuit.rws=3", "circuit.rws"),
        ("circuit.rows.x=3", "circuit.rows.x"),
        ("circuit.rows=many", "circuit.rows"),
        ("circuit.rows=", "circuit.rows"),
        ("engine=spectre", "engine"),
        ("sweep.circuit=3", "sweep"),
        ("x=" + "[" * 5000, "x"),
        ("x=" + "[" * 60 + "]" * 60, "x"),
        ("title=" + "[" * 60 + "]" * 60, "title"),
        ("circuit.rows=" + "9" * 5000, "circuit.rows"),
        ("circuit.rows=3\ncols=4", "circuit.rows"),
        (".".join("a" * 3000) + "=1", ""),
    ],
)
def test_faulty_settings(text, key):
    assert fault("crossbar_ir_drop", [text]).key == key
