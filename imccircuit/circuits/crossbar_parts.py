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
class OpenReadout:
    """Bit lines end in ammeters to the nodes ``tia_<j>``, to which the caller connects front ends.

    Their outputs are to be the nodes ``out_<j>``.
    """


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
        _check(self, ("gain", "r_feedback_ohm", "r_in_ohm"), ("offset_v",))


@dataclass(frozen=True)
class ClampMirrorReadout:
    """``clamp_mirror``: a clamp with a current mirror a bit line, ``netlists/clamp_linear.subckt``.

    For the array it is a sense resistance at the end of which stands the clamp voltage. All are
    numbers or (col,).

    Attributes
    ----------
    clamp_v : clamp voltage in V, offset included.
    r_in_ohm : input resistance in ohm, positive.
    ratio : of the mirror, positive.
    r_load_ohm, load_v : load resistance in ohm, positive, and the voltage in V where it ends.
    keep_a : current in the clamp without any from the bit line, in A.
    """

    clamp_v: float | NDArray[np.float64]
    r_in_ohm: float | NDArray[np.float64]
    ratio: float | NDArray[np.float64]
    r_load_ohm: float | NDArray[np.float64]
    load_v: float | NDArray[np.float64]
    keep_a: float | NDArray[np.float64]

    def __post_init__(self) -> None:
        _check(self, ("r_in_ohm", "ratio", "r_load_ohm"), ("clamp_v", "load_v", "keep_a"))


@dataclass(frozen=True)
class IntegratorReadout:
    """``integrator``: one a bit line, ``netlists/integrator.subckt``; needs a transient.

    The source ``vreset`` closes the reset switches, then opens them at ``reset_s``. All but the
    times are numbers or (col,).

    Attributes
    ----------
    gain, gbw_hz : of the amplifier; gain-bandwidth product in Hz; both positive.
    c_feedback_f : integrating capacitor in F, positive.
    r_reset_ohm : closed reset switch in ohm, positive.
    offset_v : input-referred offset in V.
    reset_s, integration_s : length of the two phases in s, positive.
    """

    gain: float | NDArray[np.float64]
    gbw_hz: float | NDArray[np.float64]
    c_feedback_f: float | NDArray[np.float64]
    r_reset_ohm: float | NDArray[np.float64]
    offset_v: float | NDArray[np.float64]
    reset_s: float
    integration_s: float

    def __post_init__(self) -> None:
        positive = ("gain", "gbw_hz", "c_feedback_f", "r_reset_ohm", "reset_s", "integration_s")
        _check(self, positive, ("offset_v",))

    @property
    def stop_s(self) -> float:
        """When the outputs are read, in s."""
        return self.reset_s + self.integration_s


def _check(readout: object, positive: tuple[str, ...], finite: tuple[str, ...]) -> None:
    for name in (*positive, *finite):
        value = np.asarray(getattr(readout, name), dtype=np.float64)
        if not np.all(np.isfinite(value)) or (name in positive and not np.all(value > 0)):
            what = "finite and positive" if name in positive else "finite"
            raise UsageError(f"{name} must be {what}")


Readout = IdealReadout | TiaReadout | ClampMirrorReadout | IntegratorReadout


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
