"""Problems on one ramp converter and what their waveforms say: levels, codes, energy."""

from __future__ import annotations

from collections.abc import Generator, Mapping

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.bench import Arrays
from imccircuit.benches.cost import Meter, mean_energy
from imccircuit.benches.problem import Answer, Probe, Problem, Run, Transient
from imccircuit.benches.ramp_design import not_modelled
from imccircuit.benches.ramp_probe import inputs_towards_first_edge, levels_at_edges
from imccircuit.circuits.ramp_adc import Pole, RampAdc, ramp_adc

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

# A crossing is 0.3 LSB off at the default reltol, 0.003 LSB at 1e-4, less than 0.001 at 1e-5.
_OPTIONS: Mapping[str, str | float] = {"reltol": 1e-5}
# Levels of a staircase stand still at the edges. Charge on a floating node: trapezoidal
# integration loses some.
_STAIRCASE: Mapping[str, str | float] = {"reltol": 3e-5, "method": "gear"}
# Comparators of transistors: at 1e-5 firing times scatter by 0.007 to 0.027 LSB rms (up to 0.08),
# at 1e-6 by 0.001 to 0.002 (up to 0.008); against 1e-7, from ss at -40 degC to ff at 125 degC.
_TRANSISTORS: Mapping[str, str | float] = {"reltol": 1e-6}
_POINTS = 128
_STEPS_PER_STAIR = 10
_PROBED = 33
_PROBE_BELOW_LSB = 8.0
_MOST_ROUNDS = 4
_COST_INPUTS = (0.125, 0.375, 0.625, 0.875)
_MOST_A = 0.1


