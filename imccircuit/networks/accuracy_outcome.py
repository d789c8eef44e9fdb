"""What a study of networks on characterised circuits found: tables, notes, JSON."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.metrics.statistics import compute_proportion_interval, compute_summary
from imccircuit.networks.exported_twins import Twin
from imccircuit.networks.paired import compute_logit_snr, compute_mcnemar
from imccircuit.networks.ranges import LayerRange
from imccircuit.networks.sensitivity import LABELS, Point, costliest, widest
from imccircuit.networks.spot_check import Checked
from imccircuit.networks.study import Table
from imccircuit.surrogates.verdict import Verdict

Rights = NDArray[np.bool_]

# The surrogate computes in single precision, its export in double: of a sum of 64 terms 1e-6 is
# rounded, 3e-4 of a code's width. One image in thirty has a code that is one off, and of these
# hardly one in ten answers otherwise.
_LEAST_EQUAL = 0.99


@dataclass(frozen=True)
class Line:
    """One network computed one way.

    Attributes
    ----------
    model, way : the network and what computed it.
    accuracy : share of right answers, mean over chips where there are several.
    sd : standard deviation over chips; None where there is one way only.
    low, high : 95 % interval: of the proportion (Wilson) or of the mean over chips (Student's t).
    logit_snr_db : of its logits against float, in dB; None for float itself.
    p_value : of McNemar's exact test against float, for several chips that of the median chip.
    """

    model: str
    way: str
    accuracy: float
    sd: float | None
    low: float
    high: float
    logit_snr_db: float | None = None
    p_value: float | None = None


@dataclass(frozen=True)
class Shift:
    """What the surrogates' own errors, injected, do to the accuracy of a network.

    Attributes
    ----------
    model : the network.
    mean : accuracy with them minus without, mean over the same chips.
    sd : of the chips without them.
    """

    model: str
    mean: float
    sd: float

    @property
    def beyond(self) -> bool:
        """Larger than what chips differ by."""
        return abs(self.mean) > self.sd


@dataclass(frozen=True)
class NetworksOutcome:
    """What the study found.

    Attributes
    ----------
    images, folds, chips : how many.
    lines : of the table.
    shifts : the surrogates' own errors, a network each.
    checks : operations that SPICE was asked for.
    ranges : network → fold → layer → calibration.
    exported_equal : share of the exported chip's answers that are the surrogate's own.
    points : sensitivities.
    verdicts : of both surrogates.
    files : what was written, by name.
    twins : the exported chip of other targets beside that of target ``numpy``.
    not_run : target that did not run the chip → why, in words.
    not_injected : surrogates whose verdict states no error that could be injected.
    """

    images: int
    folds: int
    chips: int
    lines: tuple[Line, ...]
    shifts: tuple[Shift, ...]
    checks: tuple[Checked, ...]
    ranges: dict[str, list[list[LayerRange]]]
    exported_equal: dict[str, float]
    points: tuple[Point, ...]
    verdicts: dict[str, Verdict]
    files: dict[str, Path] = field(default_factory=dict)
    twins: tuple[Twin, ...] = ()
    not_run: dict[str, str] = field(default_factory=dict)
    not_injected: tuple[str, ...] = ()

    @property
    def below_gate(self) -> bool:
        """A verdict failed, SPICE or an export disagrees, or the surrogates' errors matter."""
        return (
            any(verdict.state == "fail" for verdict in self.verdicts.values())
            or any(not check.agrees for check in self.checks)
            or any(shift.beyond for shift in self.shifts)
            or any(not twin.agrees for twin in self.twins)
            or any(share < _LEAST_EQUAL for share in self.exported_equal.values())
        )

    def tables(self) -> list[Table]:
        """Tables for a terminal."""
        rows: list[Any] = [
            (
                f"{line.model}, {line.way}",
                f"{100 * line.accuracy:.2f}"
                + ("" if line.sd is None else f" ± {100 * line.sd:.2f}"),
                f"{100 * line.low:.2f} – {100 * line.high:.2f}",
                "" if line.logit_snr_db is None else f"{line.logit_snr_db:.1f} dB",
                "" if line.p_value is None else f"{line.p_value:.2g}",
            )
            for line in self.lines
        ]
        title = f"{self.images} images, {self.folds}-fold cross-validation, {self.chips} chips"
        columns = ("computed by", "accuracy (%)", "95 % interval*", "logit SNR", "p against float")
        found: list[Table] = [(title, columns, rows)]
        if self.not_run:
            why = [(target, f"not run: {reason}") for target, reason in self.not_run.items()]
            found.append(("Targets without a line above", ("target", "chip 0"), list(why)))
        if self.checks:
            spice: list[Any] = [
                (
                    check.label,
                    f"{1e6 * check.difference_v:.3g} µV of {1e6 * check.limit_v:.3g}",
                    f"{check.codes_apart} of {check.codes}",
                    f"{check.conversions_apart} of {check.conversions}",
                    "agrees" if check.agrees else "DISAGREES",
                )
                for check in self.checks
            ]
            columns = ("SPICE on a tile", "largest difference", "codes apart", "loop apart", "")
            found.append(("Spot check: the same tile of the same chip in SPICE", columns, spice))
        return found

    def notes(self) -> list[str]:
        """Lines below the tables."""
        lines = [
            "* of one network over images (Wilson); of chips over chips (Student), on these images",
        ]
        lines += [
            f"{s.model}: the surrogates' own errors shift the accuracy by {100 * s.mean:+.3f} "
            f"points; chips differ by {100 * s.sd:.3f} points" + (": TOO MUCH" if s.beyond else "")
            for s in self.shifts
        ]
        lines += [
            f"surrogate of the {name}: its verdict states no error in V, so none was injected; the "
            "shifts above do not hold it"
            for name in self.not_injected
        ]
        for model, share in self.exported_equal.items():
            lines.append(
                f"{model}: the exported numpy model of chip 0 gives {100 * share:.2f} % of the "
                "surrogate's answers" + ("" if share >= _LEAST_EQUAL else ": DISAGREES")
            )
        lines += [str(twin) for twin in self.twins]
        worst = costliest(self.points)
        if worst is not None:
            lines.append(
                f"costliest as characterised, alone: {worst[0]}, {100 * worst[1]:.2f} points"
            )
        most = widest(self.points)
        if most is not None:
            lines.append(
                f"least alone of all that was asked: {LABELS[most[0]]} at {most[1]:g}, "
                f"{100 * most[2]:.2f} points"
            )
        for name, verdict in self.verdicts.items():
            lines.append(f"surrogate of the {name}:")
            lines += [f"  {line}" for line in str(verdict).splitlines()]
        return lines

    def as_dict(self) -> dict[str, Any]:
        """Everything for JSON."""
        return {
            "images": self.images,
            "folds": self.folds,
            "chips": self.chips,
            "lines": [_finite(asdict(line)) for line in self.lines],
            "shifts": [{**asdict(shift), "beyond": shift.beyond} for shift in self.shifts],
            "checks": [{**asdict(check), "agrees": check.agrees} for check in self.checks],
            "ranges": {
                model: [[asdict(layer) for layer in fold] for fold in folds]
                for model, folds in self.ranges.items()
            },
            "exported_equal": self.exported_equal,
            "twins": [{**asdict(twin), "agrees": twin.agrees} for twin in self.twins],
            "not_run": self.not_run,
            "not_injected": list(self.not_injected),
            "sensitivity": [asdict(point) for point in self.points],
            "verdicts": {
                name: json.loads(verdict.to_json()) for name, verdict in self.verdicts.items()
            },
            "below_gate": self.below_gate,
            "files": {name: str(path) for name, path in self.files.items()},
        }


def one_way(
    model: str,
    way: str,
    right: Rights,
    logits: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
    reference: Rights | None = None,
) -> Line:
    """Line of one deterministic way.

    Parameters
    ----------
    right : (image,) whether each answer is right.
    logits : float's and its own, (image, class) each.
    reference : (image,) of float.
    """
    share = compute_proportion_interval(int(right.sum()), len(right))
    return Line(
        model, way, share.estimate, None, share.low, share.high,
        None if logits is None else compute_logit_snr(*logits),
        None if reference is None else compute_mcnemar(reference, right),
    )  # fmt: skip


def over_chips(
    model: str, way: str, rights: Rights, snr_db: list[float], reference: Rights
) -> Line:
    """Line of several chips.

    Parameters
    ----------
    rights : (chip, image) whether each answer is right.
    snr_db : (chip,) logit SNR, of which the mean is given.
    reference : (image,) of float.
    """
    accuracies = rights.mean(axis=1)
    summary = compute_summary(accuracies)
    # The lower one of two: no kinder than the chips are.
    median = int(np.argsort(accuracies, kind="stable")[(len(accuracies) - 1) // 2])
    return Line(
        model, way, float(summary.mean), float(summary.std),
        max(0.0, float(summary.mean_low)), min(1.0, float(summary.mean_high)),
        float(np.mean(snr_db)), compute_mcnemar(reference, rights[median]),
    )  # fmt: skip


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in values.items()
    }
