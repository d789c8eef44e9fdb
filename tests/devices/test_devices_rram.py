"""Measured spread: drawn statistics against the table, read here by other means than the code."""

import csv
import time

import numpy as np
import pytest
from numpy.testing import assert_allclose

from imccircuit import library
from imccircuit.devices.cards import load_card
from imccircuit.devices.measured import MeasuredSpread
from imccircuit.errors import InputError, UsageError

TABLE = library.path("data") / "rram_relax_stats.csv"
CARDS = {"techB_10k": "rram_techB", "techC": "rram_techC"}


def rows(technology):
    with TABLE.open() as stream:
        return [row for row in csv.DictReader(stream) if row["tech"] == technology]


@pytest.fixture(scope="module", params=CARDS)
def technology(request):
    return request.param


@pytest.fixture(scope="module")
def spread(technology):
    return load_card(CARDS[technology], "rram").measured


class Stratified:
    """Stands for a generator: equally spaced uniform numbers, whose moments have no noise."""

    @staticmethod
    def random(shape):
        return (np.arange(np.prod(shape)) + 0.5).reshape(shape) / np.prod(shape)


def check_against_table(technology, spread, make_rng, n, every=1):
    table = rows(technology)
    target = {row["range"]: float(row["mean_uS"]) * 1e-6 for row in table if row["t_s"] == "0.0"}
    assert len(table) == len(spread.time_s) * len(target)
    for number, row in list(enumerate(table))[::every]:
        nominal = np.full(n, target[row["range"]])
        drawn = spread.at(float(row["t_s"])).draw(make_rng(number), nominal)
        assert drawn.min() > 0
        # 3 % is the requirement. With 200 000 random draws the statistical error of the deviation
        # is √((κ − 1)/4n) < 0.6 %, as the kurtosis κ is held under 30: 3 % is five of them.
        assert_allclose(drawn.mean(), float(row["mean_uS"]) * 1e-6, rtol=0.03)
        assert_allclose(drawn.std(), float(row["sd_uS"]) * 1e-6, rtol=0.03)


def test_moments_at_every_level_and_time(technology, spread):
    check_against_table(technology, spread, lambda _: Stratified(), 10_000)


def test_random_draws_at_some_levels_and_times(technology, spread):
    # 13 is prime to both numbers of times: all times, and levels all over.
    check_against_table(
        technology, spread, lambda number: np.random.default_rng([1, number]), 200_000, every=13
    )


@pytest.mark.long
def test_random_draws_at_every_level_and_time(technology, spread):
    check_against_table(
        technology, spread, lambda number: np.random.default_rng([2, number]), 200_000
    )


def test_draws_between_levels_and_times(spread):
    target = (spread.target_s[3] + spread.target_s[4]) / 2
    for low in range(1, len(spread.time_s) - 1):
        middle = np.sqrt(spread.time_s[low] * spread.time_s[low + 1])
        drawn = spread.at(middle).draw(np.random.default_rng(low), np.full(200_000, target))
        # The mean of the four corners: half way in target and in log(time).
        mean = spread.stats_s["mean"][low : low + 2, 3:5].mean()
        sd = spread.stats_s["sd"][low : low + 2, 3:5].mean()
        assert_allclose(drawn.mean(), mean, rtol=0.03)
        assert_allclose(drawn.std(), sd, rtol=0.03)


def test_before_the_first_read_time_is_linear(spread):
    read = spread.at(spread.time_s[1] / 4)
    expected = 0.75 * spread.stats_s["sd"][0] + 0.25 * spread.stats_s["sd"][1]
    assert_allclose(read.sd_of(spread.target_s), expected, rtol=1e-12)


def test_every_shape_is_usable_between_its_nodes(spread):
    rng = np.random.default_rng(5)
    nominal = rng.uniform(spread.target_s[0], spread.target_s[-1], 20_000)
    times = np.concatenate([[0.0, 0.004, 0.006], np.geomspace(0.01, spread.time_s[-1], 30)])
    for read_time in times:
        drawn = spread.at(float(read_time)).draw(rng, nominal)
        assert np.all(np.isfinite(drawn))
        assert drawn.min() > 0


def test_chosen_laws_put_the_percentiles_where_the_data_have_them(spread):
    for index in range(1, len(spread.time_s)):
        shapes = spread.shapes[index]
        wanted = spread.percentiles(index)
        read = spread.at(spread.time_s[index])
        shares = []
        for level in range(0, len(shapes.names), 7):
            nominal = np.full(50_000, spread.target_s[level])
            drawn = read.draw(np.random.default_rng(level), nominal)
            below = [np.mean(drawn < wanted[level, side]) for side in (0, 2)]
            shares.append(np.hypot(below[0] - 0.16, below[1] - 0.84))
            # The stated misfit is what draws show: 5 standard errors of a share in 50 000.
            assert shares[-1] == pytest.approx(shapes.misfit[level], abs=5 * 0.0023)
        # 500 devices tell a share of 16 % to 1.6 %, two of them to 2.3 %.
        assert np.median(shapes.misfit) < 0.023


