"""From names and values of a stranger to a deck: refused before, or harmless words in it."""

import json
import os
import re
import shutil
import stat
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from attack import command
from PySpice.Spice.Netlist import Circuit

from imccircuit import library
from imccircuit.benches.problem import Noise, OperatingPoint, Probe, Problem
from imccircuit.devices.cards import load_card
from imccircuit.engines import deck
from imccircuit.engines import process as process_module
from imccircuit.engines.contract import Status
from imccircuit.engines.ngspice import NgspiceEngine, locate
from imccircuit.errors import InputError, UsageError
from imccircuit.recipes.fields import field_keys
from imccircuit.recipes.load import load_recipe
from imccircuit.recipes.plan import Plan

HARM = [
    "\n.control\nshell touch pwned\n.endc\n",
    "`touch pwned`",
    "x' tt",
    "a b",
    "{1}",
    "x;y",
    "$x",
]
SHIPPED = Path(load_card("mos_generic", "mos").file)
NGSPICE = pytest.mark.skipif(
    shutil.which(os.environ.get("IMCCIRCUIT_NGSPICE", "ngspice")) is None, reason="no ngspice"
)


def divider(text="", **changes):
    circuit = Circuit("divider")
    circuit.raw_spice = f"vin top 0 dc 1 ac 1\nr1 top mid 1k\nr2 mid 0 1k\n{text}"
    problem = Problem(circuit, OperatingPoint(), (Probe("mid", ("v(mid)",), (), 5.0),))
    return replace(problem, **changes)


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        (".control\nshell touch pwned\n.endc", {}),
        ("\t.CONTROL", {}),
        ("  *# shell touch pwned", {}),
        ("r3 `touch pwned` 0 1k", {}),
        ("", {"alterations": ({"vin 1\nshell touch pwned\nalter vin": 1.0},)}),
        ("", {"alterations": ({"vin;quit": 1.0},)}),
        ("", {"analysis": Noise("mid) vin dec 1 1 1\nshell touch pwned\n", "vin", 1.0, 10.0)}),
        ("", {"options": {"method": "gear\n.control\nshell touch pwned\n.endc"}}),
        ("", {"probes": (Probe("mid", ("v(mid)\n.control",), (), 5.0),)}),
    ],
)
def test_the_last_look_before_there_is_a_deck(text, changes):
    with pytest.raises(UsageError) as caught:
        deck.deck_text(divider(text, **changes), title="imccircuit x", options={})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("title", ["imccircuit x\n.control", "imccircuit `x`", "imccircuit \x00"])
def test_a_title_is_one_line(title):
    with pytest.raises(UsageError, match="one line of text"):
        deck.deck_text(divider(), title=title, options={})


def test_a_folder_may_be_called_like_a_command():
    text = deck.deck_text(divider(".include '/my.control/a*#b.lib'"), title="imc x", options={})
    assert "/my.control/" in text


@pytest.mark.parametrize("value", HARM)
@pytest.mark.parametrize("key", ["nmos", "pmos", "section", "library", "default_corner"])
def test_names_in_a_technology_card(tmp_path, key, value):
    text = SHIPPED.read_text()
    shutil.copy(SHIPPED.with_suffix(".lib"), tmp_path)
    quoted = json.dumps(value)
    if key == "library":
        # The file is there: a folder from a stranger may hold names of any sort.
        (tmp_path / value).write_bytes(SHIPPED.with_suffix(".lib").read_bytes())
        old, new = '"mos_generic.lib"', quoted
    elif key == "section":
        old, new = 'tt = "tt"', f"tt = {quoted}"
    elif key == "default_corner":
        old, new = 'default_corner = "tt"', f"default_corner = {quoted}"
    else:
        old, new = f'"imc_{key}"', quoted
    assert text.count(old) == 1
    card = tmp_path / "card.toml"
    card.write_text(text.replace(old, new))
    if key == "library" and value in ("a b", "x;y", "{1}", "$x"):
        # In single quotes ngspice takes these for a path like any other.
        assert load_card(card, "mos").include_line() == f".lib '{tmp_path}/{value}' tt"
        return
    with pytest.raises((InputError, UsageError)) as caught:
        load_card(card, "mos")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", [n for n in library.names("characterize", ".toml") if not n.startswith("digits")]
)
def test_no_key_of_a_bench_takes_a_line_break(name):
    """Quantities, choices and names alike."""
    recipe = load_recipe(name)
    first = {key: values[0] for axis in recipe.axes for key, values in axis.values.items()}
    for key in field_keys(recipe.bench.parameters):
        with pytest.raises((InputError, UsageError)) as caught:
            recipe.parameters({**first, key: "x" + HARM[0]})
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["title", "takes", "bench", "engine", "kind", "x" + HARM[0]])
@pytest.mark.parametrize("value", HARM[:2])
def test_no_key_beside_them_does(key, value):
    with pytest.raises((InputError, UsageError)) as caught:
        load_recipe("crossbar_ir_drop", [f"{key}={json.dumps(value)}"])
    assert "\n" not in str(caught.value)


