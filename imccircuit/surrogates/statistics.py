"""Whether the population of a surrogate agrees with fresh chips: σ by code, and all together.

What counts is declared here, before any chip is looked at:

- σ of INL (end-point) and of DNL of each code, fresh chips over surrogate, lies within ±10 %. Its
  interval comes from a bootstrap of the fresh chips and holds for all codes together. The
  surrogate's σ is that of many drawn chips: it is taken as it stands, however few chips it was
  fitted to.
- One multivariate test, of the bit weights and the offset: the likelihood ratio of the Gaussian
  law that the surrogate draws from, at 1 %. It was chosen over an energy distance or a test of the
  levels because the levels of a chip have no more degrees of freedom than its weights and offset,
  of which they are linear functions but for the search tree; because it does not change with their
  units, of which the highest is a hundred times the lowest; and because its distribution depends
  on the numbers of chips only, so that it can be simulated, those of the fit included. Of
  converters without bit weights it is a test of offset and gain: more numbers than chips have no
  likelihood. Of ramp converters `imccircuit.surrogates.ramp_statistics` says what is compared.

The surrogate *disagrees* where the interval of a code or of the rms over all codes lies outside
the band as a whole, or the test rejects. It *agrees* where no code does, the interval of the rms
lies within the band as a whole, and every code's ratio lies in it. All else is *open*: there are
too few chips.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import UsageError
from imccircuit.metrics.adc import compute_inl_dnl
from imccircuit.metrics.population import (
    PopulationTest,
    SigmaRatios,
    compute_population_test,
    compute_sigma_ratios,
)
from imccircuit.results.read import Results
from imccircuit.surrogates.adc import AdcSurrogate
from imccircuit.surrogates.adc_level_law import line_basis
from imccircuit.surrogates.adc_levels import fit_weights, forced_levels
from imccircuit.surrogates.adc_verdict import unseen
from imccircuit.surrogates.base import Surrogate
from imccircuit.surrogates.data import FEWEST, Measured, measured_point
from imccircuit.surrogates.ramp_adc import RampAdcSurrogate

BAND = 0.10
SIGNIFICANCE = 0.01

Floats = NDArray[np.float64]
State = Literal["agrees", "disagrees", "open"]

DRAWN = 10_000
"""Chips, drawn from a surrogate, whose σ is compared."""
DRAWN_SEED = 20_260_711
# A figure that varies less than this, in LSB, does not vary: that is the solver's noise.
_NO_SPREAD_LSB = 1e-4


@dataclass(frozen=True)
class SigmaRow:
    """σ of one figure, fresh chips over surrogate.

    Attributes
    ----------
    name : ``INL`` or ``DNL``.
    ratio, low, high : of the rms over the codes, with its interval.
    sigma_lsb : that rms of the surrogate in LSB.
    worst_code, worst_ratio, worst_low, worst_high : the code farthest from 1.
    inside, outside, codes : codes whose ratio lies in the band, codes whose interval lies outside
        it as a whole, and all that vary.
    """

    name: str
    ratio: float
    low: float
    high: float
    sigma_lsb: float
    worst_code: int
    worst_ratio: float
    worst_low: float
    worst_high: float
    inside: int
    outside: int
    codes: int

    @property
    def state(self) -> State:
        """What this figure alone says."""
        low, high = 1 - BAND, 1 + BAND
        if self.outside or self.low > high or self.high < low:
            return "disagrees"
        whole = low <= self.low and self.high <= high
        return "agrees" if whole and self.inside == self.codes else "open"

    def __str__(self) -> str:
        """One line."""
        return (
            f"σ of {self.name}, fresh over surrogate: {self.ratio:.3f} ({self.low:.3f} to "
            f"{self.high:.3f}) rms over codes, surrogate {self.sigma_lsb:.3g} LSB; "
            f"{self.inside} of {self.codes} codes within ±{BAND:.0%}, {self.outside} outside for "
            f"certain; worst code {self.worst_code}: {self.worst_ratio:.3f} "
            f"({self.worst_low:.3f} to {self.worst_high:.3f}): {self.state}"
        )


@dataclass(frozen=True)
class StatisticsReport:
    """Agreement of a population with fresh chips.

    Attributes
    ----------
    state, reason : see the module.
    rows : INL and DNL.
    test : the multivariate test; None where nothing varies or chips are too few.
    chips : fresh chips that were compared.
    reference : who measured them.
    column_test : of ramp converters, that of what columns of one chip differ by.
    level : p-value below which a test rejects.
    """

    state: State
    reason: str
    rows: tuple[SigmaRow, ...]
    test: PopulationTest | None
    chips: int
    reference: str
    column_test: PopulationTest | None = None
    level: float = SIGNIFICANCE

    def __str__(self) -> str:
        """Show one line a row."""
        lines = [f"statistics: {self.state} ({self.reason})"]
        lines.append(f"fresh: {self.chips} chip(s) of {self.reference or 'SPICE'}")
        lines += map(str, self.rows)
        for test, of in ((self.test, "chips"), (self.column_test, "deviations of columns")):
            if test is not None:
                lines.append(
                    f"likelihood ratio of {test.parameters} parameters, {test.fresh_chips} fresh "
                    f"against {test.fitted_chips} fitted {of}: {test.statistic:.4g}, "
                    f"p = {test.p_value:.3g} (rejected below {self.level:g})"
                )
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        rows = [{**asdict(row), "state": row.state} for row in self.rows]
        return {**asdict(self), "rows": rows, "band": BAND, "significance": SIGNIFICANCE}


def check_statistics(
    model: Surrogate, results: Results, point: int | None = None
) -> StatisticsReport:
    """Compare a surrogate's population with the chips of a results file.

    Chips that the fit saw are left out.

    Raises
    ------
    UsageError : the surrogate is of a kind without transition levels or knows no population, or
        the results do not fit it, or hold fewer than five chips that the fit did not see.
    """
    if not isinstance(model, AdcSurrogate | RampAdcSurrogate):
        raise UsageError(
            f"statistics of a surrogate of kind {model.kind} are unknown; allowed: adc, ramp_adc"
        )
    if not model.has_population:
        raise UsageError("the model was fitted to one chip, so it knows no variation")
    measured = measured_point(results, point)
    if measured.recipe.bench.surrogate != model.kind:
        raise UsageError(f"{results.path} holds no converter")
    if isinstance(model, RampAdcSurrogate):
        return _check_ramp(model, measured)
    if forced_levels(measured).shape[1] != model.levels_v().size:
        raise UsageError(f"{results.path} has not the {model.bits} bits of the model")
    hidden = _enough(unseen(model, measured), measured)
    levels = measured.arrays["transition_level"][hidden]
    if model.level_law is not None:
        return compare(model, levels, None, measured.reference)
    weights = fit_weights(forced_levels(measured)[hidden], model.bits)
    return compare(model, levels, weights, measured.reference)


def _check_ramp(model: RampAdcSurrogate, measured: Measured) -> StatisticsReport:
    # Not above: that file reports with what stands in this one.
    from imccircuit.surrogates.ramp_statistics import compare_ramps, unseen_ramps

    levels = measured.arrays["column_level"]
    if levels.shape[1:] != (model.columns, 2**model.bits - 1):
        raise UsageError(f"{measured.results.path} has not the columns and bits of the model")
    hidden = _enough(unseen_ramps(model, measured), measured)
    return compare_ramps(model, levels[hidden], measured.reference)


def _enough(hidden: NDArray[np.bool_] | None, measured: Measured) -> NDArray[np.bool_]:
    """Fresh chips (chip,), if there are enough."""
    chips = 0 if hidden is None else int(np.count_nonzero(hidden))
    if hidden is None or chips < FEWEST:
        raise UsageError(
            f"{measured.results.path}: {chips or 'none'} of {measured.chips} chips fresh, the fit "
            f"saw the others; allowed: results of another seed, {FEWEST} fresh chips on"
        )
    return hidden


def compare(
    model: AdcSurrogate, levels_v: Floats, weights_v: Floats | None, reference: str = ""
) -> StatisticsReport:
    """Compare a population with fresh chips.

    Parameters
    ----------
    levels_v : (chip, code) transition levels in V.
    weights_v : (chip, bits + 1) bit weights, lowest first, and offset in V of the same chips;
        None of converters that have none.
    reference : who measured them.
    """
    drawn = model.sample_chips(DRAWN, DRAWN_SEED)["transition_level"]
    rows, problems = sigma_rows(drawn, levels_v)
    numbers = "offset and gain" if weights_v is None else "weights and offset"
    test = _test(model, levels_v @ _lines(model).T if weights_v is None else weights_v)
    if test is not None and test.p_value < SIGNIFICANCE:
        problems.append(f"the test of {numbers} rejects: p = {test.p_value:.3g}")
    state, reason = judge_population(rows, problems)
    return StatisticsReport(state, reason, rows, test, len(levels_v), reference)


def sigma_rows(
    drawn: Floats, levels_v: Floats, least_lsb: float = _NO_SPREAD_LSB
) -> tuple[tuple[SigmaRow, ...], list[str]]:
    """Ratios of σ of INL and of DNL, and what in them disagrees.

    Parameters
    ----------
    drawn, levels_v : (chip, code) transition levels in V of drawn and of fresh chips.
    least_lsb : σ in LSB up to which a figure does not vary; one of twice that certainly does.
    """
    of_model = compute_inl_dnl(drawn)
    of_fresh = compute_inl_dnl(levels_v)
    rows = []
    problems = []
    for name, ours, theirs in (
        ("INL", of_model.inl_lsb, of_fresh.inl_lsb),
        ("DNL", of_model.dnl_lsb, of_fresh.dnl_lsb),
    ):
        sigma, fresh_sigma = ours.std(axis=0, ddof=1), theirs.std(axis=0, ddof=1)
        if np.any((sigma <= least_lsb) & (fresh_sigma > 2 * least_lsb)):
            problems.append(f"{name} of the surrogate does not vary where that of chips does")
        varies = (sigma > least_lsb) & (fresh_sigma > 0)
        if varies.any():
            found = compute_sigma_ratios(theirs[:, varies], sigma[varies])
            rows.append(_row(name, found, sigma[varies], np.flatnonzero(varies) + 1))
    problems += [str(row) for row in rows if row.state == "disagrees"]
    return tuple(rows), problems


def judge_population(rows: tuple[SigmaRow, ...], problems: list[str]) -> tuple[State, str]:
    """State and reason of ratios of σ, and of all that disagrees; see the module."""
    if problems:
        return "disagrees", problems[0]
    if not rows:
        return "open", "neither INL nor DNL varies"
    if all(row.state == "agrees" for row in rows):
        return "agrees", f"σ of INL and DNL within ±{BAND:.0%}, and the test does not reject"
    return "open", "too few chips to tell, or a few codes at the edge of the band"


def _row(name: str, found: SigmaRatios, sigma: Floats, codes: NDArray[np.int64]) -> SigmaRow:
    worst = int(np.argmax(np.abs(np.log(found.ratio))))
    low, high = 1 - BAND, 1 + BAND
    return SigmaRow(
        name=name,
        ratio=found.pooled,
        low=found.pooled_low,
        high=found.pooled_high,
        sigma_lsb=float(np.sqrt(np.mean(sigma**2))),
        worst_code=int(codes[worst]),
        worst_ratio=float(found.ratio[worst]),
        worst_low=float(found.low[worst]),
        worst_high=float(found.high[worst]),
        inside=int(np.count_nonzero((found.ratio >= low) & (found.ratio <= high))),
        outside=int(np.count_nonzero((found.low > high) | (found.high < low))),
        codes=len(codes),
    )


def _lines(model: AdcSurrogate) -> Floats:
    """Vectors (2, code) that take offset and gain from levels."""
    return line_basis(2**model.bits - 1)


def _test(model: AdcSurrogate, weights: Floats) -> PopulationTest | None:
    """Test the parameters that vary; None if these are none or chips are too few for them."""
    if model.level_law is None:
        mean, covariance = model.array("population_mean"), model.array("population_covariance")
    else:
        lines = _lines(model)
        mean, covariance = lines @ model.level_law.mean_v, lines @ model.level_law.times(lines).T
    varies = np.sqrt(np.diag(covariance)) > _NO_SPREAD_LSB * model.lsb_v
    fitted = int(model.value("fitted_chips"))
    if not varies.any() or min(len(weights), fitted) <= np.count_nonzero(varies) + 1:
        return None
    part = np.ix_(varies, varies)
    return compute_population_test(weights[:, varies], mean[varies], covariance[part], fitted)