class RampConverter:
    """One drawn converter at one temperature; column 0 is the converter of the loop check.

    Attributes
    ----------
    adc : the converter.
    """

    def __init__(self, adc: RampAdc, temperature_degc: float) -> None:
        self.adc = adc
        self._temperature_degc = temperature_degc
        largest = max(adc.full_scale_v, adc.technology.supply_v if adc.has_transistors else 0.0)
        offset = max(map(abs, adc.comparator.offset_v)) if isinstance(adc.comparator, Pole) else 0
        # A ramp of 10 times full scale is no ramp of this converter.
        self._bound_v = 10 * largest + offset
        self.meter = Meter(adc.meters, not_modelled(adc))
        self._asked: list[float] = []
        self._known: dict[float, Codes] = {}

    @property
    def bits(self) -> int:
        """Resolution."""
        return self.adc.bits

    @property
    def lsb_v(self) -> float:
        """Full scale over 2^bits, in V."""
        return self.adc.lsb_v

    @property
    def _options(self) -> Mapping[str, str | float]:
        if self.adc.is_staircase:
            return _STAIRCASE
        return _OPTIONS if isinstance(self.adc.comparator, Pole) else _TRANSISTORS

    def conversions(self, inputs_v: Floats, *, metered: bool = False) -> Problem:
        """Convert inputs (V) one after the other, in one run, all columns alike."""
        adc = self.adc
        probes: tuple[Probe, ...] = (
            Probe("ramp", ("v(ramp)",), (), self._bound_v),
            Probe("decision", tuple(f"v({node})" for node in adc.decision_nodes),
                  (adc.columns,), self._bound_v),
        )  # fmt: skip
        if metered:
            probes += self.meter.probes(self._bound_v, _MOST_A)
        step = (adc.period_s - adc.reset_s) / _POINTS
        if adc.is_staircase:
            step = adc.clock_s / _STEPS_PER_STAIR
            if isinstance(adc.comparator, Pole):
                step = min(step, adc.comparator.delay_s / 2)
        elif not isinstance(adc.comparator, Pole):
            step = min(step, adc.clock_s)
        return Problem(
            circuit=ramp_adc(adc, [float(value) for value in inputs_v]),
            analysis=Transient(len(inputs_v) * adc.period_s, step, step),
            probes=probes,
            options=self._options,
            temperature_degc=self._temperature_degc,
            label=f"{len(inputs_v)} conversions",
        )

    def loop(self, inputs_v: Floats) -> Problem:
        """Convert inputs in an order in which neighbours differ, after one that differs too."""
        self._asked = inputs_v.tolist()
        ordered = inputs_v[_order(len(inputs_v))]
        full = self.adc.full_scale_v
        before = full if ordered[0] < full / 2 else 0.0
        return self.conversions(np.concatenate([[before], ordered]))

    def codes(self, answer: Answer) -> Codes:
        """Codes (conversion,) of column 0 in the answer to the last `loop`, in its inputs' order.

        A column's code is the number of the counter's edges before its comparator fires.
        """
        run, found = answer.runs[0], np.empty(len(self._asked), dtype=np.int64)
        for place, index in enumerate(_order(len(found))):
            fired = self.fire_times(run, place + 1)
            edges = self.adc.edges_s(place + 1)
            codes = np.array([np.count_nonzero(edges <= time) for time in fired])
            self._known[self._asked[index]] = codes
            found[index] = codes[0]
        return found

    def column_codes(self, inputs_v: Floats) -> Codes:
        """Codes (conversion, column) of inputs that `loop` converted before."""
        return np.stack([self._known[value] for value in inputs_v.tolist()])

    def fire_times(self, run: Run, conversion: int) -> Floats:
        """When each column's comparator fires, in s; inf where it does not."""
        adc = self.adc
        start, end = adc.release_s(conversion), (conversion + 1) * adc.period_s
        # Up to the last edge of the reset that follows.
        time, decision = _window(run, "decision", start, end - 1e-3 * adc.clock_s)
        fired = np.full(adc.columns, np.inf)
        for column, value in enumerate(decision.T - adc.threshold_v):
            below = np.flatnonzero(value <= 0)
            if len(below) and below[0] == 0:
                fired[column] = start
            elif len(below):
                last = below[0] - 1
                share = value[last] / (value[last] - value[last + 1])
                fired[column] = time[last] + share * (time[last + 1] - time[last])
        return fired

    def ramp_at(self, run: Run, times_s: Floats) -> Floats:
        """Voltage of the ramp at some times."""
        return np.interp(times_s, run.axis, run.values["ramp"])

    def levels(self) -> Generator[Problem, Answer, tuple[Floats, Floats, float]]:
        """Levels of every column, the ramp at every edge, and the comparators' delay.

        Returns
        -------
        levels_v : (column, code).
        ramp_v : (code,) of the ramp itself.
        delay_s : of the comparators, mean over columns.
        """
        adc = self.adc
        middle = adc.full_scale_v / 2
        # The second of two: what the ramp before leaves behind belongs to every conversion.
        answer = yield self.conversions(np.array([middle, middle]))
        run = answer.runs[0]
        ramp = self.ramp_at(run, adc.edges_s(1))
        if isinstance(adc.comparator, Pole):
            return self._seen(run, middle), ramp, adc.comparator.delay_s
        levels, delay = yield from self._probed(run, ramp)
        return levels, ramp, delay

    def _seen(self, run: Run, input_v: float) -> Floats:
        """Levels from what behavioural comparators see of the ramp: their core is linear."""
        adc = self.adc
        start = adc.release_s(1)
        time, decision = _window(run, "decision", start, 2 * adc.period_s)
        edges = adc.edges_s(1)
        grid = np.union1d(time, edges)
        place = np.searchsorted(grid, edges)
        # The first crossing counts, so a ramp that falls back lowers no level.
        seen = [np.maximum.accumulate(np.interp(grid, time, input_v - d)) for d in decision.T]
        return np.stack(seen)[:, place]

    def _probed(
        self, reference: Run, ramp_v: Floats
    ) -> Generator[Problem, Answer, tuple[Floats, float]]:
        """Levels from when comparators fire at some inputs: T[k] is fired at just at edge k.

        The ramp itself will not do: comparators load it, before and after they fire not alike,
        which is worth 0.15 LSB, and each that fires kicks it.
        """
        adc = self.adc
        span = ramp_v[-1] - ramp_v[0] + _PROBE_BELOW_LSB * adc.lsb_v
        # Denser towards both ends: near the low one the comparator is still recovering from the
        # reset, and near the high one it may not fire any more.
        inputs = ramp_v[-1] - span * (1 + np.cos(np.pi * np.linspace(0, 1, _PROBED))) / 2
        edges = adc.edges_s(0) - adc.release_s(0)
        since = yield from self._since_release(inputs)
        for _ in range(_MOST_ROUNDS):
            more = inputs_towards_first_edge(inputs, since, edges[0], adc.clock_s)
            if not len(more):
                break
            inputs = np.append(inputs, more)
            since = np.concatenate([since, (yield from self._since_release(more))])
            order = np.argsort(inputs, kind="stable")
            inputs, since = inputs[order], since[order]
        levels, delays = [], []
        for column, late in enumerate(since.T):
            level, told = levels_at_edges(inputs, late, edges, column)
            levels.append(level)
            at = self.ramp_at(reference, adc.release_s(1) + late[told])
            slope = np.interp(at, ramp_v, np.gradient(ramp_v, adc.clock_s))
            delays.append(float(np.mean((at - inputs[told]) / slope)))
        return np.stack(levels), float(np.mean(delays))

    def _since_release(self, inputs_v: Floats) -> Generator[Problem, Answer, Floats]:
        """When each column fires at inputs, (input, column) in s since the ramp's release."""
        answer = yield self.conversions(np.append(self.adc.full_scale_v, inputs_v))
        run, adc = answer.runs[0], self.adc
        count = range(1, len(inputs_v) + 1)
        return np.stack([self.fire_times(run, i) - adc.release_s(i) for i in count])

    def energy(self) -> Generator[Problem, Answer, Arrays]:
        """``energy`` and ``energy_returned`` of sources and behavioural blocks, one conversion.

        The second of two identical conversions, mean over inputs at 1/8, 3/8, 5/8, 7/8 of full
        scale.
        """
        if not self.adc.meters:
            nothing = np.full(len(self.meter.not_modelled), np.nan)
            return {"energy": nothing, "energy_returned": nothing.copy()}
        inputs = np.repeat(np.array(_COST_INPUTS), 2) * self.adc.full_scale_v
        answer = yield self.conversions(inputs, metered=True)
        period, run = self.adc.period_s, answer.runs[0]
        windows = [(place * period, (place + 1) * period) for place in range(1, len(inputs), 2)]
        return mean_energy([self.meter.energy(run, window) for window in windows])


def _order(count: int) -> Codes:
    """Indices from both ends in turn."""
    ends = np.stack([np.arange(count), np.arange(count)[::-1]], axis=1).ravel()
    return ends[:count]


def _window(run: Run, name: str, start_s: float, end_s: float) -> tuple[Floats, Floats]:
    """Part of a probe's waveform between two times, both included by interpolation."""
    inside = (run.axis > start_s) & (run.axis < end_s)
    time = np.concatenate([[start_s], run.axis[inside], [end_s]])
    values = run.values[name]
    return time, np.stack([np.interp(time, run.axis, column) for column in values.T], axis=1)
