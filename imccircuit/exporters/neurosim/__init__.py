"""Target ``neurosim``: the two CSV files that NeuroSim 1.5 takes in place of its own figures."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imccircuit.exporters.amounts import (
    redrawn_code_error,
    spread_fidelity,
    state_error,
)
from imccircuit.exporters.content import Content, Fidelity
from imccircuit.exporters.replay import Replay
from imccircuit.exporters.states import cell_states
from imccircuit.exporters.target import Target
from imccircuit.metrics.adc import compute_codes
from imccircuit.surrogates.base import Surrogate

BITCELLS = (1, 2, 4)
"""Bits of a cell, NeuroSim's ``--bitcell``, that there are tables of states for."""

OUTPUT_NOISE = "output_noise.csv"


def states_file(bits: int) -> str:
    """Name of the table for cells of so many bits."""
    return "mem_states.csv" if bits == 1 else f"mem_states_{bits}bit.csv"


def output_statistics(content: Content) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation over chips of the code for MAC values 0 … 2^bits.

    One step of the MAC value is one LSB, full scale / 2^bits, and value k is the middle of the
    ideal converter's code k, (k + 1/2) LSB: the ideal converter has mean k and no spread, but for
    the last value, which is beyond its last code.
    """
    levels = content.arrays["transition_level"].values
    bits, full_scale = content.numbers["bits"] or 0.0, content.numbers["full_scale_v"] or 0.0
    steps = 2 ** int(bits)
    voltage = (np.arange(steps + 1) + 0.5) * full_scale / steps
    codes = np.stack([compute_codes(chip, voltage) for chip in levels]).astype(np.float64)
    sigma = codes.std(axis=0, ddof=1) if len(codes) > 1 else np.zeros(steps + 1)
    return codes.mean(axis=0), sigma


def _write(content: Content, model: Surrogate, folder: Path) -> None:
    del model
    if content.kind == "adc":
        mean, sigma = output_statistics(content)
        rows = zip(range(len(mean)), mean, sigma, strict=True)
        _write_csv(folder / OUTPUT_NOISE, ("output", "mean", "std"), rows)
        return
    for bits in BITCELLS:
        states = cell_states(content, 2**bits)
        rows = zip(range(2**bits), states.mean_s, states.sigma_s, strict=True)
        _write_csv(folder / states_file(bits), ("states", "mean", "std"), rows)


def _write_csv(
    path: Path, header: tuple[str, ...], rows: Iterable[tuple[int, float, float]]
) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows((number, repr(float(a)), repr(float(b))) for number, a, b in rows)


def _usage(content: Content) -> str:
    if content.kind == "adc":
        bits = int(content.numbers["bits"] or 0)
        return (
            f"`{OUTPUT_NOISE}` says what code comes out for each ideal integer result of a column "
            "(one step of it is one LSB). NeuroSim draws the output from it, in place of its "
            "memory states.\n\n```text\npython inference.py --output_noise -1 "
            f"--output_noise_file {OUTPUT_NOISE} --adc_precision {bits} …\n```"
        )
    files = "\n".join(
        f"python inference.py --mem_type resistive --bitcell {bits} "
        f"--mem_states_file {states_file(bits)} …"
        for bits in BITCELLS
    )
    text = "Conductances of the cells in S, one file for each cell precision:"
    return f"{text}\n\n```text\n{files}\n```"


def fidelity(content: Content) -> tuple[Fidelity, ...]:
    """What the CSV files keep."""
    if content.kind == "adc":
        kept = {
            "transition levels": Fidelity(
                "transition levels",
                "approximated",
                "mean and standard deviation over chips of the code in the middle of each ideal "
                "code; NeuroSim draws every output anew, so errors of a chip do not stay with it; "
                "amount: rms difference of a draw and the code of the chip, over inputs and chips",
                redrawn_code_error(content, *output_statistics(content)),
                "codes",
            )
        }
    else:
        states = cell_states(content, 2)
        kept = {
            "programmed conductances": Fidelity(
                "programmed conductances",
                "approximated",
                f"{states.how}; amount: rms difference of a cell and the nearest of two states",
                state_error(content, states),
                "S",
            ),
            "spread of conductances": spread_fidelity(
                content, states, "one normal law for each state"
            ),
        }
    return tuple(
        kept.get(item.quantity, Fidelity(item.quantity, "dropped", "no place in the CSV files"))
        for item in content.fidelity
    )


def _replay(folder: Path) -> Replay:
    from imccircuit.exporters.neurosim.replay import replay_neurosim

    return replay_neurosim(folder)


TARGET = Target(
    "neurosim",
    "CSV files for NeuroSim 1.5",
    _usage,
    _write,
    replay=_replay,
    fidelity=fidelity,
    default="NeuroSim's own figure stays, or what its options say",
)
