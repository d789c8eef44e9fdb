"""Driving a bench by hand, as a sweep does it."""

import numpy as np

from imccircuit.benches.bench import Variation
from imccircuit.benches.problem import Answer, Noise, Run
from imccircuit.devices.draws import Draws
from imccircuit.engines.contract import Status


def measure(bench, parameters, engine, *, entropy=0, quantities=()):
    """Arrays that a bench returns, all its problems solved by ``engine``."""
    measurement = bench.measure(parameters, Variation(Draws(entropy, 0), frozenset(quantities)))
    problem = next(measurement)
    while True:
        (outcome,) = engine.solve([problem])
        assert outcome.status is Status.GOOD, outcome.reason
        try:
            problem = measurement.send(outcome.answer)
        except StopIteration as stop:
            return check_declared(bench, parameters, stop.value)


def check_declared(bench, parameters, arrays):
    """What comes back is what the bench declares."""
    sizes = bench.sizes(parameters)
    declared = {v.name: tuple(sizes[dim] for dim in v.dims) for v in bench.variables(parameters)}
    assert {name: array.shape for name, array in arrays.items()} == declared
    return arrays


class Synthetic:
    """An engine's place taken by a converter that is a list of levels, one for loop and null."""

    def __init__(self, bits, null_levels, loop_levels, *, slope=0.9):
        self.bits, self.null, self.loop, self.slope = bits, null_levels, loop_levels, slope
        self.asked = []

    def answer(self, problem):
        if isinstance(problem.analysis, Noise):
            return Answer((Run(np.zeros(1), {"noise": np.zeros(1)}),))
        inputs = np.array([run["vin"] for run in problem.alterations])
        (probe,) = problem.probes
        if probe.name == "decision":
            codes = [
                sum(int(run[f"vbit_{k}"]) << k for k in range(self.bits))
                for run in problem.alterations
            ]
            values = self.slope * (inputs - self.null[np.array(codes) - 1])
        else:
            self.asked.append(inputs)
            codes = np.searchsorted(self.loop, inputs)
            values = (codes[:, None] >> np.arange(self.bits) & 1).astype(float)
        runs = [Run(np.zeros(1), {probe.name: value[None]}) for value in values]
        return Answer(tuple(runs))


def drive_synthetic(bench, parameters, synthetic):
    """Arrays that a bench returns when a `Synthetic` converter answers."""
    measurement = bench.measure(parameters, Variation(Draws(0, 0)))
    problem = next(measurement)
    while True:
        try:
            problem = measurement.send(synthetic.answer(problem))
        except StopIteration as stop:
            return check_declared(bench, parameters, stop.value)
