"""What training with the periphery is worth: the same chips, five ways to get along with them.

Every seed trains a naive network, a population-aware one, and for each chip one of its own, all for
the same number of epochs and from the same first weights. Chips are drawn with a seed that no
training sees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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

Arrays = Mapping[str, NDArray[Any]]
Kept = Callable[[str, Callable[[], Arrays]], Arrays]

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
    conversion_j : energy of a conversion in J where it is known, else None.
    table_bits : bits of the table of one calibrated converter; looking it up, once a conversion, is
        in no energy here.
    converters : of a chip, one a column.
    steps : conversions that calibrate one converter.
    """

    ways: tuple[Way, ...]
    overhead: dict[str, float]
    conversions: int
    conversion_j: float | None
    table_bits: int
    converters: int
    steps: int

    @property
    def energy_j(self) -> float | None:
        """Of the conversions of an image in J."""
        return None if self.conversion_j is None else self.conversions * self.conversion_j

    @property
    def calibration_j(self) -> float | None:
        """Of the conversions that calibrate all converters of a chip, in J."""
        if self.conversion_j is None:
            return None
        return self.steps * self.converters * self.conversion_j

    @property
    def calibration_images(self) -> float:
        """Images of which the conversions take what calibrating a chip takes."""
        return self.steps * self.converters / self.conversions

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
    conversion_j: float | None = None,
    kept: Kept = lambda _, compute: compute(),
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
    conversion_j : energy of a conversion of one column in J, if it is known.
    kept : given the name of a training and what does it, gives what it told; may know it already.

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
    found: dict[str, list[NDArray[np.float64]]] = {way: [] for way in WAYS if way in ways}
    times: dict[str, list[float]] = {}

    def tried(mode: Mode, seed: int, chip: int | None = None) -> Arrays:
        """What a training is worth, way by way, and the time of an epoch."""
        if progress is not None:
            progress(f"training {seed + 1} of {seeds}: {mode}")
        network = ImcMlp(sizes, array, bits, seed)
        origin = source if mode == "population" else None
        own = None if chip is None else drawn[chip]
        done = train(network, data, mode, seed, source=origin, chip=own, schedule=schedule)
        told = {
            way: np.array([evaluate(network, data, on) for on in chips_of])
            for way, chips_of in _chips_of(mode, network, drawn, own).items()
        }
        return {**told, "epoch_s": np.array(done.epoch_s)}

    def note(mode: Mode, seed: int, chip: int | None = None) -> Arrays:
        name = f"{mode}.{seed}" + ("" if chip is None else f".{chip}")
        told = kept(name, lambda: tried(mode, seed, chip))
        times.setdefault(mode, []).append(float(told["epoch_s"]))
        return told

    one = ImcMlp(sizes, array, bits, 0)
    held_out = int(Draws(0, 0).generator("held_out_chips").integers(2**63))
    drawn: list[Chip] = list(source.draw(one.imc_layers, chips, held_out))
    for seed in range(seeds):
        # The plain training is what the time of the others is compared with: it always takes place.
        told = dict(note("plain", seed))
        if "population" in found:
            told |= note("population", seed)
        if "chip in the loop" in found:
            own = [note("chip", seed, chip)["chip in the loop"] for chip in range(chips)]
            told["chip in the loop"] = np.concatenate(own)
        for way, values in found.items():
            values.append(told[way])
    plain = float(np.median(times["plain"]))
    return Comparison(
        ways=tuple(Way(name, np.array(values)) for name, values in found.items()),
        overhead={m: float(np.median(t)) / plain for m, t in times.items() if m != "plain"},
        conversions=one.conversions,
        conversion_j=conversion_j,
        table_bits=2**bits * (bits + _FRACTION_BITS + 1),
        converters=sum(layer.columns for layer in one.imc_layers),
        steps=2 ** (bits + _FRACTION_BITS),
    )


def _chips_of(
    mode: Mode, network: ImcMlp, drawn: Sequence[Chip], own: Chip | None
) -> dict[str, Sequence[Chip | None]]:
    """Way → chips on which a network that was trained so is tried."""
    if mode == "plain":
        return {
            "float": [None],
            "uniform converter": [uniform_chip(network.imc_layers)],
            "naive": drawn,
            "calibrated converter": [calibrate_converters(c, _FRACTION_BITS) for c in drawn],
        }
    return {"population": drawn} if mode == "population" else {"chip in the loop": [own]}
