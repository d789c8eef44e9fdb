"""Paths of a stranger: nothing outside is read into a deck, and nothing outside is written."""

import json
import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from attack import command, one_line

from imccircuit import library
from imccircuit.devices.cards import load_card
from imccircuit.errors import InputError
from imccircuit.recipes.load import recipe_of_results
from imccircuit.recipes.paths import FilePolicy
from imccircuit.results.read import read_results

RUN = ["run", "crossbar_ir_drop", "-j", "1", "-o", "out.h5", "--set", "engine=nodal",
       "--set", "circuit.rows=3", "--set", "circuit.cols=2"]  # fmt: skip
CARD = library.find("device_models", "rram_10k", ".toml").read_text()


@pytest.fixture
def folder(inside):
    """Folder of a recipe, beside one that it may not read."""
    secret = inside.parent / "elsewhere"
    secret.mkdir()
    (secret / "card.toml").write_text(CARD)
    np.savez(secret / "a.npz", g=np.full((2, 3), 1e-6))
    (inside / "link.toml").symlink_to(secret / "card.toml")
    (inside / "link.npz").symlink_to(secret / "a.npz")
    (inside / "folder").symlink_to(secret)
    os.mkfifo(inside / "pipe.toml")
    os.mkfifo(inside / "pipe.npz")
    (inside / "d.toml").mkdir()
    yield inside
    shutil.rmtree(secret)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *[("device_card", name) for name in (
            "../elsewhere/card.toml", "{up}/elsewhere/card.toml", "link.toml", "folder/card.toml",
            "pipe.toml", "d.toml", "/proc/self/status.toml", "x/../../elsewhere/card.toml",
            "~/card.toml", "$HOME/card.toml", "no\n.toml", "/dev/stdin",
        )],
        *[("conductances", name) for name in (
            "../elsewhere/a.npz:g", "{up}/elsewhere/a.npz:g", "link.npz:g", "folder/a.npz:g",
            "pipe.npz:g", "/dev/zero:g", "/dev/zero.npz:g",
        )],
    ],
)  # fmt: skip
def test_files_that_a_recipe_may_not_read(folder, key, value):
    value = value.replace("{up}", str(folder.parent))
    (folder / "r.toml").write_text(
        f'bench = "crossbar_mvm"\n[circuit]\n{key} = {json.dumps(value)}'
    )
    ended = command("run", "r.toml", "--dry-run")
    assert ended.code == 1
    assert f"circuit.{key}" in ended.err


@pytest.mark.parametrize("path", ["/proc/self/status", "../secret", "/dev/zero", "pipe.toml"])
@pytest.mark.parametrize("kind", ["table", "library"])
def test_files_that_a_card_may_not_read(folder, kind, path):
    if kind == "table":
        text = CARD.partition("[spread]")[0]
        text += f'[spread]\nlaw = "empirical"\ntable = "{path}"\n'
        key, bench = "device_card", "crossbar_mvm"
    else:
        text = library.find("device_models", "mos_generic", ".toml").read_text()
        text = text.replace('"mos_generic.lib"', f'"{path}"')
        key, bench = "technology", "sense_amp"
    (folder / "card.toml").write_text(text)
    where = f'technology = "card.toml"\nbench = "{bench}"\n' if kind == "library" else (
        f'bench = "{bench}"\n[circuit]\n{key} = "card.toml"\n'
    )  # fmt: skip
    (folder / "r.toml").write_text(where)
    ended = command("run", "r.toml", "--dry-run")
    assert ended.code == 1


def test_a_stranger_s_study_names_only_recipes_of_its_own(folder):
    text = library.find("characterize", "digits", ".toml").read_text()
    (folder.parent / "elsewhere" / "r.toml").write_text('bench = "crossbar_mvm"')
    for name in ("../elsewhere/r.toml", str(folder.parent / "elsewhere" / "r.toml")):
        (folder / "s.toml").write_text(text.replace('"crossbar_digits"', json.dumps(name)))
        ended = command("accuracy", "s.toml")
        assert ended.code == 1
        assert "array.recipe" in ended.err
        assert "outside" in ended.err


def stored(path, change, hashes=None):
    """Change the recipe that a results file stores, and the hashes of its files."""
    with h5py.File(path, "a") as file:
        group = file["provenance"]
        tables = json.loads(group["recipe_resolved"].asstr()[()])
        change(tables)
        group["recipe_resolved"][()] = json.dumps(tables)
        if hashes is not None:
            group["file_hashes"][()] = json.dumps(hashes)


def test_results_of_a_stranger_name_only_files_that_were_measured_with(good, folder):
    shutil.copy(good / "crossbar.h5", "x.h5")
    outside = str(folder.parent / "elsewhere" / "card.toml")
    stored("x.h5", lambda tables: tables["circuit"].update(device_card=outside))
    for line in (["netlist", "x.h5"], ["fit", "x.h5"],
                 ["check", good / "crossbar.model.h5", "--against", "x.h5"]):  # fmt: skip
        ended = command(*line)
        assert ended.code == 1
        assert "not the file that was measured with" in ended.err


def test_results_of_one_s_own_name_files_anywhere(good, folder):
    """Who made the results had the file: its hash says so."""
    card = folder.parent / "elsewhere" / "card.toml"
    ended = command(*RUN, "--set", f"circuit.device_card={card}")
    assert ended.code == 0
    recipe = recipe_of_results(read_results("out.h5"))
    assert recipe.raw["circuit"]["device_card"] == str(card)
    card.write_text(card.read_text() + "\n# changed\n")
    with pytest.raises(InputError, match="not the file that was measured with"):
        recipe_of_results(read_results("out.h5"))