def test_the_name_of_a_recipe_is_a_word_in_a_deck(inside, monkeypatch):
    name = "x\n.control\nshell touch y\n.endc\n.toml"
    shutil.copy(library.find("characterize", "crossbar_ir_drop", ".toml"), inside / name)
    plan = Plan(load_recipe(name))
    assert re.fullmatch(r"[\w.+-]+", plan.label((0, 0)))
    monkeypatch.setenv("IMCCIRCUIT_NGSPICE", "/nonexistent/ngspice")
    assert command("netlist", name, "-o", "x.cir").code == 0
    lines = (inside / "x.cir").read_text().split("\n")
    assert lines[0] == "imccircuit x_.control_shell_touch_y_.endc_-p0-s0"
    assert [line for line in lines if line.startswith((".control", "shell"))] == [".control"]


def test_the_name_in_a_results_file_is_a_word_in_a_deck(good, inside, monkeypatch):
    """Whoever runs the deck of a stranger's results would run the title's second line."""
    monkeypatch.setenv("IMCCIRCUIT_NGSPICE", "/nonexistent/ngspice")
    shutil.copy(good / "crossbar.h5", "x.h5")
    with h5py.File("x.h5", "a") as file:
        file["provenance/recipe_name"][()] = "a\n.control\nshell touch pwned\n.endc"
    assert command("netlist", "x.h5", "-o", "x.cir").code == 0
    title, body = (inside / "x.cir").read_text().split("\n", 1)
    assert title == "imccircuit a_.control_shell_touch_pwned_.endc-p0-s0"
    assert [line for line in body.split("\n") if line.startswith((".control", "shell"))] == [
        ".control"
    ]


@NGSPICE
@pytest.mark.ngspice
def test_ngspice_starts_alone_in_a_folder_of_its_own(tmp_path, monkeypatch):
    """Start-up files in the user's home, where the user stands, or beside it are not read."""
    seen = []
    run = process_module.run

    def watched(order, folder, **options):
        entries = sorted(path.name for path in folder.iterdir())
        seen.append((order, entries, stat.S_IMODE(folder.stat().st_mode), options["env"]))
        return run(order, folder, **options)

    monkeypatch.setattr("imccircuit.engines.ngspice.run", watched)
    (tmp_path / "scripts").mkdir()
    for name in (".spiceinit", "spice.rc", "scripts/spinit"):
        (tmp_path / name).write_text(f"shell touch {tmp_path}/pwned\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SPICE_SCRIPTS", "scripts")
    monkeypatch.setenv("SPICE_LIB_DIR", ".")
    monkeypatch.setenv("NGSPICE_INPUT_DIR", str(tmp_path))
    monkeypatch.setenv("SPICE_USERINIT", str(tmp_path / ".spiceinit"))
    monkeypatch.chdir(tmp_path)
    (outcome,) = NgspiceEngine().solve([divider()])
    assert outcome.status is Status.GOOD
    assert np.isclose(float(outcome.answer.final("mid")[0]), 0.5, rtol=0, atol=1e-9)
    order, entries, mode, env = seen[-1]
    assert order == [locate(), "-b", "-n", "main.cir"]
    assert entries == ["0.cir", "main.cir"]
    assert mode == 0o700
    assert not {"SPICE_SCRIPTS", "SPICE_LIB_DIR", "NGSPICE_INPUT_DIR", "SPICE_USERINIT"} & set(env)
    assert not (tmp_path / "pwned").exists()


@NGSPICE
@pytest.mark.ngspice
def test_without_n_the_start_up_file_would_be_run(tmp_path, monkeypatch):
    """What the test above rests on."""
    monkeypatch.setattr(
        "imccircuit.engines.ngspice.run",
        lambda order, folder, **options: process_module.run(
            [word for word in order if word != "-n"], folder, **options
        ),
    )
    (tmp_path / ".spiceinit").write_text(f"shell touch {tmp_path}/run\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    NgspiceEngine().solve([divider()])
    assert (tmp_path / "run").exists()
