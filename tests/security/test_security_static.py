"""The source of the package and the decks it writes: nothing in them runs what a file says."""

import ast
import re
from pathlib import Path

import pytest

import imccircuit
from imccircuit import library
from imccircuit.engines import deck
from imccircuit.recipes.load import load_recipe
from imccircuit.recipes.plan import Plan

PACKAGE = Path(imccircuit.__file__).parent
# Modules that run or load what data say, or that are there to make objects of bytes.
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "yaml", "joblib",
           "runpy", "code", "pty", "commands", "xmlrpc", "wsgiref"}  # fmt: skip
CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "os.execv", "os.execvp",
         "os.execve", "os.spawnl", "os.spawnv", "os.posix_spawn", "subprocess.getoutput",
         "subprocess.getstatusoutput", "input", "breakpoint", "numpy.fromfile",
         "pandas.read_pickle", "h5py.Reference", "tempfile.mktemp"}  # fmt: skip
# The same through any name.
METHODS = {"read_pickle", "to_pickle", "unpickle", "exec_module", "literal_eval", "fromstring"}
# Where one of them has a reason, which stands there as a comment.
EXCUSED = {
    ("exporters/numpy/runtime.py", "exec_module"),  # the solver beside it, in an export
    ("exporters/aihwkit/adapter.py", "exec_module"),  # likewise
    ("exporters/aihwkit/macro.py", "exec_module"),  # adapters beside it, in an export
    ("exporters/crosssim/macro.py", "exec_module"),  # likewise
    ("exporters/own_code.py", "exec_module"),  # only code that equals our own
    ("networks/restricted_pickle.py", "pickle"),  # a reader that knows only arrays
}
COMMANDS = (
    r"set num_threads=\d+", "set filetype=binary", "set appendwrite", "set noinit",
    "set no_mem_check", r"dc v_imc_run 0 \d+ 1",
    "optran 0 0 0 1n 1u 0", r"alter [\w.@\[\]]+ = \S+", "op", r"tran \S+ \S+ 0 \S+",
    r"noise v\([\w.]+\) \w+ dec \d+ \S+ \S+", r"let imc_run = \d+", r"write [\w.]+( [\w ]+)?",
    "destroy all", "rusage time", r"echo IMC_DONE [\w.+-]+", "quit 0",
)  # fmt: skip


def dotted(node, names):
    """``a.b.c`` of an expression, with what its first name was imported as; empty if it is none."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([names.get(node.id, node.id), *reversed(parts)])


def imported(tree):
    """Name in the module → what it stands for."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    return names


def faults(source, file):
    """What a module does that none may do."""
    tree = ast.parse(source)
    names = imported(tree)
    found = [
        name
        for name in names.values()
        if name.partition(".")[0] in MODULES and (file, name) not in EXCUSED
    ]
    for node in ast.walk(tree):
        method = node.attr if isinstance(node, ast.Attribute) else ""
        if method in METHODS and (file, method) not in EXCUSED:
            found.append(method)
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func, names)
        if name in CALLS:
            found.append(name)
        keywords = {k.arg: k.value for k in node.keywords}
        shell = keywords.get("shell")
        if shell is not None and not (isinstance(shell, ast.Constant) and shell.value is False):
            found.append("shell")
        if name.rpartition(".")[2] == "load" and name.startswith("numpy"):
            pickles = keywords.get("allow_pickle")
            if not (isinstance(pickles, ast.Constant) and pickles.value is False):
                found.append("numpy.load")
        if isinstance(node.func, ast.Attribute) and node.func.attr == "deref":
            found.append("deref")
    return found


FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


def test_no_module_runs_what_a_file_says():
    found = {name: faults((PACKAGE / name).read_text(), name) for name in FILES}
    assert {name: what for name, what in found.items() if what} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import yaml as y",
        "eval('1')",
        "exec(text)",
        "import os\nos.system('x')",
        "from os import system as s\ns('x')",
        "import subprocess\nsubprocess.run('x', shell=True)",
        "import subprocess\nsubprocess.Popen('x', shell=wanted)",
        "import numpy as np\nnp.load('x')",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "from numpy import load\nload('x', allow_pickle=flag)",
        "import pandas as pd\npd.read_pickle('x')",
        "spec.loader.exec_module(module)",
        "__import__('x')",
        "import ast\nast.literal_eval('x')",
    ],
)
def test_the_check_finds_what_may_not_be_there(source):
    assert faults(source, "new.py")


def test_the_check_takes_what_may_be_there():
    source = "import re\nimport numpy as np\nre.compile('x')\nnp.load('x', allow_pickle=False)"
    assert faults(source, "new.py") == []
    assert "exporters/own_code.py" in FILES


RECIPES = [name for name in library.names("characterize", ".toml") if not name.startswith("digits")]


@pytest.mark.parametrize("name", RECIPES)
def test_decks_of_shipped_recipes_hold_only_known_commands(name):
    plan = Plan(load_recipe(name))
    measurement = plan.recipe.bench.measure(plan.parameters(0), plan.variation(0, 0))
    problem = next(measurement, None)
    measurement.close()
    if problem is None:
        pytest.skip("it has no deck")
    for rung in deck.LADDER:
        text = deck.deck_text(problem, title=f"imccircuit {name}", options={"klu": ""}, rung=rung)
        before, _, rest = text.partition("\n.control\n")
        control, _, after = rest.partition("\n.endc\n")
        unknown = [line for line in control.split("\n")
                   if not any(re.fullmatch(known, line) for known in COMMANDS)]  # fmt: skip
        assert unknown == []
        assert after == ".end\n"
        assert ".control" not in before