@pytest.mark.parametrize("name", ["/proc/kcore.toml", "/dev/zero", "../secret", "/proc/self/mem"])
def test_results_that_name_files_of_the_system(good, inside, name):
    shutil.copy(good / "crossbar.h5", "x.h5")
    hashes = {"a": "0" * 64}
    stored("x.h5", lambda tables: tables["circuit"].update(device_card=name), hashes)
    assert command("fit", "x.h5").code == 1


@pytest.mark.parametrize(
    "content",
    ["[]", "1", "null", '"x"', "{", '{"bench": 1}', '{"$array": "x"}', '{"circuit": {"$array": 1}}',
     "[" * 9999, '{"bench": "crossbar_mvm", "sweep": [[]]}'],
)  # fmt: skip
def test_results_whose_recipe_is_none(good, inside, content):
    shutil.copy(good / "crossbar.h5", "x.h5")
    with h5py.File("x.h5", "a") as file:
        file["provenance/recipe_resolved"][()] = content
    for verb in ("fit", "netlist"):
        assert command(verb, "x.h5").code == 1


# What a folder from a stranger may hold where a run writes: links to the user's files, and pipes.
PLACES = ["out.h5.log", "out.h5.tmp", "out.h5.work", "out.h5.work/lock", "out.h5.work/shards",
          "out.h5.work/ledger.jsonl", "out.h5.work/failed", "out.h5.work/shards/00000000.tmp",
          "out.h5"]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", ["file", "folder", "nothing", "pipe"])
def test_a_run_writes_nothing_through_links(inside, place, kind):
    victim = inside.parent / "victim"
    if kind == "folder":
        (victim / "shards").mkdir(parents=True)
        (victim / "shards" / "precious").write_text("precious")
    elif kind == "file":
        victim.write_text("precious")
    path = inside / place
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path) if kind == "pipe" else path.symlink_to(victim)
    ended = command(*RUN)
    assert ended.code in (0, 1, 4)
    if kind == "file":
        assert victim.read_text() == "precious"
        victim.unlink()
    elif kind == "folder":
        assert [p.name for p in victim.rglob("*")] == ["shards", "precious"]
        shutil.rmtree(victim)
    else:
        assert not victim.exists()


def test_pictures_and_models_take_the_place_of_links(good, inside):
    victim = inside.parent / "victim"
    victim.write_text("precious")
    shutil.copy(good / "crossbar.h5", "x.h5")
    for name in ("x-error.png", "x-ir-drop.png", f"x.model.h5.{os.getpid()}.tmp"):
        (inside / name).symlink_to(victim)
    for line in (["plot", "x.h5"], ["fit", "x.h5"]):
        assert command(*line).code == 0
    assert victim.read_text() == "precious"
    assert not (inside / "x-error.png").is_symlink()
    victim.unlink()


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "a/b", "", "x\ny"])
def test_names_in_commands_that_become_names_of_files(good, inside, name):
    shutil.copy(good / "sweep.h5", "x.h5")
    before = sorted(inside.iterdir())
    assert command("plot", "x.h5", "--variable", name, "--over", "circuit.rows").code == 1
    assert command("plot", "x.h5", "--kind", name or "none").code == 1
    assert command("export", good / "adc.model.h5", "--to", name).code == 1
    assert sorted(inside.iterdir()) == before


def test_exports_of_a_stranger_are_not_run(good, inside):
    from imccircuit.errors import FileFormatError
    from imccircuit.exporters.numpy.load import load_exported

    assert command("export", good / "adc.model.h5", "--to", "numpy", "-o", "e", "--force").code == 0
    assert load_exported(Path("e/numpy")).chips == 12
    module = Path("e/numpy/imc_model.py")
    module.write_text(module.read_text() + "\nopen('pwned', 'w')\n")
    with pytest.raises(FileFormatError, match="import it if you trust it"):
        load_exported(Path("e/numpy"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("deep", b"a = " + b"[" * 100_000),
        ("dots", b"a." * 50_000 + b"b = 1"),
        ("digits", b"a = " + b"9" * 100_000),
        ("bytes", b"\xff\xfe\x00"),
        ("large", b"#" * 17_000_000),
    ],
)
def test_texts_that_would_take_a_parser_long(inside, name, content):
    for suffix in ("toml", "card.toml"):
        (inside / suffix.replace("toml", f"{name}.toml")).write_bytes(content)
    assert command("run", f"{name}.toml", "--dry-run").code == 1
    _, text = one_line(lambda: load_card(inside / f"card.{name}.toml", "rram"))
    assert text


def test_folders_are_compared_as_they_are(tmp_path):
    """`..` and links are looked through before a folder is compared."""
    inner = tmp_path / "a"
    inner.mkdir()
    (tmp_path / "ab").mkdir()
    (tmp_path / "ab" / "card.toml").write_text(CARD)
    policy = FilePolicy.of_recipe(inner / "r.toml", ())
    for name in ("../ab/card.toml", f"{inner}b/card.toml", "./.././ab/card.toml"):
        with pytest.raises(ValueError, match="outside the recipe's folder"):
            policy.resolve(name)
