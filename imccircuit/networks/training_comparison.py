"""What training with the periphery is worth: the same chips, five ways to get along with them.

Every seed trains a naive network, a population-aware one, and for each chip one of its own, all for
the same number of epochs and from the same first weights. Chips are drawn with a seed that no
training sees.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imccircuit.devices.draws import Draws
from imccircuit.errors import UsageError
from imccircuit.networks.digits import Digits
from imccircuit.networks.hardware_layer import Array
from imccircuit.networks.training import ImcMlp, Mode, Schedule, evaluate, train
from imccircuit.networks.training_chips import (
    Chip,
    ChipSource,
    calibrate_converters,
    uniform_chip,
)
from imccircuit.networks.training_tables import WAYS

_CLASSES = 10
_FRACTION_BITS = 3


@dataclass(frozen=True)
class Way:
    """One way, over seeds and chips.

    Attributes
    ----------
    name : what was done.
    accuracy : (seed, chip) share of right answers; one chip where none takes part.
    """

    name: str
    accuracy: NDArray[np.float64]

    @property
    def mean(self) -> float:
        """Mean over seeds and chips."""
        return float(np.mean(self.accuracy))

    @property
    def sigma(self) -> float:
        """Standard deviation over seeds and chips; NaN of one value."""
        return float(np.std(self.accuracy, ddof=1)) if self.accuracy.size > 1 else float("nan")


@dataclass(frozen=True)
class Comparison:
    """What `compare_training` found.

    Attributes
    ----------
    ways : ``float``, ``uniform converter``, ``naive``, ``population``, ``chip in the loop``,
        ``calibrated converter`` (the naive network), in this order.
    overhead : mode → time of an epoch over that of ``plain``, median over all trainings.
    conversions : of one image, the same in every way.
    energy_j : of these conversions in J where the model carries the energy of one, else None. The
        table of a calibrated converter, one look-up a conversion, is not in it.
    table_bits : bits of the table of one calibrated converter.
    """

    ways: tuple[Way, ...]
    overhead: dict[str, float]
    conversions: int
    energy_j: float | None
    table_bits: int

    def way(self, name: str) -> Way:
        """The way of that name.

        Raises
        ------
        UsageError : there is none.
        """
        for way in self.ways:
            if way.name == name:
                return way
        raise UsageError(f"way {name!r}; allowed: {', '.join(way.name for way in self.ways)}")

    def rows(self) -> list[tuple[str, str, str]]:
        """Name, mean and σ of the accuracy in percent, for a table."""
        return [(w.name, f"{100 * w.mean:.1f} %", f"{100 * w.sigma:.1f} %") for w in self.ways]


def compare_training(
    data: Digits,
    array: Array,
    source: ChipSource,
    *,
    chips: int = 10,
    seeds: int = 3,
    hidden: int = 32,
    schedule: Schedule | None = None,
    ways: Sequence[str] = WAYS,
    progress: Callable[[str], None] | None = None,
) -> Comparison:
    """Train and try the ways on the same chips.

    Parameters
    ----------
    array : of both layers, pixels to ``hidden`` to 10 classes.
    source : what the chips, those of the training and the others, are drawn from.
    chips, seeds : how many chips are tried, and how often everything is trained.
    schedule : of every training; `Schedule` by default.
    ways : which; what none of them needs is not trained.
    progress : told of each training.

    Raises
    ------
    UsageError : no chip or no seed, an unknown way, or what `train` and `ChipSource.draw` refuse.
    """
    if chips < 1 or seeds < 1:
        raise UsageError(f"chips = {chips}, seeds = {seeds}; allowed: from 1")
    for way in ways:
        if way not in WAYS:
            raise UsageError(f"way {way!r}; allowed: {', '.join(WAYS)}")
    sizes, bits = (data.train_x.shape[1], hidden, _CLASSES), source.adc.bits
    found: dict[str, list[list[float]]] = {way: [] for way in WAYS if way in ways}
    times: dict[str, list[float]] = {}

    def trained(mode: Mode, seed: int, chip: Chip | None = None) -> ImcMlp:
        if progress is not None:
            progress(f"training {seed + 1} of {seeds}: {mode}")
        network = ImcMlp(sizes, array, bits, seed)
        origin = source if mode == "population" else None
        done = train(network, data, mode, seed, source=origin, chip=chip, schedule=schedule)
        times.setdefault(mode, []).append(done.epoch_s)
        return network

    def note(name: str, network: ImcMlp, tried: Sequence[Chip | None]) -> None:
        if name in found:
            found[name].append([evaluate(network, data, chip) for chip in tried])

    one = ImcMlp(sizes, array, bits, 0)
    held_out = int(Draws(0, 0).generator("held_out_chips").integers(2**63))
    drawn: list[Chip] = list(source.draw(one.imc_layers, chips, held_out))
    for seed in range(seeds):
        # The plain training is what the time of the others is compared with: it always takes place.
        naive = trained("plain", seed)
        note("float", naive, [None])
        note("uniform converter", naive, [uniform_chip(naive.imc_layers)])
        note("naive", naive, drawn)
        note(
            "calibrated converter", naive, [calibrate_converters(c, _FRACTION_BITS) for c in drawn]
        )
        if "population" in found:
            note("population", trained("population", seed), drawn)
        if "chip in the loop" in found:
            own = [evaluate(trained("chip", seed, chip), data, chip) for chip in drawn]
            found["chip in the loop"].append(own)
    plain = float(np.median(times["plain"]))
    known = source.adc.model.parameters.get("energy")
    return Comparison(
        ways=tuple(Way(name, np.array(values)) for name, values in found.items()),
        overhead={m: float(np.median(t)) / plain for m, t in times.items() if m != "plain"},
        conversions=one.conversions,
        energy_j=None if known is None else known.value * one.conversions,
        table_bits=2**bits * (bits + _FRACTION_BITS + 1),
    )
