"""One drawn sense amplifier and the problems that are put to it."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.bench import Arrays, MeasurementError, Variation
from imccircuit.benches.cost import Meter, mean_energy
from imccircuit.benches.problem import Answer, Probe, Problem, Transient
from imccircuit.benches.sense_parameters import SenseParameters
from imccircuit.circuits.sense_amp import (
    AMPERE_PER_VOLT,
    MATCHED,
    Behavioural,
    Latch,
    SenseAmp,
    sense_amp,
)
from imccircuit.metrics.energy import compute_settling_time

Floats = NDArray[np.float64]

_OPTIONS: Mapping[str, str | float] = {"method": "gear", "reltol": 1e-4}
_STEPS_PER_PHASE = 40
# A latency of 8 % of a phase is 7 % off with 40 steps a phase, 0.1 % with 400.
_STEPS_OF_COST = 400
_RUNS_PER_DECK = 64
_LOGIC_LEVEL = 0.1
_CURRENTS = ("vplus", "vminus", "vplus_before", "vminus_before")
_METER = Meter(
    {
        "supply": ("vdd", "vdd"),
        "reset": ("vreset", "reset"),
        "column_plus": ("vcolumn_plus", "inp"),
        "column_minus": ("vcolumn_minus", "inm"),
    }
)
_NOT_MODELLED = Meter({}, ("sense_amp",))


@dataclass(frozen=True)
class Comparison:
    """Answers to a number of comparisons.

    Attributes
    ----------
    decision : (run,) 1 plus, 0 minus, 2 none.
    sign : (run,) sign of the difference of the outputs at the end, decided or not.
    input_v : (run, 2) voltages of the inputs at the end in V.
    """

    decision: NDArray[np.int64]
    sign: Floats
    input_v: Floats


@dataclass(frozen=True)
class Amplifier:
    """A drawn amplifier.

    Attributes
    ----------
    parameters : of the recipe.
    circuit : what the generator builds.
    """

    parameters: SenseParameters
    circuit: SenseAmp

    @staticmethod
    def blocks(parameters: SenseParameters) -> tuple[str, ...]:
        """Blocks whose energy is reported."""
        return (_METER if parameters.transistor_level else _NOT_MODELLED).blocks

    @property
    def drawn(self) -> Arrays:
        """``threshold_shift`` and ``current_factor`` of the transistors in `MATCHED`."""
        core = self.circuit.core
        if not isinstance(core, Latch):
            nothing = np.full(len(MATCHED), np.nan)
            return {"threshold_shift": nothing, "current_factor": nothing}
        return {
            "threshold_shift": np.array([core.delta_vth_v.get(name, 0.0) for name in MATCHED]),
            "current_factor": np.array([core.mobility.get(name, 1.0) for name in MATCHED]),
        }

    def _problem(
        self,
        currents_a: Floats,
        before_a: Floats,
        probes: tuple[Probe, ...],
        steps: int = _STEPS_PER_PHASE,
    ) -> Problem:
        phase = self.circuit.phase_s
        step = phase / steps
        return Problem(
            circuit=sense_amp(self.circuit),
            analysis=Transient(self.circuit.stop_s, step, step),
            probes=probes,
            alterations=tuple(
                {
                    name: float(current) / AMPERE_PER_VOLT
                    for name, current in zip(_CURRENTS, (*now, *before), strict=True)
                }
                for now, before in zip(currents_a, before_a, strict=True)
            ),
            options=_OPTIONS,
            temperature_degc=self.parameters.conditions.temperature,
        )

    @property
    def _bound_v(self) -> float:
        # A current that a mirror cannot give pulls its input below ground, to a junction's drop.
        return 4 * self.parameters.supply_v + 2.0

    def compare(
        self, currents_a: Floats, before_a: Floats | None = None
    ) -> Generator[Problem, Answer, Comparison]:
        """Compare pairs of column currents.

        Parameters
        ----------
        currents_a : (run, 2) plus and minus in A.
        before_a : (run, 2) those of the operation before; None for the pair swapped.
        """
        before = currents_a[:, ::-1] if before_a is None else before_a
        probes = (
            Probe("out", ("v(out)", "v(outb)"), (2,), self._bound_v),
            Probe("input", ("v(inp)", "v(inm)"), (2,), self._bound_v),
        )
        outs, inputs = [], []
        for start in range(0, len(currents_a), _RUNS_PER_DECK):
            part = slice(start, start + _RUNS_PER_DECK)
            answer = yield self._problem(currents_a[part], before[part], probes)
            outs.append(answer.final("out"))
            inputs.append(answer.final("input"))
        out, input_v = np.concatenate(outs), np.concatenate(inputs)
        supply = self.parameters.supply_v
        high, low = out > (1 - _LOGIC_LEVEL) * supply, out < _LOGIC_LEVEL * supply
        decision = np.full(len(out), 2, dtype=np.int64)
        decision[high[:, 0] & low[:, 1]] = 1
        decision[low[:, 0] & high[:, 1]] = 0
        return Comparison(decision, np.sign(out[:, 0] - out[:, 1]), input_v)

    def cost(self, common_a: float, difference_a: float) -> Generator[Problem, Answer, Arrays]:
        """``energy``, ``energy_returned``, ``latency`` and ``area``.

        Energy of the second of two identical operations, reset and evaluation, mean over both
        signs of the difference. Latency counts from the end of the reset until the difference of
        the outputs stays within half the supply of its end, after the swapped pair; the later of
        both signs. What returns to the columns is their heat: the supply has delivered it.
        """
        if not self.parameters.transistor_level:
            nothing = np.full(1, np.nan)
            return {"energy": nothing, "energy_returned": nothing,
                    "latency": np.asarray(np.nan), "area": np.asarray(np.nan)}  # fmt: skip
        half = difference_a / 2
        pairs = np.array([[common_a + half, common_a - half], [common_a - half, common_a + half]])
        phase, supply = self.circuit.phase_s, self.parameters.supply_v
        answer = yield self._problem(
            pairs, pairs, _METER.probes(self._bound_v, 1.0), _STEPS_OF_COST
        )
        window = (2 * phase, 4 * phase)
        energies = [_METER.energy(run, window) for run in answer.runs]
        out = (Probe("out", ("v(out)", "v(outb)"), (2,), self._bound_v),)
        answer = yield self._problem(pairs, pairs[:, ::-1], out, _STEPS_OF_COST)
        latencies = []
        for run in answer.runs:
            difference = run.values["out"][:, 0] - run.values["out"][:, 1]
            if abs(difference[-1]) < (1 - 2 * _LOGIC_LEVEL) * supply:
                latencies.append(np.nan)
                continue
            latencies.append(
                compute_settling_time(run.axis, difference, supply / 2, start_s=3 * phase)
            )
        if not np.all(np.isfinite(latencies)):
            raise MeasurementError(
                f"no decision on {difference_a:g} A at a mean of {common_a:g} A within "
                f"{phase:g} s: lengthen stimulus.phase_time or move stimulus.common_mode"
            )
        return {
            **mean_energy(energies),
            "latency": np.asarray(max(latencies)),
            "area": np.asarray(self._area_m2()),
        }

    def _area_m2(self) -> float:
        layout = self.parameters.technology.layout
        if layout is None:
            return float("nan")
        return sum(layout.transistor_area_m2(*size) for size in self.parameters.sizes.transistors())


def draw_amplifier(parameters: SenseParameters, variation: Variation) -> Amplifier:
    """The amplifier of this chip."""
    circuit = parameters.circuit
    core: Latch | Behavioural
    if parameters.transistor_level:
        core = _draw_latch(parameters, variation)
    else:
        offset = circuit.offset
        generator = variation.generator("offset")
        if generator is not None:
            offset += circuit.offset_sigma * float(generator.standard_normal())
        input_v = parameters.supply_v / 2
        core = Behavioural(input_v, offset, circuit.range_low, circuit.range_high)
    phase = parameters.stimulus.phase_time
    return Amplifier(parameters, SenseAmp(parameters.at, core, circuit.input_capacitance, phase))


def _draw_latch(parameters: SenseParameters, variation: Variation) -> Latch:
    sizes, card = parameters.sizes, parameters.technology
    generator = variation.generator("transistor")
    if generator is None:
        return Latch(sizes)
    mirrors = card.pmos.draw_mismatch(generator, sizes.wm, sizes.lm, (4,))
    latch = card.nmos.draw_mismatch(generator, sizes.wl, sizes.ll, (2,))
    delta, ratio = (np.concatenate(pair).tolist() for pair in zip(mirrors, latch, strict=True))
    return Latch(
        sizes,
        dict(zip(MATCHED, delta, strict=True)),
        dict(zip(MATCHED, ratio, strict=True)),
    )
