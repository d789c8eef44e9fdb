"""What a crossbar can be made of: its cells and its read-out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.circuits.text import check_name
from imccircuit.errors import UsageError


@dataclass(frozen=True)
class LinearCell:
    """``1r``: a resistor of 1/G."""


@dataclass(frozen=True)
class SinhCell:
    """``1r_sinh``: I = G·V0·sinh(V/V0), the cell of ``netlists/cell_1r_sinh.subckt``.

    Attributes
    ----------
    v0_v : V0 in V, one for all cells or (row, col); positive.
    """

    v0_v: float | NDArray[np.float64]

    def __post_init__(self) -> None:
        v0 = np.asarray(self.v0_v, dtype=np.float64)
        if not (np.all(np.isfinite(v0)) and np.all(v0 > 0)):
            raise UsageError("v0_v must be finite and positive")


@dataclass(frozen=True)
class TransistorCell:
    """``1t1r``: the resistor 1/G from the word-line side to the drain of an n-channel transistor.

    The source is at the bit line, the bulk at ground, and all gates at the source ``vgate``.
    Gate lines are ideal.

    Attributes
    ----------
    model : name of the transistor's model.
    gate_v : voltage of all gates in V.
    w_m, l_m : gate width and length in m.
    lib_path : library file that holds the model; None if ``lib_text`` does, or if the caller adds
        it to the circuit.
    section : section of that file, empty for a plain include.
    lib_text : model cards as text, carried inside the deck.
    delta_vth_v : threshold shift of each transistor in V (instance parameter ``delvto``, which
        BSIM3 and BSIM4 have and level 1 has not): a number or (row, col).
    mobility : mobility factor of each transistor (instance parameter ``mulu0``), likewise.
    """

    model: str
    gate_v: float
    w_m: float
    l_m: float
    lib_path: Path | None = None
    section: str = ""
    lib_text: str = ""
    delta_vth_v: float | NDArray[np.float64] | None = None
    mobility: float | NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        check_name(self.model, "transistor model")
        if self.section:
            check_name(self.section, "library section")
        if self.lib_path is not None and not Path(self.lib_path).is_file():
            raise UsageError(f"there is no transistor library {self.lib_path}")
        if not np.isfinite(self.gate_v):
            raise UsageError(f"gate_v must be finite, not {self.gate_v!r}")
        for name in ("w_m", "l_m"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise UsageError(f"{name} must be positive, not {getattr(self, name)!r}")


Cell = LinearCell | SinhCell | TransistorCell


@dataclass(frozen=True)
class IdealReadout:
    """``ideal``: bit lines end in an ammeter to ground, which no real circuit is."""


@dataclass(frozen=True)
class TiaReadout:
    """``tia``: a transimpedance amplifier a bit line, ``netlists/tia.subckt``.

    For the array it is the sense resistance Rf/(1 + A) parallel to the input resistance, at an
    end voltage of about the offset. All are numbers or (col,).

    Attributes
    ----------
    gain : open-loop gain A, positive.
    r_feedback_ohm : feedback resistance Rf in ohm, positive.
    r_in_ohm : resistance from the amplifier's input to ground in ohm, positive.
    offset_v : input-referred offset in V.
    """

    gain: float | NDArray[np.float64]
    r_feedback_ohm: float | NDArray[np.float64]
    r_in_ohm: float | NDArray[np.float64] = 1e12
    offset_v: float | NDArray[np.float64] = 0.0

    def __post_init__(self) -> None:
        for name in ("gain", "r_feedback_ohm", "r_in_ohm"):
            value = np.asarray(getattr(self, name), dtype=np.float64)
            if not (np.all(np.isfinite(value)) and np.all(value > 0)):
                raise UsageError(f"{name} must be finite and positive")
        if not np.all(np.isfinite(np.asarray(self.offset_v, dtype=np.float64))):
            raise UsageError("offset_v must be finite")


Readout = IdealReadout | TiaReadout


def interleave_pairs(g_plus: ArrayLike, g_minus: ArrayLike) -> NDArray[np.float64]:
    """Put differential pairs into physical columns, in the order +0, −0, +1, −1 and so on.

    Parameters
    ----------
    g_plus, g_minus : (row, col) conductances in S of the two halves of each pair.

    Returns
    -------
    (row, 2·col) conductances in S. The signed output of pair k is column 2k minus column 2k + 1.

    Raises
    ------
    UsageError : the two are not of one two-dimensional shape.
    """
    plus, minus = np.asarray(g_plus, dtype=np.float64), np.asarray(g_minus, dtype=np.float64)
    if plus.ndim != 2 or plus.shape != minus.shape:
        raise UsageError(
            f"the halves of the pairs must both be (row, col), not {plus.shape} and {minus.shape}"
        )
    return np.stack([plus, minus], axis=2).reshape(plus.shape[0], -1)
