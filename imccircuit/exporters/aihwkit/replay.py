"""Replay of exports for aihwkit: stored vectors through an AnalogLinear of aihwkit itself."""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from imccircuit.errors import FileFormatError, SetupError
from imccircuit.exporters.own_code import import_own
from imccircuit.exporters.replay import (
    Difference,
    Replay,
    compare_codes,
    compare_values,
    stored_vectors,
)
from imccircuit.nodal import lines

ADAPTER = "imc_aihwkit.py"
SOURCE = Path(__file__).with_name("adapter.py")
SOLVER = Path(lines.__file__)


def replay_aihwkit(folder: Path) -> Replay:
    """Drive the stored vectors of an export through aihwkit, in double.

    Converters: a layer of weights 1 with one chip for each output, its limits the converters' full
    scale in V, so that they see the stored voltage to the last bit. In float32 an input nearer to
    a level than its rounding may have the code beside it; layers compute in float32 by default.

    Crossbars: the chip's own layer; and the conductances that its noise model programs.

    Raises
    ------
    SetupError : aihwkit cannot be imported.
    FileFormatError : the folder is no export for aihwkit.
    """
    if find_spec("aihwkit") is None:
        raise SetupError(
            "aihwkit cannot be imported: with Python 3.10 to 3.12, pip install torch, then "
            "pip install aihwkit==1.1.0"
        )
    solver = folder / "lines.py"
    if solver.is_file() and solver.read_bytes() != SOLVER.read_bytes():
        raise FileFormatError(f"{solver}: not as this version writes it; import it if you trust it")
    adapter, stored = import_own(folder, ADAPTER, SOURCE), stored_vectors(folder)
    found = _codes(adapter, stored) if "input" in stored else _currents(adapter, stored)
    return Replay("aihwkit", f"aihwkit {version('aihwkit')}, torch {version('torch')}", found)


def _codes(adapter: Any, stored: Any) -> tuple[Difference, ...]:
    torch = adapter.torch
    chips, high = len(adapter.MODEL["transition_level"]), float(adapter.MODEL["full_scale_v"])
    converters = adapter.Converters((0.0, high))
    config = adapter.configure(converters=converters, ideal=True, double=True)
    # One tile, however many chips there are.
    config.mapping.max_input_size = config.mapping.max_output_size = 0
    layer = adapter.AnalogLinear(1, chips, bias=False, rpu_config=config)
    layer.set_weights(torch.ones(chips, 1, dtype=torch.float64))
    with torch.no_grad():
        values = layer.eval()(torch.from_numpy(stored["input"][:, None])).numpy()
    own = values[np.arange(len(values)), stored["chip"]]
    codes = np.floor(own / high * converters.steps)
    return (compare_codes("code", codes, stored["expected_code"]),)


def _currents(adapter: Any, stored: Any) -> tuple[Difference, ...]:
    torch = adapter.torch
    voltage, expected = stored["voltage"], stored["expected_current"]
    v_max = float(np.max(np.abs(voltage))) or 1.0
    answers, programmed = np.empty_like(expected), []
    for chip in np.unique(stored["chip"]):
        mine = stored["chip"] == chip
        array = adapter.Array(v_max=v_max, chip=int(chip))
        config = adapter.configure(array=array, ideal=True, double=True)
        layer = adapter.measured_layer(config, int(chip)).eval()
        with torch.no_grad():
            answers[mine] = layer(torch.from_numpy(voltage[mine] / v_max)) * array.scale_a
        layer.program_analog_weights()
        weights = next(layer.analog_tiles()).tile.get_weights().numpy()
        programmed.append(weights.T * adapter.g_max_s(int(chip)))
    # Products of some hundred terms, normalised and back; the solver of nonlinear cells and the
    # surrogate's promise 1e-10 each.
    linear = "effective_conductance" in adapter.MODEL
    bound = (1e-12 if linear else 2e-10) * float(np.max(np.abs(expected)))
    cells = adapter.MODEL["conductance"][np.unique(stored["chip"])]
    return (
        compare_values("current", "A", answers, expected, bound),
        compare_values(
            "programmed conductance", "S", np.stack(programmed), cells, 1e-12 * float(np.max(cells))
        ),
    )
