"""The house rules that no linter knows: import order, a light import, short files.

The order is read from the source with ast, so imports inside functions and under TYPE_CHECKING
count as well, and so does a module named in a string, as registries do it.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "imccircuit"

GROUND = (
    "units",
    "errors",
    "library",
    "registry",
    "threads",
    "validation",
    "vectors",
    "versions",
    "metrics",
    "nodal",
)
STAGES = (
    "devices",
    "circuits",
    "benches",
    "engines",
    "results",
    "recipes",
    "sweeps",
    "surrogates",
    "exporters",
    "networks",
    "plots",
    "cli",
)
RANK = dict.fromkeys(GROUND, 0) | {name: rank for rank, name in enumerate(STAGES, start=1)}
RANK["__main__"] = RANK["cli"]

MODULE_NAME = re.compile(r"imccircuit\.(\w+)[.\w]*")
MAX_LINES = 400
HEAVY = {"matplotlib", "numba", "torch", "xarray", "PySpice"}


def _dotted_imports(tree: ast.AST, package: list[str]) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every import in a module that lies in ``package``.

    ``from a.b import c`` gives ``a.b.c``, whether c is a module or not: the stage is the same.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            # One dot is the module's own package, each further one the package around it.
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = [*base, *(node.module.split(".") if node.module else [])]
            for alias in node.names:
                yield node.lineno, ".".join([*stem, alias.name])
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and (named := MODULE_NAME.fullmatch(node.value))
            and named[1] in RANK  # else it is a file name or the like
        ):
            yield node.lineno, node.value


def order_violations(package: Path) -> list[str]:
    """Every import in the folder ``package`` that goes against the order, as one line each."""
    found = []
    for file in sorted(package.rglob("*.py")):
        inside = file.relative_to(package)
        if inside == Path("__init__.py"):
            continue  # the front door: it hands out names of all stages, lazily
        stage = inside.with_suffix("").parts[0]
        if stage not in RANK:
            found.append(f"{inside}: {stage!r} has no place in the import order")
            continue
        dotted_package = [package.name, *inside.parent.parts]
        for line, name in _dotted_imports(ast.parse(file.read_text()), dotted_package):
            top, _, rest = name.partition(".")
            target = rest.partition(".")[0]
            if top != package.name or target in {"", "__version__"}:
                continue
            if target not in RANK:
                # Through the front door every stage could reach every other one.
                found.append(f"{inside}:{line}: import {name} from the module that defines it")
            elif RANK[target] > RANK[stage]:
                found.append(f"{inside}:{line}: {stage} may not import {target}")
    return found


def test_every_module_imports_only_what_stands_before_it() -> None:
    assert order_violations(PACKAGE) == []


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("units.py", "from imccircuit.cli.main import main"),
        ("metrics/adc.py", "import imccircuit.devices.card"),
        ("circuits/crossbar.py", "def f():\n    from imccircuit.benches import problem"),
        (
            "engines/base.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import imccircuit.sweeps",
        ),
        ("results/schema.py", "from ..recipes import model"),
        ("results/deep/schema.py", "from ...recipes import model"),
        ("results/schema.py", "from .. import recipes"),
        ("sweeps/run.py", "from imccircuit import surrogates"),
        ("surrogates/adc.py", "import importlib\nimportlib.import_module('imccircuit.plots.adc')"),
        ("exporters/registry.py", "KNOWN = {'net': 'imccircuit.networks.train'}"),
        ("plots/adc.py", "from imccircuit import solve_crossbar"),
        ("helpers.py", "x = 1"),
    ],
)
def test_checker_finds_a_wrong_import(tmp_path: Path, file: str, source: str) -> None:
    wrong = tmp_path / "imccircuit" / file
    wrong.parent.mkdir(parents=True, exist_ok=True)
    wrong.write_text(source)
    (violation,) = order_violations(tmp_path / "imccircuit")
    assert violation.startswith(file)


def test_checker_accepts_right_imports(tmp_path: Path) -> None:
    package = tmp_path / "imccircuit"
    package.mkdir()
    (package / "__init__.py").write_text("from imccircuit.nodal import solve_crossbar")
    (package / "__main__.py").write_text("from imccircuit.cli.main import main")
    (package / "library.py").write_text("from imccircuit.errors import SetupError")
    (package / "plots").mkdir()
    (package / "plots" / "adc.py").write_text(
        "import numpy\n"
        "from imccircuit import __version__, units\n"
        "from imccircuit.metrics.adc import compute_inl_dnl\n"
        "from imccircuit.plots.style import STYLE\n"
        "from .style import STYLE\n"
        "from ..surrogates import adc\n"
    )
    assert order_violations(package) == []


def _modules_loaded_by(statement: str) -> set[str]:
    """Names of the modules that a fresh interpreter loads for ``statement``."""
    code = (
        "import json, sys\n"
        "before = set(sys.modules)\n"
        f"{statement}\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return set(json.loads(done.stdout))


def test_import_is_light() -> None:
    loaded = _modules_loaded_by("import imccircuit")
    top = {name.partition(".")[0] for name in loaded}
    assert "imccircuit" in top
    assert not top & HEAVY
    # Nothing but the standard library: numpy alone would be a tenth of a second.
    assert top - {"imccircuit"} <= set(sys.stdlib_module_names)


def test_files_are_short() -> None:
    files = [file for folder in ("imccircuit", "tests") for file in (ROOT / folder).rglob("*.py")]
    lengths = {str(f.relative_to(ROOT)): len(f.read_text().splitlines()) for f in files}
    assert {name: n for name, n in lengths.items() if n > MAX_LINES} == {}


def test_library_neither_prints_nor_asserts() -> None:
    # ruff has rules for both, but a comment in the source can switch those off.
    found = []
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            prints = (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "print"
            )
            if prints or isinstance(node, ast.Assert):
                found.append(f"{file.relative_to(ROOT)}:{node.lineno}")
    assert found == []


def test_no_comparison_that_cannot_fail():
    """`pytest.approx` has an absolute tolerance of 1e-12 of its own, far above a femtojoule."""
    silent = [
        f"{path.name}:{call.lineno}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and getattr(call.func, "attr", "") == "approx"
        and "abs" not in {keyword.arg for keyword in call.keywords}
    ]
    assert silent == []
