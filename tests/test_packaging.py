"""The wheel, as a user without a checkout gets it: built once, installed in an empty environment.

Nothing is downloaded: the dependencies are those of the environment that runs the tests, reached
through a .pth file. Python does not read .pth files in a folder that was added by a .pth file, so
the editable installation there is not seen, and ``imccircuit`` can only come from the wheel.
"""

from __future__ import annotations

import json
import os
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# On one worker, so that the wheel is built once.
pytestmark = pytest.mark.xdist_group("wheel")

SHIPPED = ("netlists", "device_models", "characterize", "data")


def _run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        check=False,  # asserted below, with what it printed
        capture_output=True,
        text=True,
        timeout=120,
        env={k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "PYTHONHOME"}},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of an environment that holds the wheel."""
    root = tmp_path_factory.mktemp("installed")
    venv.create(root, with_pip=False, symlinks=True)
    python = root / "bin" / "python"
    # Before the .pth file is there, or pip would see the editable installation and leave it.
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    _run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=root)
    (packages,) = root.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    return root


def _shipped_in_checkout() -> set[str]:
    return {
        file.relative_to(ROOT).as_posix()
        for kind in SHIPPED
        for file in (ROOT / kind).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


def test_wheel_holds_package_and_shipped_files(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    modules = {file.relative_to(ROOT).as_posix() for file in (ROOT / "imccircuit").rglob("*.py")}
    assert modules <= names
    assert {f"imccircuit/_shipped/{name}" for name in _shipped_in_checkout()} <= names
    assert "imccircuit/py.typed" in names
    tops = {name.partition("/")[0] for name in names}
    assert len(tops) == 2, f"more than the package and its metadata: {sorted(tops)}"


def test_shipped_files_are_found_in_the_wheel(installed: Path) -> None:
    code = (
        "import json, imccircuit.library as lib\n"
        f"found = {{kind: str(lib.path(kind)) for kind in {SHIPPED!r}}}\n"
        "print(json.dumps([lib.__file__, found]))"
    )
    module, found = json.loads(_run(installed / "bin" / "python", "-c", code, cwd=installed))
    assert Path(module).is_relative_to(installed)
    for kind, folder in found.items():
        assert Path(folder).parts[-2:] == ("_shipped", kind)
        assert Path(folder).is_relative_to(installed)
        there = {path.relative_to(folder) for path in Path(folder).rglob("*") if path.is_file()}
        here = {path for path in _shipped_in_checkout() if path.startswith(f"{kind}/")}
        assert here, f"nothing is shipped in {kind}"
        assert {f"{kind}/{path.as_posix()}" for path in there} == here


def test_shipped_files_are_found_in_the_checkout() -> None:
    code = f"import imccircuit.library as lib\nfor k in {SHIPPED!r}: print(lib.path(k))"
    lines = _run(sys.executable, "-c", code, cwd=ROOT).split("\n")
    assert [Path(line) for line in lines if line] == [ROOT / kind for kind in SHIPPED]


def test_command_of_the_wheel_lists_shipped_recipes(installed: Path) -> None:
    output = _run(installed / "bin" / "imccircuit", "list", "recipes", cwd=installed)
    for name in ("crossbar_ir_drop", "adc_sar8", "adc_sar8_mismatch"):
        assert name in output
