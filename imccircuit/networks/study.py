"""Studies: a .toml file that chains recipes, fits, exports and a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field

from imccircuit.benches.bench import Section
from imccircuit.errors import InputError
from imccircuit.networks.network_tables import NetworkStudyTables
from imccircuit.networks.study_data import resolve_data
from imccircuit.networks.training_checks import check_training
from imccircuit.networks.training_tables import TrainingStudyTables
from imccircuit.recipes.load import find_recipe, read_toml
from imccircuit.recipes.paths import FilePolicy
from imccircuit.recipes.settings import apply_settings, parse_setting
from imccircuit.sweeps.state import Mode
from imccircuit.units import SI
from imccircuit.validation import validate

Progress = Callable[[str], None]
Table = tuple[str, Sequence[str], list[Sequence[object]]]

_RECIPES = (("array", "recipe"), ("converter", "recipe"), ("converter", "cost"),
            ("front_end", "recipe"), ("cells", "device_card"))  # fmt: skip


class NetworkTable(Section):
    """What is classified."""

    dataset: Literal["digits"]
    test_images: int = Field(360, ge=200, le=1000, description="the others train")
    seed: int = Field(1, ge=0, le=2**32 - 1)


class ArrayTable(Section):
    """The recipe of the array and how images become voltages."""

    recipe: str
    read_voltage: Annotated[float, SI("V"), Field(gt=0)]
    range_used: float = Field(0.95, gt=0, le=1, description="share of the converter's range")


class ConverterTable(Section):
    """The recipe of the converter."""

    recipe: str
    loop_images: int = Field(60, ge=1, description="images converted in closed loop as well")


class StudyTables(Section):
    """All tables of a study."""

    kind: Literal["study"]
    title: str = Field("", max_length=200, pattern=r"^[^\x00-\x1f`]*$")
    takes: str = Field("", max_length=80, pattern=r"^[^\x00-\x1f`]*$")
    network: NetworkTable
    array: ArrayTable
    converter: ConverterTable


@dataclass(frozen=True)
class Study:
    """A study that was read and checked.

    Attributes
    ----------
    name : stem of its file.
    file : what messages call it.
    tables : its tables.
    """

    name: str
    file: str
    tables: StudyTables


@dataclass(frozen=True)
class NetworkStudy:
    """A study of networks on tiles that was read and checked; attributes as of `Study`."""

    name: str
    file: str
    tables: NetworkStudyTables


@dataclass(frozen=True)
class TrainingStudy:
    """A study of training that was read and checked; attributes as of `Study`."""

    name: str
    file: str
    tables: TrainingStudyTables


AnyStudy = Study | NetworkStudy | TrainingStudy


class Outcome(Protocol):
    """What a study found."""

    below_gate: bool

    def tables(self) -> list[Table]:
        """Tables for a terminal: title, columns, rows."""
        ...

    def notes(self) -> list[str]:
        """Lines below the tables."""
        ...

    def as_dict(self) -> dict[str, Any]:
        """Everything for JSON."""
        ...


def load_study(name: str, settings: Sequence[str] = ()) -> AnyStudy:
    """Read a study by path or shipped name.

    Raises
    ------
    InputError, UsageError : one line that says what is wrong.
    """
    path = find_recipe(name)
    _, raw = read_toml(path, name)
    if raw.get("kind") != "study":
        raise InputError(name, "kind", raw.get("kind"), "not a study", 'kind = "study"')
    policy = FilePolicy.of_recipe(path, ())
    _resolve_recipes(name, raw, policy)
    if isinstance(raw.get("network"), dict):
        resolve_data(name, raw["network"], policy)
    apply_settings(raw, [parse_setting(item) for item in settings])
    if "training" in raw:
        tables = validate(TrainingStudyTables, raw, file=name)
        check_training(tables, name)
        return TrainingStudy(path.stem, name, tables)
    # A study of networks on tiles is known by its table of the mapping.
    if "mapping" in raw:
        return NetworkStudy(path.stem, name, validate(NetworkStudyTables, raw, file=name))
    return Study(path.stem, name, validate(StudyTables, raw, file=name))


def _resolve_recipes(file: str, raw: dict[str, Any], policy: FilePolicy) -> None:
    """Make paths of recipes and cards absolute; like a recipe, a study may not name any file."""
    for section, key in _RECIPES:
        table = raw.get(section)
        name = table.get(key) if isinstance(table, dict) else None
        if isinstance(table, dict) and isinstance(name, str) and name.endswith(".toml"):
            try:
                table[key] = str(policy.resolve(name))
            except ValueError as error:
                problem, _, allowed = str(error).partition("; allowed: ")
                raise InputError(file, f"{section}.{key}", name, problem, allowed) from None


def run_study(
    study: AnyStudy, folder: Path, *, jobs: int, progress: Progress, mode: Mode = "new"
) -> Any:
    """Run a study and write everything it makes into ``folder``.

    Parameters
    ----------
    mode : ``resume`` takes what an interrupted run finished, ``fresh`` forgets it, ``new`` refuses
        if there is any; a study of one classifier keeps what SPICE answered, in the cache, and
        nothing else.

    Raises
    ------
    UsageError : unfinished work is in the way, or to be resumed and another study's.
    """
    if isinstance(study, TrainingStudy):
        from imccircuit.networks.training_study import run_training

        return run_training(study, folder, jobs=jobs, progress=progress, mode=mode)
    if isinstance(study, NetworkStudy):
        from imccircuit.networks.accuracy_study import run_networks

        return run_networks(study, folder, jobs=jobs, progress=progress, mode=mode)
    from imccircuit.networks.digits_study import run_digits

    return run_digits(study, folder, jobs=jobs, progress=progress)
