"""What a read-out front end is made of: amplifiers and the three kinds.

A current flows from the bit line into the input, which the front end holds near a reference.

- `Tia`: transimpedance amplifier, V_out = V_ref − R_f·I;
- `Integrator`: V_out = V_ref − I·t/C_f after a time t from the opening of its reset switch;
- `ClampMirror`: the current passes a clamp and is mirrored into a load resistor,
  V_out = V_top − M·R_L·(I + I_keep).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from imccircuit.circuits.foreign import Foreign
from imccircuit.circuits.technology import Technology

Size = tuple[str, float, float]


@dataclass(frozen=True)
class LinearAmplifier:
    """Behavioural amplifier, ``netlists/opamp_behavioural.subckt``.

    Attributes
    ----------
    gain : open-loop gain A.
    gbw_hz : gain-bandwidth product in Hz.
    r_in_ohm : resistance between its inputs.
    offset_v : input-referred offset in V.
    low_v, high_v : limits of its output in V.
    noise_ohm : resistor whose thermal noise is that of the input.
    """

    gain: float
    gbw_hz: float
    r_in_ohm: float
    offset_v: float
    low_v: float
    high_v: float
    noise_ohm: float

    @property
    def values(self) -> dict[str, float]:
        """Parameters of the cell without its limits."""
        return {
            "gain": self.gain,
            "gbw": self.gbw_hz,
            "vos": self.offset_v,
            "rin": self.r_in_ohm,
            "rn": self.noise_ohm,
        }


@dataclass(frozen=True)
class TransistorAmplifier:
    """Sizes of ``netlists/ota_pmos.subckt`` and of what stands around it.

    Widths and lengths are multiples of the technology's own transistors. The tail carries
    ``tail_ratio`` and the second stage ``output_ratio`` times the bias current.

    Attributes
    ----------
    technology : transistors, corner, supply.
    bias_a : bias current in A.
    pair, load, bias : widths of input pair, load and bias diode.
    lengths, load_lengths : of all, but of load and driver.
    tail_ratio, output_ratio : currents over the bias current.
    cc_f, rz_ohm : compensation.
    clamp, mirror, switch : widths of the clamp, of the mirror's diode, of the reset switch (n;
        p twice that), the last at the technology's own length.
    mirror_lengths : of the mirror.
    mismatch : transistor → (threshold shift in V, mobility factor); none is nominal.
    """

    technology: Technology
    bias_a: float
    pair: float
    load: float
    bias: float
    lengths: float
    load_lengths: float
    tail_ratio: float
    output_ratio: float
    cc_f: float
    rz_ohm: float
    clamp: float
    mirror: float
    mirror_lengths: float
    switch: float
    mismatch: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def first_stage(self) -> dict[str, Size]:
        """Kind, width and length in m of the transistors that all kinds have."""
        pair = self._size("pmos", self.pair)
        load = self._size("nmos", self.load, self.load_lengths)
        return {
            "bias": self._size("pmos", self.bias),
            "tail": self._size("pmos", self.bias * self.tail_ratio),
            "p1": pair,
            "p2": pair,
            "n1": load,
            "n2": load,
        }

    def opamp(self) -> dict[str, Size]:
        """The same of the two-stage amplifier."""
        driver = self.load * 2 * self.output_ratio / self.tail_ratio
        return self.first_stage() | {
            "source": self._size("pmos", self.bias * self.output_ratio),
            "driver": self._size("nmos", driver, self.load_lengths),
        }

    def clamp_mirror(self, keep_a: float, ratio: float) -> dict[str, Size]:
        """The same of the clamp with its mirror."""
        return self.first_stage() | {
            "keep": self._size("pmos", self.bias * keep_a / self.bias_a),
            "clamp": self._size("pmos", self.clamp),
            "diode": self._size("nmos", self.mirror, self.mirror_lengths),
            "copy": self._size("nmos", self.mirror * ratio, self.mirror_lengths),
        }

    def reset_switch(self) -> dict[str, Size]:
        """The same of the reset switch."""
        n = self.technology.size("nmos", self.switch)
        p = self.technology.size("pmos", 2 * self.switch)
        return {"switch_n": ("nmos", *n), "switch_p": ("pmos", *p)}

    def _size(self, kind: str, widths: float, lengths: float | None = None) -> Size:
        return (kind, *self.technology.size(kind, widths, lengths or self.lengths))


Amplifier = LinearAmplifier | TransistorAmplifier


@dataclass(frozen=True)
class Tia:
    """Transimpedance amplifier.

    Attributes
    ----------
    amplifier : what drives the feedback.
    reference_v : voltage of the input in V.
    r_feedback_ohm, c_feedback_f : feedback; the capacitor may be 0.
    """

    amplifier: Amplifier
    reference_v: float
    r_feedback_ohm: float
    c_feedback_f: float

    def transistors(self) -> dict[str, Size]:
        """All transistors by name; none if behavioural."""
        amplifier = self.amplifier
        return amplifier.opamp() if isinstance(amplifier, TransistorAmplifier) else {}


@dataclass(frozen=True)
class Integrator:
    """Integrator with a reset switch over its capacitor.

    Attributes
    ----------
    amplifier, reference_v : as `Tia`.
    c_feedback_f : integrating capacitor in F.
    reset_s, integration_s : length of the two phases in s.
    r_reset_ohm : closed switch, where it is behavioural.
    """

    amplifier: Amplifier
    reference_v: float
    c_feedback_f: float
    reset_s: float
    integration_s: float
    r_reset_ohm: float

    @property
    def slot_s(self) -> float:
        """Length of one operation in s."""
        return self.reset_s + self.integration_s

    @property
    def edge_s(self) -> float:
        """Length of an edge of the reset in s."""
        return min(self.reset_s, self.integration_s) / 100

    @property
    def read_s(self) -> float:
        """When in its slot the output is read: an integration after the switch opens."""
        return self.slot_s - self.edge_s / 2

    def transistors(self) -> dict[str, Size]:
        """All transistors by name; none if behavioural."""
        amplifier = self.amplifier
        if not isinstance(amplifier, TransistorAmplifier):
            return {}
        return amplifier.opamp() | amplifier.reset_switch()


@dataclass(frozen=True)
class ClampMirror:
    """Clamp and current mirror.

    Attributes
    ----------
    amplifier : regulates the clamp.
    reference_v : clamp voltage in V.
    ratio : M, output over input current of the mirror.
    r_load_ohm : load in ohm.
    top_v : where the load ends, in V.
    keep_a : current that keeps the clamp alive at no input, in A.
    transconductance_s : of the clamp in S, where it is behavioural.
    """

    amplifier: Amplifier
    reference_v: float
    ratio: float
    r_load_ohm: float
    top_v: float
    keep_a: float
    transconductance_s: float

    def transistors(self) -> dict[str, Size]:
        """All transistors by name; none if behavioural."""
        amplifier = self.amplifier
        if not isinstance(amplifier, TransistorAmplifier):
            return {}
        return amplifier.clamp_mirror(self.keep_a, self.ratio)


@dataclass(frozen=True)
class ForeignFront(Foreign):
    """A front end that somebody else drew; see `Foreign` for its other attributes.

    Attributes
    ----------
    nodes : the roles are ``input``, ``output``, ``supply`` and ``reference``.
    native : compiled models that are loaded before.
    supply_v, reference_v : sources in V.
    gain_ohm, zero_v : transresistance and output at no current that are meant.
    """

    native: tuple[str, ...]
    supply_v: float
    reference_v: float
    gain_ohm: float
    zero_v: float

    @property
    def amplifier(self) -> None:
        """Not one of ours."""
        return None

    def transistors(self) -> dict[str, Size]:
        """None that are known."""
        return {}


FrontEnd = Tia | Integrator | ClampMirror | ForeignFront


def zero_output_v(front: FrontEnd) -> float:
    """Output in V that is meant for no current."""
    if isinstance(front, ForeignFront):
        return front.zero_v
    if isinstance(front, ClampMirror):
        return front.top_v - front.ratio * front.r_load_ohm * front.keep_a
    return front.reference_v


def nominal_gain_ohm(front: FrontEnd) -> float:
    """Transresistance dV_out/dI in ohm with an ideal amplifier."""
    if isinstance(front, ForeignFront):
        return front.gain_ohm
    if isinstance(front, Tia):
        return -front.r_feedback_ohm
    if isinstance(front, Integrator):
        return -front.integration_s / front.c_feedback_f
    return -front.ratio * front.r_load_ohm
