"""Toggles of successive-approximation logic, counted gate by gate."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

GATES_PER_BIT = 13
"""Gate equivalents of a slice: an inverter, two AND, two OR, and two flip-flops of four each."""


def compute_sar_toggles(codes: ArrayLike, bits: int) -> NDArray[np.int64]:
    """Number of gate outputs that change in one conversion of a converter that goes on.

    The logic is that of ``netlists/sar_logic_xspice.subckt``: for each bit a stage of the
    sequencer, its inverse, the gates that take or hold a decision, their sum, the register and the
    trial. Outputs are compared from the end of one clock cycle to the end of the next, so glitches
    within a cycle are not counted. Each flip-flop's clock input counts as one output that changes
    twice a cycle.

    Parameters
    ----------
    codes : (…) codes that are converted, again and again.
    bits : resolution; a conversion has bits + 2 cycles.

    Returns
    -------
    (…) toggles, clock included.
    """
    code = np.asarray(codes, dtype=np.int64)[..., None]
    # Cycle 0 samples, cycle i tries bit bits − i, cycle bits + 1 holds the code.
    cycle, bit = np.arange(bits + 2)[:, None, None], np.arange(bits)[:, None]
    decided = (code >> bit[..., 0]) & 1 == 1
    decided = np.moveaxis(decided, -1, 0)[None].reshape(1, bits, -1)
    stage = np.broadcast_to(cycle == bits - bit, (bits + 2, bits, decided.shape[-1]))
    kept = (cycle > bits - bit) & decided
    take, hold = stage & decided, ~stage & kept
    outputs = np.stack([stage, ~stage, take, hold, take | hold, kept, stage | kept])
    changes = outputs != np.roll(outputs, 1, axis=1)
    clock = 2 * bits * 2 * (bits + 2)
    return np.asarray(changes.sum(axis=(0, 1, 2)) + clock).reshape(np.shape(codes))
