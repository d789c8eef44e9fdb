"""Exported tables through NeuroSim's own memory states and ADC."""

from __future__ import annotations

import csv
from contextlib import redirect_stdout
from importlib import import_module
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import FileFormatError, SetupError
from imccircuit.exporters.neurosim import BITCELLS, OUTPUT_NOISE, states_file
from imccircuit.exporters.replay import Difference, Replay, compare_codes, compare_values

Floats = NDArray[np.float64]

_DRAWS = 4000
# Five standard errors of the state or output that is least certain; the seed is fixed.
_SIGMAS = 5.0
# NeuroSim computes in float32.
_SINGLE = 2.0**-23
_ROWS = 16


def replay_neurosim(folder: Path) -> Replay:
    """What NeuroSim makes of an export's tables.

    Of an ADC the law of the codes that ``CIM.ADC_output`` draws for every ideal integer, against
    the normal law of the table rounded and clipped as NeuroSim does; stored conversions have no
    place, for every output is drawn anew. Of cells the states that ``init_cim`` reads, and what
    comes of them: without spread products of random bits and states, with spread the conductances
    that are drawn.

    Raises
    ------
    SetupError : NeuroSim cannot be imported, or there is no GPU.
    FileFormatError : the folder is no whole export, or NeuroSim refuses it.
    """
    table = folder / OUTPUT_NOISE
    files = {bits: folder / states_file(bits) for bits in BITCELLS}
    adc = table.is_file()
    if not adc and not all(path.is_file() for path in files.values()):
        raise FileFormatError(f"{folder}: neither {OUTPUT_NOISE} nor the tables of states")
    layer, torch = _upstream()
    found: list[Difference] = []
    with torch.random.fork_rng(), redirect_stdout(StringIO()):
        torch.manual_seed(1)
        try:
            if adc:
                found += _outputs(layer, torch, table)
            else:
                for bits, path in files.items():
                    found += _states(layer, torch, path, bits)
        except SystemExit:
            raise FileFormatError(f"{folder}: NeuroSim refuses its tables") from None
        except (AssertionError, RuntimeError) as error:
            if "CUDA" not in str(error) and "NVIDIA" not in str(error):
                raise
            raise SetupError("NeuroSim computes on a GPU alone, and torch finds none") from None
    return Replay("neurosim", "NeuroSim 1.5, cim/modules/macro.py", tuple(found))


def _upstream() -> tuple[Any, Any]:
    """A layer of NeuroSim's own code with nothing but its array, and torch."""
    try:
        import torch

        utils = import_module("pytorch_quantization.cim.modules._utils")
        macro = import_module("pytorch_quantization.cim.modules.macro")
    except ImportError:
        raise SetupError(
            "NeuroSim cannot be imported: clone https://github.com/neurosim/NeuroSim, branch "
            "2DInferenceV1.5-dev, and install its folder pytorch-quantization, which needs CUDA"
        ) from None

    class Layer(utils.QuantMixin, macro.CIM):  # type: ignore[misc,name-defined]
        def __init__(self, **facts: Any) -> None:
            self.init_cim(SimpleNamespace(**{**_FACTS, **facts}), _ROWS, 1)

    return Layer, torch


_FACTS: dict[str, Any] = {
    "mem_states_file": "",
    "mem_type": "resistive",
    "bitcell": 1,
    "on_state": 1.0,
    "off_state": 0.0,
    "parallel_read": _ROWS,
    "sub_array": [_ROWS, 1],
    "weight_precision": 1,
    "input_precision": 1,
    "dac_precision": 1,
    "adc_precision": 8,
    "rate_stuck_0": 0.0,
    "rate_stuck_1": 0.0,
    "output_noise": 0.0,
    "read_noise": 0.0,
    "v": 0,
    "vdd": 1.0,
}


