"""Problems on one drawn read-out front end, and what their answers say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.bench import Arrays, MeasurementError
from imccircuit.benches.cost import Meter, mean_energy
from imccircuit.benches.dut_readout_parameters import DutReadoutParameters
from imccircuit.benches.problem import (
    NOISE_VECTOR,
    Analysis,
    Answer,
    Noise,
    OperatingPoint,
    Probe,
    Problem,
    Run,
    Transient,
)
from imccircuit.benches.readout_parameters import ReadoutParameters
from imccircuit.circuits.readout import BitLine, Phase, Steps, readout
from imccircuit.circuits.readout_parts import (
    ClampMirror,
    ForeignFront,
    FrontEnd,
    Integrator,
    LinearAmplifier,
)
from imccircuit.metrics.energy import compute_settling_time

Floats = NDArray[np.float64]

# Shares of the range at which an operation's energy is taken; the last is also the step whose
# settling is measured.
LEVEL_SHARES = (0.25, 0.5, 0.75, 1.0)
STEP_POINTS = 401
# An output that is outside its band later than this share of a step may not have settled at all.
_SETTLED_BY = 0.8
# The curve is not quite straight, so its line does not say exactly where a step ends.
_MISSED = 0.1
_STEPS = 1000
_EDGE = 0.005
_LARGEST_V = 1e3
_LARGEST_A = 1.0
_TIGHT: Mapping[str, str | float] = {"reltol": 1e-6, "vntol": 1e-9}
_CHARGE: Mapping[str, str | float] = {"reltol": 1e-5, "vntol": 1e-7, "method": "gear"}


class Fixture:
    """A front end between bit line and load."""

    def __init__(
        self, parameters: ReadoutParameters | DutReadoutParameters, front: FrontEnd
    ) -> None:
        self.parameters = parameters
        self.front = front
        stimulus = parameters.stimulus
        self.line = BitLine(stimulus.cell_conductance, stimulus.line_capacitance)
        self.meter = _meter(front)

    def currents_a(self) -> Floats:
        """Currents of the transfer curve, those beyond the range included, ascending."""
        return self.parameters.stimulus.currents_a

    def transfer(self) -> Problem:
        """Output and input voltage over the current of a source, without a bit line."""
        front, stimulus = self.front, self.parameters.stimulus
        analysis: Analysis = OperatingPoint()
        if isinstance(front, Integrator):
            analysis = _transient(front.slot_s, _STEPS)
        circuit = readout(
            front,
            c_line_f=stimulus.line_capacitance,
            c_load_f=self.parameters.circuit.load_capacitance,
        )
        return self._problem(
            circuit, analysis, _voltages(), tuple({"iin": float(i)} for i in self.currents_a())
        )

    def read_transfer(self, answer: Answer) -> tuple[Floats, Floats]:
        """Output and input voltage (current,) in V."""
        if isinstance(self.front, Integrator):
            found = np.array([_at(run, "voltage", self.front.read_s) for run in answer.runs])
        else:
            found = answer.final("voltage")
        return found[:, 0], found[:, 1]

    def operations(self, rest_v: float) -> Problem:
        """Two operations from the rows of an array, at each of `LEVEL_SHARES` of the range.

        Parameters
        ----------
        rest_v : voltage at which the rows give the lowest current of the range.
        """
        levels = self._row_steps_v(np.array(LEVEL_SHARES))
        circuit = readout(
            self.front,
            line=self.line,
            c_load_f=self.parameters.circuit.load_capacitance,
            steps=None if isinstance(self.front, Integrator) else self._steps(),
        )
        return self._problem(
            circuit,
            _transient(2 * self.slot_s, 2 * _STEPS),
            (*_voltages(), *self.meter.probes(_LARGEST_V, _LARGEST_A)),
            tuple({"vrest": rest_v, "vlevel": float(level)} for level in levels),
        )

    @property
    def slot_s(self) -> float:
        """Length of one operation in s."""
        if isinstance(self.front, Integrator):
            return self.front.slot_s
        return 2 * self.parameters.stimulus.step_time

    def read_cost(self, answer: Answer) -> Arrays:
        """Energy (block,) of the second operation, mean over the levels."""
        window = (self.slot_s, 2 * self.slot_s)
        return mean_energy([self.meter.energy(run, window) for run in answer.runs])

    def read_step(self, answer: Answer, lsb_v: float, swing_v: float) -> Arrays:
        """``step_response`` (time,) V and ``settling_time`` (edge,) s of the largest step.

        Parameters
        ----------
        lsb_v : of the output.
        swing_v : change of the output by a step, from the transfer curve; not of an integrator.

        Raises
        ------
        MeasurementError : the output is not at rest at the end of a step or does not go where the
            transfer curve says, or the second operation ends elsewhere than the first.
        """
        run, slot = answer.runs[-1], self.slot_s
        grid = slot + np.linspace(0.0, slot, STEP_POINTS)
        voltage = run.values["voltage"][:, 0]
        read = self.front.read_s if isinstance(self.front, Integrator) else slot / 2
        first, second = (float(_at(run, "voltage", at)[0]) for at in (read, slot + read))
        if abs(first - second) > lsb_v / 2:
            raise MeasurementError(
                f"the second of two identical operations ends {abs(first - second) / lsb_v:.3g} "
                "LSB from the first: the front end does not recover in between"
            )
        if not isinstance(self.front, Integrator):
            # An output so slow that it hardly moves at all is within its band from the beginning.
            moved = second - float(voltage[-1])
            if abs(moved - swing_v) > max(lsb_v, _MISSED * abs(swing_v)):
                raise MeasurementError(
                    f"a step moves the output by {moved:.4g} V where the transfer curve says "
                    f"{swing_v:.4g} V: it has not settled; a longer stimulus.step_time may let it"
                )
        return {
            "step_response": np.interp(grid, run.axis, voltage),
            "settling_time": np.array(
                [
                    _settling(run.axis, voltage, slot + at, slot + at + length, lsb_v / 2)
                    for at, length in self._edges()
                ]
            ),
        }

    def noise(self, rest_v: float, input_ohm: float, phase: Phase) -> Problem:
        """Noise of the output in the middle of the range, in a phase.

        Parameters
        ----------
        rest_v : as `operations`.
        input_ohm : input resistance. While an integrator's output ramps, its input gives way by
            this times the current, so only 1/(1 + G·this) of a cell's noise current is integrated.
        """
        stimulus = self.parameters.stimulus
        low_a, hold_s = stimulus.current_low, 0.0
        current_a = low_a + stimulus.range_a / 2
        if isinstance(self.front, Integrator):
            # Held by a conductance C/(2t) the output is where it is at the middle after t, at half
            # the current: of all of it, not only of what is beyond the low end of the range.
            current_a /= 2
            hold_s = self.front.integration_s / (1 + self.line.conductance_s * input_ohm)
        circuit = readout(
            self.front,
            line=self.line,
            c_load_f=self.parameters.circuit.load_capacitance,
            phase=phase,
            hold_s=hold_s,
        )
        node = "held" if phase == "reset" else "out"
        (level,) = self._row_steps_v(np.array([(current_a - low_a) / stimulus.range_a]))
        return self._problem(
            circuit,
            Noise(node, "iin", stimulus.noise_start, stimulus.noise_stop, points_per_decade=50),
            (Probe("noise", (NOISE_VECTOR,), (), _LARGEST_V),),
            ({"vrest": rest_v, "vlevel": float(level)},),
        )

    def _row_steps_v(self, shares: Floats) -> Floats:
        return shares * self.parameters.stimulus.range_a / self.line.conductance_s

    def _steps(self) -> Steps:
        step = self.parameters.stimulus.step_time
        return Steps(step, step, _EDGE * step)

    def _edges(self) -> tuple[tuple[float, float], ...]:
        """Start in the slot and length of what settles."""
        if isinstance(self.front, Integrator):
            edge = self.front.edge_s
            return ((0.0, self.front.reset_s - edge),)
        step = self.parameters.stimulus.step_time
        return ((0.0, step), (step, step))

    def _problem(
        self,
        circuit: Any,
        analysis: Analysis,
        probes: tuple[Probe, ...],
        alterations: tuple[Mapping[str, float], ...],
    ) -> Problem:
        charge = isinstance(self.front, Integrator) and isinstance(analysis, Transient)
        return Problem(
            circuit=circuit,
            analysis=analysis,
            probes=probes,
            alterations=alterations,
            options=_CHARGE if charge else _TIGHT,
            temperature_degc=self.parameters.conditions.temperature,
            native=self.front.native if isinstance(self.front, ForeignFront) else (),
        )


def edge_names(parameters: ReadoutParameters | DutReadoutParameters) -> tuple[str, ...]:
    """What settles: the reset of an integrator, a step up and down of the current otherwise."""
    return ("reset",) if parameters.circuit.kind == "integrator" else ("up", "down")


def phase_names(parameters: ReadoutParameters | DutReadoutParameters) -> tuple[Phase, ...]:
    """Phases whose noise adds."""
    return ("reset", "hold") if parameters.circuit.kind == "integrator" else ("run",)


def _voltages() -> tuple[Probe]:
    return (Probe("voltage", ("v(out)", "v(in)"), (2,), _LARGEST_V),)


def _transient(stop_s: float, steps: int) -> Transient:
    step = stop_s / steps
    return Transient(stop_s, step, step)


def _at(run: Run, name: str, time_s: float) -> Floats:
    values = run.values[name]
    return np.array([np.interp(time_s, run.axis, column) for column in values.T])


def _meter(front: FrontEnd) -> Meter:
    """Sources that deliver something; the ideal bias current is taken from the supply."""
    sources = {"rows": ("vrows", "rows"), "reference": ("vref", "ref")}
    if isinstance(front.amplifier, LinearAmplifier):
        missing = ["amplifier"]
        if isinstance(front, Integrator):
            missing.append("reset switch")
        if isinstance(front, ClampMirror):
            missing.append("keep current")
        return Meter(sources | _top(front), tuple(missing))
    sources["supply"] = ("vdd", "vdd")
    if isinstance(front, ForeignFront):
        sources |= front.meters
    if isinstance(front, Integrator):
        sources |= {"reset": ("vreset", "reset"), "reset bar": ("vresetb", "resetb")}
    return Meter(sources | _top(front))


def _top(front: FrontEnd) -> dict[str, tuple[str, str]]:
    return {"load": ("vtop", "top")} if isinstance(front, ClampMirror) else {}


def _settling(time: Floats, value: Floats, start: float, end: float, band: float) -> float:
    inside = (time > start) & (time < end)
    grid = np.concatenate([[start], time[inside], [end]])
    part = np.interp(grid, time, value)
    found = compute_settling_time(grid, part, band, start_s=start)
    if np.ptp(part) <= band:
        return float("nan")  # nothing moved it, so nothing settles
    if not found <= _SETTLED_BY * (end - start):
        raise MeasurementError(
            f"the output has not settled to half an LSB {end - start:.3g} s after a step; "
            "give it more time (stimulus.step_time, or circuit.reset_time)"
        )
    return found