def test_percentiles_by_hand():
    spread = load_card("rram_techC", "rram").measured
    # techC, range 0, 1 s: mean 0.9879, sd 0.9280; change: mean 0.2502, sd 0.8654, median 0.0376,
    # p16 −0.1944, p84 0.6434. Added variance 0.9280² − 0.8654² = 0.112267, median of G
    # 0.9879 − 0.2502 + 0.0376 = 0.7753, sides √(0.2320² + v) = 0.407542, √(0.6058² + v) = 0.692286.
    expected = np.array([0.7753 - 0.407542, 0.7753, 0.7753 + 0.692286]) * 1e-6
    assert_allclose(spread.percentiles(3)[0], expected, rtol=1e-5)


def test_law_names_are_reported(spread):
    read = spread.at(1.0)
    names = set(read.law_of(spread.target_s))
    assert names <= {"truncated_normal", "lognormal", "gamma", "core_tail"}
    assert "core_tail" in names
    assert set(spread.at(0.0).law_of(spread.target_s)) == {"truncated_normal"}


def test_a_cell_draws_the_same_whatever_its_neighbours(spread):
    nominal = np.linspace(spread.target_s[0], spread.target_s[-1], 50)
    one = spread.at(1.0).draw(np.random.default_rng(1), nominal)
    other = spread.at(1.0).draw(np.random.default_rng(1), np.r_[nominal[0], nominal[1:][::-1]])
    assert one[0] == other[0]


def test_an_array_takes_50_ms(spread):
    nominal = np.linspace(spread.target_s[0], spread.target_s[-1], 128 * 128).reshape(128, 128)
    read = spread.at(3.0)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        assert read.draw(np.random.default_rng(1), nominal).shape == (128, 128)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.05


@pytest.mark.parametrize("read_time", [-1.0, 2e5, float("nan")])
def test_no_extrapolation_in_time(spread, read_time):
    with pytest.raises(UsageError, match=r"outside the measured range .* allowed: 0 s to") as error:
        spread.at(read_time)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("target", [0.1e-6, 200e-6, float("nan")])
def test_no_extrapolation_in_target(spread, target):
    with pytest.raises(UsageError, match="outside the measured levels"):
        spread.at(1.0).draw(np.random.default_rng(0), np.array([spread.target_s[3], target]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("sd_uS", "sigma", 1), "no column 'sd_uS'"),
        (lambda text: text.replace("0.7377,0.3122", "0.7377,x", 1), "not a finite number"),
        (lambda text: text.replace("0.7377,0.3122", "0.7377,-0.3", 1), "not above 0"),
        (lambda text: text.replace("techC,0,0.01", "techC,0,0.02", 1), "not one row for each"),
        (lambda text: text.replace("techC,0,0.01,429", "techC,0,0.01", 1), "not a finite number"),
        (lambda text: text.replace("techC", "techX"), "no such technology; allowed: techB_10k"),
    ],
)
def test_bad_tables_are_refused(tmp_path, change, message):
    path = tmp_path / "table.csv"
    path.write_text(change(TABLE.read_text()))
    with pytest.raises(InputError, match=message):
        MeasuredSpread.read(path, "techC")


def test_missing_table_is_refused(tmp_path):
    with pytest.raises(InputError, match="unreadable"):
        MeasuredSpread.read(tmp_path / "none.csv", "techC")


HOT = 'temperature_coefficient = { value = "0.1 %/K", source = "x" }\n'


def test_conductance_over_temperature_is_linear_where_the_card_says_so(tmp_path):
    text = (library.path("device_models") / "rram_10k.toml").read_text()
    (tmp_path / "hot.toml").write_text(text.replace("[conduction]", HOT + "\n[conduction]"))
    card = load_card(str(tmp_path / "hot.toml"), "rram")
    assert card.temperature_factor(27.0) == 1.0
    assert card.temperature_factor(127.0) == pytest.approx(1.1, rel=1e-12, abs=0)
    assert load_card("rram_10k", "rram").temperature_factor(127.0) == 1.0
    for bad in ('"0.1"', '"2 %/K"', '"1 mV"'):
        faulty = HOT.replace('"0.1 %/K"', bad)
        (tmp_path / "bad.toml").write_text(text.replace("[conduction]", faulty + "\n[conduction]"))
        with pytest.raises(InputError, match=r"temperature_coefficient") as caught:
            load_card(str(tmp_path / "bad.toml"), "rram")
        assert "\n" not in str(caught.value)
