"""Input-referred noise of a comparator, from noisy decisions.

A clocked comparator has no operating point at which ``.noise`` could linearise it. So:

1. one noiseless decision at the threshold gives the bias of every transistor over time;
2. ``.noise`` of a single transistor at those biases gives its white current density over time,
   from the model library itself, whatever noise model that has;
3. numpy draws a current for every transistor with that density;
4. copies of the comparator, each with its own draws, decide in one transient;
5. a normal distribution function is fitted to the decisions.

The precharge before the edge is noisy as well, so its sampled kT/C is part of the answer. Flicker
noise is not, and neither is that of the input sources' resistance, which belongs to the source.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.benches.bench import Arrays, MeasurementError, Variable, Variation
from imccircuit.benches.comparator_dut import (
    OPTIONS,
    strongarm_clocking,
    strongarm_technology,
)
from imccircuit.benches.comparator_parameters import ComparatorParameters
from imccircuit.benches.problem import (
    NOISE_VECTOR,
    Answer,
    Noise,
    OperatingPoint,
    Probe,
    Problem,
    Transient,
)
from imccircuit.circuits.comparator import (
    NOISE_NODES,
    StrongArm,
    strongarm_copies,
    transistor_noise,
)
from imccircuit.circuits.noise_current import draw_noise_current, noise_source
from imccircuit.errors import UsageError
from imccircuit.metrics.comparator import ProbitFit, fit_probit

if TYPE_CHECKING:
    from PySpice.Spice.Netlist import Circuit as SpiceCircuit

# Inputs of the counted decisions, in sigmas of the first look. An offset is known best from the
# middle, a sigma from about ±1.5.
NOISE_LEVELS = (-1.6, -0.8, 0.0, 0.8, 1.6)

NOISE_VARIABLES = (
    Variable("noise_sigma", (), "V", "input-referred noise"),
    Variable("noise_sigma_error", (), "V", "its standard error"),
    Variable("noise_offset", (), "V", "offset from the noisy decisions"),
    Variable("noise_offset_error", (), "V", "its standard error"),
    Variable("noise_input", ("noise_level",), "V", "input of the noisy decisions"),
    Variable("noise_yes", ("noise_level",), "1", "decisions that said yes", "int"),
    Variable("noise_count", ("noise_level",), "1", "decisions", "int"),
)

# A deck of many long sources is slow: 200 copies cost twice as much each as 20.
_COPIES = 20
_FIRST_LOOK = 100
_FIRST_RANGE_V = 8e-3
_NARROWER = 3
# The second look reaches so many sigmas of the first.
_SECOND_RANGE = 3.0
# Drawn currents are right to (step/τ)²/6 of the variance: 0.5 %, that is 0.25 % of sigma.
_STEPS_PER_TIME_CONSTANT = 6
# Precharge is noisy from this many regeneration time constants before the edge: it forgets in
# less than one (its transistors are hard on).
_LEAD = 12
_BIASES = 40
_SETTLE = 15
# Noise densities come from a band where flicker noise is far below the white one. A whole decade:
# ngspice integrates up to the last point of its grid, which a band of 9 to 11 GHz at 20 points a
# decade has at 10.1 GHz, and nothing is said.
_BAND_HZ = (1e10, 1e11)
_OHM = 1e6
_DECIDED = 0.25

Decide = Generator[Problem, Answer, NDArray[np.bool_]]
Decider = Callable[[NDArray[np.float64]], Decide]


def measure_behavioural_noise(
    parameters: ComparatorParameters, circuit: SpiceCircuit, probe: Probe, variation: Variation,
    *, threshold_v: float,
) -> Generator[Problem, Answer, Arrays]:  # fmt: skip
    """Noise of the behavioural comparator: its own sigma, drawn by numpy, found again."""
    rng = variation.draws.generator("comparator_noise")
    sigma = parameters.circuit.noise_sigma

    def decide(inputs: NDArray[np.float64]) -> Decide:
        noise = sigma * rng.standard_normal(len(inputs))
        runs = tuple(
            {"vinput": float(x), "vnoise": float(n)} for x, n in zip(inputs, noise, strict=True)
        )
        answer = yield Problem(circuit, OperatingPoint(), (probe,), runs)
        return np.asarray(answer.final("decision") > 0)

    return (yield from _fit_noise(parameters, decide, threshold_v))


def measure_strongarm_noise(
    parameters: ComparatorParameters, dut: StrongArm, variation: Variation,
    *, threshold_v: float, time_constant_s: float, decision_s: float,
) -> Generator[Problem, Answer, Arrays]:  # fmt: skip
    """Noise of the StrongARM comparator.

    Parameters
    ----------
    threshold_v : input at which it decides either way.
    time_constant_s : of regeneration: there are six noise values in it.
    decision_s : time from the clock edge after which noise decides nothing any more.
    """
    bench = _NoiseBench(parameters, dut, time_constant_s, decision_s)
    density = yield from bench.densities(threshold_v)
    rng = variation.draws.generator("comparator_noise")

    def decide(inputs: NDArray[np.float64]) -> Decide:
        answer = yield bench.copies(inputs, bench.draw(rng, density, len(inputs)))
        node = answer.final("node")
        apart = node[0, 0] - node[0, 1]
        if np.any(np.abs(apart) < _DECIDED * parameters.supply_v):
            raise MeasurementError("a noisy comparator has not decided at the end of its time")
        return np.asarray(apart > 0)

    return (yield from _fit_noise(parameters, decide, threshold_v))


def _fit_noise(
    parameters: ComparatorParameters, decide: Decider, threshold_v: float
) -> Generator[Problem, Answer, Arrays]:
    """Two looks, over a wide range and a narrower one, then the counted decisions."""
    first = yield from _first_look(decide, threshold_v)
    second = first.mean + _SECOND_RANGE * first.sigma * np.linspace(-1, 1, _FIRST_LOOK)
    rough = _fit(second, (yield from _in_parts(decide, second)))
    total = parameters.stimulus.noise_decisions or 0
    place = np.arange(total) % len(NOISE_LEVELS)
    levels = rough.mean + rough.sigma * np.array(NOISE_LEVELS)
    said = yield from _in_parts(decide, levels[place])
    yes = np.bincount(place, weights=said, minlength=len(levels))
    count = np.bincount(place, minlength=len(levels))
    fit = _fit(levels, yes, count)
    return {
        "noise_sigma": np.asarray(fit.sigma),
        "noise_sigma_error": np.asarray(fit.sigma_error),
        "noise_offset": np.asarray(-fit.mean),
        "noise_offset_error": np.asarray(fit.mean_error),
        "noise_input": levels,
        "noise_yes": yes.astype(np.int64),
        "noise_count": count,
    }


def _fit(inputs: NDArray[np.float64], yes: NDArray[np.generic], count: ArrayLike = 1) -> ProbitFit:
    try:
        return fit_probit(inputs, yes, count)
    except UsageError as error:
        raise MeasurementError(f"noisy decisions: {error}") from None


def _in_parts(decide: Decider, inputs: NDArray[np.float64]) -> Decide:
    """Decisions on many inputs, a few to a deck."""
    said = []
    for start in range(0, len(inputs), _COPIES):
        said.append((yield from decide(inputs[start : start + _COPIES])))
    return np.concatenate(said)


def _first_look(decide: Decider, threshold_v: float) -> Generator[Problem, Answer, ProbitFit]:
    """Rough mean and sigma; a range in which all decisions fall in line is made narrower."""
    reach = _FIRST_RANGE_V
    for _ in range(_NARROWER):
        inputs = threshold_v + np.linspace(-reach, reach, _FIRST_LOOK)
        said = yield from _in_parts(decide, inputs)
        try:
            return fit_probit(inputs, said)
        except UsageError:
            reach /= 10
    raise MeasurementError(
        f"no noise to be seen within {reach * 10:g} V of the threshold; is there any?"
    )


class _NoiseBench:
    """Problems of one noisy StrongARM comparator."""

    def __init__(
        self, parameters: ComparatorParameters, dut: StrongArm, tau_s: float, decision_s: float
    ) -> None:
        self.parameters, self.dut = parameters, dut
        self.technology = strongarm_technology(parameters)
        self.clocking = strongarm_clocking(parameters)
        self.step_s = tau_s / _STEPS_PER_TIME_CONSTANT
        self.rise_s = _LEAD * tau_s
        self.noisy_s = self.rise_s + self.clocking.edge_s / 2 + decision_s
        self.stop_s = self.noisy_s + _SETTLE * tau_s
        self.count = int(np.ceil(self.noisy_s / self.step_s))
        self.time_s = (np.arange(self.count) + 1) * self.step_s
        # (kind, width, drain, gate, source) of the half at outp; the other is its mirror image.
        self.devices = (
            ("nmos", dut.tail_m, "tail", "clk", "0"),
            ("nmos", dut.input_m, "dp", "inn", "tail"),
            ("nmos", dut.latch_nmos_m, "outp", "outn", "dp"),
            ("pmos", dut.latch_pmos_m, "outp", "outn", "vdd"),
            ("pmos", dut.reset_m, "outp", "clk", "vdd"),
            ("pmos", dut.reset_m, "dp", "clk", "vdd"),
        )

    def densities(self, threshold_v: float) -> Generator[Problem, Answer, NDArray[np.float64]]:
        """(device, value) current densities in A²/Hz along a decision at the threshold."""
        bias = yield self.copies(np.array([threshold_v]), np.zeros((1, len(NOISE_NODES), 1)), True)
        run = bias.runs[0]
        names = ("clk", "inp0", "inn0", "tail0", "dp0", "dn0", "outp_0", "outn_0", "vdd")
        short = ("clk", "inp", "inn", "tail", "dp", "dn", "outp", "outn", "vdd")
        at = np.linspace(self.time_s[0], self.time_s[-1], _BIASES)
        wave = {
            key: np.interp(at, run.axis, run.values["bias"][:, names.index(name)])
            for key, name in zip(short, names, strict=True)
        }
        wave["0"] = np.zeros(_BIASES)
        found = []
        for kind, width, *terminals in self.devices:
            drain, gate, source = (wave[name] for name in terminals)
            answer = yield self._transistor(kind, width, drain, gate, source)
            rms = np.asarray(answer.final("noise"))[:, 0] / _OHM
            density = rms**2 / (_BAND_HZ[1] - _BAND_HZ[0])
            found.append(np.interp(self.time_s, at, density))
        return np.array(found)

    def _transistor(
        self, kind: str, width_m: float, drain: NDArray[np.float64], gate: NDArray[np.float64],
        source: NDArray[np.float64],
    ) -> Problem:  # fmt: skip
        runs = tuple(
            {"vdrain": float(d), "vgate": float(g), "vsource": float(s)}
            for d, g, s in zip(drain, gate, source, strict=True)
        )
        return Problem(
            circuit=transistor_noise(self.technology, kind, width_m, self.dut.length_of(kind)),
            analysis=Noise("out", "vgate", *_BAND_HZ, points_per_decade=10),
            probes=(Probe("noise", (NOISE_VECTOR,), (1,), 1e9),),
            alterations=runs,
            temperature_degc=self.parameters.conditions.temperature,
        )

    def draw(
        self, rng: np.random.Generator, density: NDArray[np.float64], copies: int
    ) -> NDArray[np.float64]:
        """(copy, node, value) noise currents in A into the nodes of `NOISE_NODES`."""
        shape = (copies, 2, len(self.devices), self.count)
        drawn = draw_noise_current(rng, density, self.step_s, shape)
        place = {name: k for k, name in enumerate(NOISE_NODES)}
        mirror = {"dp": "dn", "outp": "outn"}
        into = np.zeros((copies, len(NOISE_NODES), self.count))
        for side in (0, 1):
            for k, (_, _, drain, _, source) in enumerate(self.devices):
                if drain == "tail" and side == 1:
                    continue
                for node, sign in ((drain, -1.0), (source, 1.0)):
                    name = mirror.get(node, node) if side else node
                    if name in place:
                        into[:, place[name]] += sign * drawn[:, side, k]
        return into

    def copies(
        self, inputs_v: NDArray[np.float64], currents: NDArray[np.float64], bias: bool = False
    ) -> Problem:
        """Decisions on the given inputs with the given noise currents."""
        sources = [[noise_source(row, self.step_s) for row in copy] for copy in currents]
        count = len(inputs_v)
        nodes = [f"v(outp_{k})" for k in range(count)] + [f"v(outn_{k})" for k in range(count)]
        bound = 2 * self.technology.supply_v + 1.0
        probes = [Probe("node", tuple(nodes), (2, count), bound)]
        if bias:
            names = ("clk", "inp0", "inn0", "tail0", "dp0", "dn0", "outp_0", "outn_0", "vdd")
            probes.append(Probe("bias", tuple(f"v({n})" for n in names), (len(names),), bound))
        step = self.step_s
        return Problem(
            circuit=strongarm_copies(
                self.dut, self.technology, self.clocking, self.rise_s,
                [float(x) for x in inputs_v], sources,
            ),
            analysis=Transient(self.stop_s, step, step),
            probes=tuple(probes),
            options={**OPTIONS, "reltol": 1e-3, "chgtol": 1e-18},
            temperature_degc=self.parameters.conditions.temperature,
        )  # fmt: skip