def _read(path: Path) -> tuple[Floats, Floats]:
    """Columns ``mean`` and ``std``."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        mean, std = (np.array([float(row[name]) for row in rows]) for name in ("mean", "std"))
    except (OSError, ValueError, KeyError, TypeError):
        raise FileFormatError(f"{path}: no table of means and deviations") from None
    return mean, std


def _outputs(layer: Any, torch: Any, path: Path) -> list[Difference]:
    mean, sigma = _read(path)
    bits = (len(mean) - 1).bit_length() - 1
    own = layer(output_noise=-1.0, output_noise_file=str(path), adc_precision=bits)
    device = own.output_noise_means.device
    inputs = torch.arange(len(mean), dtype=torch.int32, device=device).repeat(_DRAWS)
    one = torch.ones((1, 1, 1), dtype=torch.int32, device=device)
    codes = own.ADC_output(inputs.reshape(1, -1, 1), one, None, 0)
    drawn = codes.cpu().numpy().astype(np.float64).reshape(_DRAWS, -1)
    law = _rounded_law(mean, sigma, 2**bits)
    steps = np.arange(2**bits + 1)
    expected = law @ steps
    centred = (steps - expected[:, None]) ** 2
    variance, fourth = np.sum(law * centred, axis=1), np.sum(law * centred**2, axis=1)
    of_mean = _SIGMAS * float(np.sqrt(np.max(variance) / _DRAWS))
    of_variance = _SIGMAS * float(np.sqrt(np.max(fourth - variance**2) / _DRAWS))
    # Where nothing is drawn, rounding of the sums is left.
    return [
        compare_values("mean code", "1", drawn.mean(axis=0), expected, of_mean + 1e-6),
        compare_values(
            "variance of the code", "1", drawn.var(axis=0), variance, of_variance + 1e-6
        ),
    ]


def _rounded_law(mean: Floats, sigma: Floats, top: int) -> Floats:
    """Probability (output, code) of codes 0 … ``top`` of a normal law, rounded and clipped."""
    from scipy.special import ndtr

    edges = np.arange(top) + 0.5
    wide = np.where(sigma > 0, sigma, 1.0)[:, None]
    below = ndtr((edges - mean[:, None]) / wide)
    ends = np.zeros((len(mean), 1))
    law = np.diff(np.concatenate([ends, below, ends + 1], axis=1), axis=1)
    # Without spread: halves go to the even neighbour, in torch as in numpy.
    still = np.clip(np.round(mean.astype(np.float32)), 0, top).astype(np.int64)
    return np.where(sigma[:, None] > 0, law, np.eye(top + 1)[still])


def _states(layer: Any, torch: Any, path: Path, bits: int) -> list[Difference]:
    mean, sigma = _read(path)
    own = layer(mem_states_file=str(path), bitcell=bits, weight_precision=bits)
    answered = own._cim_args.mem_states.cpu().numpy()
    largest = float(np.max(np.abs(mean)))
    name = f"states of {bits} bit"
    found = [compare_values(name, "S", answered, mean, _SINGLE * largest)]
    device = own._cim_args.mem_states.device
    if not np.any(sigma):
        inputs = torch.randint(0, 2, (1, _DRAWS, _ROWS), dtype=torch.int32, device=device)
        cells = torch.randint(0, 2**bits, (1, _ROWS, 1), dtype=torch.int32, device=device)
        codes = own.ADC_output(inputs, cells, torch.zeros_like(cells), 0)
        product = (inputs.cpu().long() @ cells.cpu().long()).numpy()
        return [*found, compare_codes(f"products of {bits} bit", codes.cpu().numpy(), product)]
    cells = torch.arange(2**bits, dtype=torch.int32, device=device).repeat(_DRAWS, 1)
    drawn = own.conductance_sampling(cells, torch.zeros_like(cells), 0)[0]
    values = drawn.cpu().numpy().astype(np.float64)
    error, rounding = _SIGMAS * float(np.max(sigma)) / np.sqrt(_DRAWS), _SINGLE * largest
    return [
        *found,
        compare_values(f"{name}, drawn", "S", values.mean(axis=0), mean, float(error) + rounding),
        compare_values(
            f"spread of {bits} bit", "S", values.std(axis=0), sigma, float(error) + rounding
        ),
    ]
