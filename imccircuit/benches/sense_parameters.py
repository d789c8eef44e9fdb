"""Parameters of the bench of sense amplifiers: the tables of its recipes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from imccircuit.benches.bench import Parameters, Section
from imccircuit.benches.idle import keys_idle, keys_of_others, never_mismatched
from imccircuit.benches.irc_parameters import (
    Cells,
    misfit_of_cells,
    misfit_of_inputs,
    without_spread,
)
from imccircuit.circuits.sense_amp import LatchSizes
from imccircuit.circuits.technology import Technology
from imccircuit.units import SI, Capacitance, Current, SIArray, Time, Voltage

Multiple = Annotated[float, Field(ge=1, le=1000)]
_COMMON_MODES = 24
# Even: at a difference of exactly 0 there is no right answer.
_DIFFERENCES = 20
_LEVEL_KEYS = {
    "transistor": ("mirror_widths", "mirror_lengths", "latch_widths", "latch_lengths",
                   "reset_widths"),
    "behavioural": ("offset", "offset_sigma", "range_low", "range_high"),
}  # fmt: skip
_MAPPING_KEYS = {
    "counts": ("stimulus.counts", "stimulus.currents"),
    "ternary": ("stimulus.read_voltage", "stimulus.inputs", "stimulus.batch",
                *(f"circuit.pair.{key}" for key in Cells.model_fields)),
}  # fmt: skip
_PAIR_QUANTITIES = ("conductance", "threshold", "current_factor")


class Circuit(Section):
    """A differential current comparator and the columns at its inputs."""

    mapping: Literal["counts", "ternary"] = Field(
        "counts",
        description="currents of stated counts of equal cells, or those of a simulated pair of "
        "columns with ternary weights",
    )
    level: Literal["transistor", "behavioural"] = "transistor"
    mirror_widths: Multiple = Field(32.0, description="input mirrors, of the technology's width")
    mirror_lengths: Multiple = 4.0
    latch_widths: Multiple = 4.0
    latch_lengths: Multiple = 2.0
    reset_widths: Multiple = 4.0
    offset: Current = Field(0.0, description="behavioural: adds to the current of the plus input")
    offset_sigma: Annotated[Current, Field(ge=0)] = Field(
        0.0, description="behavioural: its standard deviation from chip to chip"
    )
    range_low: Annotated[Current, Field(ge=0)] = Field(
        5e-6, description="behavioural: least mean current of the two columns that is decided"
    )
    range_high: Annotated[Current, Field(gt=0)] = Field(120e-6, description="largest one")
    input_capacitance: Capacitance = Field(30e-15, description="of a column")
    minimum_input_voltage: Voltage = Field(
        0.3, description="below it an input leaves the column too little: not in range"
    )
    rows: int = Field(64, ge=1, le=4096, description="of a column")
    bias_rows: int = Field(0, ge=0, description="always-on rows in both columns")
    unit_current: Annotated[Current, Field(gt=0)] = Field(
        6e-6, description="of one low-resistive cell"
    )
    pair: Cells = Field(default_factory=Cells, description="columns of the ternary mapping")

    @model_validator(mode="after")
    def _consistent(self) -> Circuit:
        if self.range_low >= self.range_high:
            _refuse(
                f"range_low = {self.range_low:g} A is not below range_high = "
                f"{self.range_high:g} A; allowed: a range that begins below its end"
            )
        if self.bias_rows > self.rows:
            _refuse(f"bias_rows = {self.bias_rows} is more than rows; allowed: 0 to {self.rows}")
        return self


class Stimulus(Section):
    """Which currents are compared."""

    resolution: Annotated[Current, Field(gt=0)] | None = Field(
        None, description="difference that must be decided; default circuit.unit_current"
    )
    read_voltage: Annotated[Voltage, Field(gt=0)] = Field(
        0.2, description="ternary: of the bit lines"
    )
    inputs: Annotated[NDArray[np.float64], SIArray("", 2, least=0.0, most=1.0)] | None = Field(
        None, description="ternary: (pair, row) of 0 and 1; default drawn once"
    )
    batch: int | None = Field(
        None, ge=1, le=10_000, description="ternary: drawn inputs, default 16; follows inputs"
    )
    common_mode: Annotated[Current, Field(gt=0)] = Field(
        30e-6, description="mean current at which offset, decision curve and cost are measured"
    )
    largest_common_mode: Annotated[Current, Field(gt=0)] = Field(
        300e-6, description="end of the search for the sensing range"
    )
    offset_tolerance: Annotated[float, SI(""), Field(gt=0, lt=0.1)] = Field(
        0.0005, description="of the offset, relative to the mean current"
    )
    phase_time: Annotated[Time, Field(gt=1e-10)] = Field(
        1e-9, description="of the reset and of the evaluation"
    )
    active_rows: int | None = Field(
        None, ge=1, description="largest count of the default pairs; default 16, or circuit.rows"
    )
    counts: Annotated[NDArray[np.float64], SIArray("", 2, least=0.0)] | None = Field(
        None, description="(pair, 2) conducting cells in plus and minus column; default neighbours"
    )
    currents: Annotated[NDArray[np.float64], SIArray("A", 2, least=0.0)] | None = Field(
        None, description="(pair, 2) column currents, extra bias included, in place of counts"
    )


class SenseParameters(Parameters):
    """Tables of a recipe of this bench."""

    circuit: Circuit = Field(default_factory=Circuit)
    stimulus: Stimulus = Field(default_factory=Stimulus)

    @property
    def ternary(self) -> bool:
        """Whether the currents are those of a simulated pair of columns."""
        return self.circuit.mapping == "ternary"

    @property
    def transistor_level(self) -> bool:
        """Whether the amplifier is made of transistors."""
        return self.circuit.level == "transistor"

    @property
    def has_transistors(self) -> bool:
        """In the amplifier, or in the cells of a simulated pair."""
        return self.transistor_level or self.ternary

    @property
    def has_temperature(self) -> bool:
        """A behavioural amplifier of stated currents knows none."""
        return self.has_transistors

    @property
    def has_supply(self) -> bool:
        """Also behavioural: inputs are held at half of it, and outputs are at it."""
        return True

    def idle_keys(self) -> Mapping[str, str]:
        """Keys of the other level, and what given pairs leave nothing to."""
        circuit, stimulus = self.circuit, self.stimulus
        currents = not self.ternary and stimulus.currents is not None
        given = self.ternary and stimulus.inputs is not None
        return {
            **keys_of_others(_LEVEL_KEYS, "level", circuit.level),
            **keys_of_others(_MAPPING_KEYS, "mapping", circuit.mapping, prefix=""),
            **keys_idle(currents, "stimulus.currents, which include it", "circuit.bias_rows"),
            **keys_idle(currents, "stimulus.currents given", "circuit.rows"),
            **keys_idle((currents or self.ternary) and stimulus.resolution is not None,
                        "stimulus.resolution given", "circuit.unit_current"),
            **keys_idle(currents or stimulus.counts is not None, "pairs given",
                        "stimulus.active_rows"),
            **keys_idle(given, "stimulus.inputs given", "stimulus.active_rows", "stimulus.batch"),
        }  # fmt: skip

    def idle_quantities(self) -> Mapping[str, str]:
        """Spread of the other level, and spread of zero."""
        card, why = self.technology, f'level = "{self.circuit.level}"'
        cells = without_spread(self.circuit.pair.device_card, card.nmos)
        none = keys_idle(True, 'mapping = "counts"', *_PAIR_QUANTITIES)
        return {
            **(cells if self.ternary else none),
            **keys_idle(never_mismatched(card.nmos, card.pmos), "this technology", "transistor"),
            **keys_idle(not self.transistor_level, why, "transistor"),
            **keys_idle(self.circuit.offset_sigma == 0, "offset_sigma = 0 A", "offset"),
            **keys_idle(self.transistor_level, why, "offset"),
        }

    def transistor_quantities(self) -> Collection[str]:
        """Mismatch of mirrors and latch, and of the cells of a simulated pair."""
        return ("transistor", "threshold", "current_factor")

    def bound_keys(self) -> Mapping[str, str]:
        """Rows of a column whose counts are stated."""
        stimulus = self.stimulus
        stated = stimulus.counts is not None or stimulus.active_rows is not None
        return {"circuit.rows": "the counts"} if stated and not self.ternary else {}

    def spread_keys(self) -> Mapping[str, str]:
        """Key of the spread of the offset."""
        return {"circuit.offset_sigma": "offset"}

    @model_validator(mode="after")
    def _consistent(self) -> SenseParameters:
        circuit, stimulus = self.circuit, self.stimulus
        active = stimulus.active_rows
        if active is not None and active > circuit.rows:
            _refuse(
                f"stimulus.active_rows = {active} is more than circuit.rows; "
                f"allowed: 1 to {circuit.rows}"
            )
        if not self.resolution_a / 2 < stimulus.common_mode < stimulus.largest_common_mode:
            _refuse(
                f"stimulus.common_mode = {stimulus.common_mode:g} A; allowed: above half the "
                f"resolution, {self.resolution_a / 2:g} A, and below largest_common_mode, "
                f"{stimulus.largest_common_mode:g} A"
            )
        if stimulus.counts is not None and stimulus.currents is not None:
            _refuse("stimulus has counts and currents; allowed: one of the two")
        for name in ("counts", "currents"):
            pairs = getattr(stimulus, name)
            if pairs is not None:
                _check_pairs(name, pairs)
        if stimulus.counts is not None and np.any(stimulus.counts > circuit.rows):
            _refuse(f"stimulus.counts has more active cells than rows; allowed: to {circuit.rows}")
        if self.ternary:
            self._check_pair()
        return self

    def _check_pair(self) -> None:
        circuit, stimulus = self.circuit, self.stimulus
        if why := misfit_of_cells(circuit.pair, circuit.rows):
            _refuse(f"circuit.pair.{why}")
        if why := misfit_of_inputs(stimulus.inputs, circuit.rows):
            _refuse(why)
        if not 2 <= circuit.rows <= 1024:
            _refuse(f"circuit.rows = {circuit.rows} with a simulated pair; allowed: 2 to 1024")
        limit = circuit.pair.device_card.max_voltage.value
        if stimulus.read_voltage > limit:
            _refuse(
                f"stimulus.read_voltage = {stimulus.read_voltage:g} V is beyond the law of "
                f"circuit.pair.device_card; allowed: up to {limit:g} V"
            )

    @property
    def pairs(self) -> int:
        """Number of comparisons whose outcome is judged."""
        if not self.ternary:
            return len(self.pairs_a)
        given = self.stimulus.inputs
        return (self.stimulus.batch or 16) if given is None else len(given)

    @property
    def most_active(self) -> int:
        """Largest count of the default pairs, or of active rows of drawn inputs."""
        return self.stimulus.active_rows or min(16, self.circuit.rows)

    @property
    def resolution_a(self) -> float:
        """Difference that must be decided, in A."""
        given = self.stimulus.resolution
        return self.circuit.unit_current if given is None else given

    @property
    def common_modes_a(self) -> NDArray[np.float64]:
        """(common,) mean currents at which the range is first looked for, in A."""
        lowest = self.resolution_a / 2
        return np.geomspace(lowest, self.stimulus.largest_common_mode, _COMMON_MODES)

    @property
    def differences_a(self) -> NDArray[np.float64]:
        """(difference,) of the decision curve in A: to the resolution on both sides."""
        return np.linspace(-1, 1, _DIFFERENCES) * self.resolution_a

    @property
    def pairs_a(self) -> NDArray[np.float64]:
        """(pair, 2) stated currents of plus and minus column in A."""
        circuit, stimulus = self.circuit, self.stimulus
        if stimulus.currents is not None:
            return stimulus.currents
        counts = stimulus.counts
        if counts is None:
            below = np.arange(self.most_active)
            up = np.stack([below + 1, below], axis=1)
            counts = np.stack([up, up[:, ::-1]], axis=1).reshape(-1, 2).astype(np.float64)
        return np.asarray((counts + circuit.bias_rows) * circuit.unit_current)

    @property
    def at(self) -> Technology:
        """Technology at this corner and supply."""
        return Technology(self.technology, self.corner, self.supply_v)

    @property
    def sizes(self) -> LatchSizes:
        """Gate sizes in m."""
        circuit, at = self.circuit, self.at
        wm, lm = at.size("pmos", circuit.mirror_widths, circuit.mirror_lengths)
        wl, ll = at.size("nmos", circuit.latch_widths, circuit.latch_lengths)
        wr, length = at.size("nmos", circuit.reset_widths)
        wn, (wp, lp) = at.size("nmos")[0], at.size("pmos", 2.0)
        return LatchSizes(wm, lm, wl, ll, wr, wn, wp, length, lp)


def _check_pairs(name: str, pairs: NDArray[np.float64]) -> None:
    if pairs.shape[1] != 2:
        _refuse(f"stimulus.{name} is {pairs.shape}; allowed: shape (pair, 2)")
    if np.any(pairs[:, 0] == pairs[:, 1]):
        _refuse(f"stimulus.{name} has a pair of equals, which has no right answer; "
                "allowed: pairs that differ")  # fmt: skip


def _refuse(why: str) -> None:
    raise PydanticCustomError("sense", "{why}", {"why": why})
