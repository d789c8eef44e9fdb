"""What a bench asks of an engine and what it gets back: plain data, no engine, no file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imccircuit.nodal.array import ResistiveArray

if TYPE_CHECKING:
    from PySpice.Spice.Netlist import Circuit


@dataclass(frozen=True)
class OperatingPoint:
    """DC operating point; each run gives one value a vector.

    Attributes
    ----------
    continued : a run may start from the solution of the run before: an engine then has all runs in
        one analysis. For linear circuits. Newton's iteration stops within its tolerance, and where
        depends on where it starts: at a reltol of 1e-6 a transistor's current moves by 3e-7.
    """

    continued: bool = False


@dataclass(frozen=True)
class Transient:
    """Transient analysis from 0 to ``stop_s``.

    Attributes
    ----------
    stop_s : end of the simulated time in s.
    step_s : suggested step in s (also the print step, which a raw file does not use).
    max_step_s : largest step in s.
    """

    stop_s: float
    step_s: float
    max_step_s: float


@dataclass(frozen=True)
class Noise:
    """Noise of one node, integrated over frequency; each run gives one value, of one probe.

    The probe's only vector is `NOISE_VECTOR`, the rms voltage in V that ngspice integrates from
    ``start_hz`` to ``stop_hz``. Switches of kind ``sw`` are open in this analysis and noiseless:
    give closed ones as resistors.

    Attributes
    ----------
    node : node whose voltage is observed.
    source : an independent source of the circuit with an AC value (``"dc 0 ac 1"``), to whose place
        ngspice refers the noise as well.
    start_hz, stop_hz : ends of the band in Hz; for all of kT/C far below and far above its corner.
        A band that is not whole steps of the grid is integrated up to the next one, by no more
        than a two-hundredth of its decades.
    points_per_decade : of the frequency grid, at least; a narrow band has 200 points.
    """

    node: str
    source: str
    start_hz: float
    stop_hz: float
    points_per_decade: int = 100


NOISE_VECTOR = "v(onoise_total)"

Analysis = OperatingPoint | Transient | Noise


@dataclass(frozen=True)
class Probe:
    """A named array of circuit vectors.

    Attributes
    ----------
    name : name of the array in the answer.
    vectors : ngspice vector names, such as ``v(out)`` or ``i(vsense_3)``, in C order of ``shape``.
    shape : shape of the array in one run.
    bound : largest magnitude that physics allows (V or A); beyond it the run is not good.
    """

    name: str
    vectors: tuple[str, ...]
    shape: tuple[int, ...]
    bound: float

    def __post_init__(self) -> None:
        if len(self.vectors) != int(np.prod(self.shape)):
            raise ValueError(f"probe {self.name}: {len(self.vectors)} vectors for {self.shape}")


@dataclass(frozen=True)
class Problem:
    """One circuit, one analysis, one or more runs of it.

    Attributes
    ----------
    circuit : what a generator returned.
    analysis : what is done in each run.
    probes : which vectors come back under which names.
    alterations : one mapping a run, element name → new DC value or resistance/capacitance; each
        is complete, that is: every run alters the same elements.
    options : ngspice options beyond the engine's own, such as ``{"method": "gear"}``.
    temperature_degc : circuit temperature in degC.
    array : the same problem as a resistive array, where it is one.
    row_voltage_v : (run, row) drive voltages that go with ``array``, in V.
    label : what a log calls it.
    native : paths of compiled models (OSDI) that ngspice loads before it reads the circuit.
    """

    circuit: Circuit
    analysis: Analysis
    probes: tuple[Probe, ...]
    alterations: tuple[Mapping[str, float], ...] = ({},)
    options: Mapping[str, str | float] = field(default_factory=dict)
    temperature_degc: float = 27.0
    array: ResistiveArray | None = None
    row_voltage_v: NDArray[np.float64] | None = None
    label: str = ""
    native: tuple[str, ...] = ()

    @cached_property
    def netlist(self) -> str:
        """The circuit as text, without a title; printed once, because that takes milliseconds."""
        head, _, rest = str(self.circuit).partition("\n")
        return (rest if head.startswith(".title") else f"{head}\n{rest}").rstrip("\n")


@dataclass(frozen=True)
class Run:
    """The answer of one run of a problem.

    Attributes
    ----------
    axis : (step,) time in s; of length 1 and zero for an operating point.
    values : probe name → (step, *probe.shape) array in V or A.
    """

    axis: NDArray[np.float64]
    values: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Answer:
    """What an engine sends back for a good problem: one `Run` for each alteration."""

    runs: tuple[Run, ...]

    def final(self, name: str) -> NDArray[np.float64]:
        """Last step of a probe in every run: (run, *probe.shape)."""
        return np.stack([run.values[name][-1] for run in self.runs])
