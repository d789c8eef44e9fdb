"""From the plots of a raw file to an `Answer`, or to the reason why there is none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.problem import Answer, Noise, OperatingPoint, Probe, Problem, Run, Transient
from imccircuit.engines.contract import Status
from imccircuit.engines.deck import MARKER, NOISE_MARKER
from imccircuit.engines.rawfile import Plot

# A transient's last step ends at the stop time but for rounding.
_END_TOLERANCE = 1e-9


class NotGoodError(Exception):
    """An answer that must not be used.

    Attributes
    ----------
    status : what kind of failure it is.
    """

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def extract_answer(problem: Problem, plots: Sequence[Plot], title: str) -> Answer:
    """Check every plot against the problem and pick its probes.

    Parameters
    ----------
    title : the title of the deck, which every plot must carry.

    Raises
    ------
    NotGoodError : a plot is missing, foreign, short, not finite or unphysical.
    """
    if any(plot.title != title.lower() for plot in plots):
        raise NotGoodError(Status.BAD_OUTPUT, "the answer carries another circuit's title")
    expected = len(problem.alterations)
    if isinstance(problem.analysis, OperatingPoint) and len(plots) == 1:
        plots = _points(plots[0])
    if len(plots) != expected:
        raise NotGoodError(Status.NO_CONVERGENCE, f"{len(plots)} of {expected} runs gave a plot")
    return Answer(tuple(_run(problem, plot, index) for index, plot in enumerate(plots)))


def _points(plot: Plot) -> list[Plot]:
    """The runs of an analysis that is all of them, each as a plot of its own."""
    rows = np.split(plot.data, len(plot.data))
    return [Plot(plot.title, plot.names, row) for row in rows]


def _run(problem: Problem, plot: Plot, index: int) -> Run:
    place = {name: position for position, name in enumerate(plot.names)}
    marker = NOISE_MARKER if isinstance(problem.analysis, Noise) else MARKER
    if marker not in place or np.any(plot.data[:, place[marker]] != index):
        raise NotGoodError(Status.NO_CONVERGENCE, f"run {index} gave no plot of its own")
    axis = _axis(problem, plot, index)
    values: dict[str, NDArray[np.float64]] = {}
    for probe in problem.probes:
        missing = [name for name in probe.vectors if name.lower() not in place]
        if missing:
            raise NotGoodError(Status.BAD_OUTPUT, f"vector {missing[0]} is missing")
        columns = [place[name.lower()] for name in probe.vectors]
        array = plot.data[:, columns].reshape(len(axis), *probe.shape)
        unphysical = describe_unphysical(probe, array, index)
        if unphysical:
            raise NotGoodError(Status.UNPHYSICAL, unphysical)
        values[probe.name] = array
    return Run(axis, values)


def fits(problem: Problem, answer: Answer) -> bool:
    """Whether an answer that was kept is one to this problem: runs, probes, shapes, bounds."""
    if len(answer.runs) != len(problem.alterations):
        return False
    for index, run in enumerate(answer.runs):
        if set(run.values) != {probe.name for probe in problem.probes} or not len(run.axis):
            return False
        for probe in problem.probes:
            array = run.values[probe.name]
            if array.shape != (len(run.axis), *probe.shape):
                return False
            if describe_unphysical(probe, array, index):
                return False
    return True


def describe_unphysical(probe: Probe, array: NDArray[np.float64], index: int) -> str:
    """What is physically impossible about the array of a probe in one run; empty if nothing is."""
    if not np.all(np.isfinite(array)):
        return f"{probe.name} in run {index} is not finite"
    largest = float(np.max(np.abs(array), initial=0.0))
    if largest > probe.bound:
        return f"{probe.name} reaches {largest:.3g} in run {index}, bound {probe.bound:.3g}"
    return ""


def _axis(problem: Problem, plot: Plot, index: int) -> NDArray[np.float64]:
    if not isinstance(problem.analysis, Transient):
        if len(plot.data) != 1:
            raise NotGoodError(Status.BAD_OUTPUT, f"{len(plot.data)} operating points in one run")
        return np.zeros(1)
    if plot.names[0] != "time":
        raise NotGoodError(Status.BAD_OUTPUT, f"no time axis in run {index}")
    time = plot.data[:, 0]
    if not np.all(np.isfinite(time)):
        raise NotGoodError(Status.BAD_OUTPUT, f"time is not finite in run {index}")
    stop = problem.analysis.stop_s
    if time[-1] < stop * (1 - _END_TOLERANCE):
        reason = f"run {index} stopped at {time[-1]:.4g} s of {stop:.4g} s"
        raise NotGoodError(Status.NO_CONVERGENCE, reason)
    if np.any(np.diff(time) < 0):
        raise NotGoodError(Status.BAD_OUTPUT, f"time runs backwards in run {index}")
    return time
