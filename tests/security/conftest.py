"""Good files to begin with: results, models, a table of levels. None of them needs ngspice."""

import numpy as np
import pytest
from attack import command, tree


@pytest.fixture(scope="session")
def good(tmp_path_factory):
    """Folder with results and models of a crossbar (nodal), of a sweep, and of a converter."""
    folder = tmp_path_factory.mktemp("good")
    small = ["--set", "engine=nodal", "--set", "circuit.cols=3"]
    out = folder / "crossbar.h5"
    batch = ["--set", "stimulus.batch=40", "--set", "circuit.rows=4"]
    assert command("run", "crossbar_ir_drop", *small, *batch, "-o", out).code == 0
    axes = 'sweep=[{"circuit.rows" = [2, 3]}]'
    out = folder / "sweep.h5"
    assert command("run", "crossbar_ir_drop", *small, "--set", axes, "-o", out).code == 0
    levels = np.sort(np.linspace(0.1, 0.9, 15) + np.random.default_rng(1).normal(0, 1e-3, (12, 15)))
    rows = [
        f"{chip},{code + 1},{levels[chip, code]:.6f}" for chip in range(12) for code in range(15)
    ]
    (folder / "levels.csv").write_text("chip,code,level\n" + "\n".join(rows) + "\n")
    table = folder / "levels.csv"
    assert command("import-levels", table, "--unit", "V", "-o", folder / "adc.h5").code == 0
    for name in ("crossbar", "adc"):
        assert command("fit", folder / f"{name}.h5").code in (0, 3)
    return folder


@pytest.fixture
def inside(tmp_path, monkeypatch):
    """An empty folder to work in; at the end nothing lies beside it that was not there before."""
    folder = tmp_path / "inside"
    folder.mkdir()
    (tmp_path / "secret").write_text("secret")
    before = tree(tmp_path)
    monkeypatch.chdir(folder)
    yield folder
    after = tree(tmp_path)
    outside = {name: what for name, what in after.items() if not name.startswith(str(folder))}
    assert outside == {n: what for n, what in before.items() if not n.startswith(str(folder))}
    assert not [name for name in after if "pwned" in name]
