"""Reading device cards: by shipped name, from a user's library folder, or by path."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, overload

from imccircuit import library as shipped
from imccircuit.devices.capacitor import CapacitorCard
from imccircuit.devices.mos import MosCard
from imccircuit.devices.rram import RramCard
from imccircuit.devices.text_file import parse_toml, read_text
from imccircuit.devices.wire import WireCard
from imccircuit.errors import InputError, UsageError
from imccircuit.validation import MISSING, validate

Kind = Literal["rram", "mos", "capacitor", "wire"]
AnyCard = RramCard | MosCard | CapacitorCard | WireCard

_LARGEST_CARD = 1024 * 1024

CARDS: dict[str, type[AnyCard]] = {
    "rram": RramCard,
    "mos": MosCard,
    "capacitor": CapacitorCard,
    "wire": WireCard,
}


@overload
def load_card(
    name_or_path: str | Path, kind: Literal["rram"], library: Path | None = None, *,
    folder: Path | None = None,
) -> RramCard: ...  # fmt: skip
@overload
def load_card(
    name_or_path: str | Path, kind: Literal["mos"], library: Path | None = None, *,
    folder: Path | None = None,
) -> MosCard: ...  # fmt: skip
@overload
def load_card(
    name_or_path: str | Path, kind: Literal["capacitor"], library: Path | None = None, *,
    folder: Path | None = None,
) -> CapacitorCard: ...  # fmt: skip
@overload
def load_card(
    name_or_path: str | Path, kind: Literal["wire"], library: Path | None = None, *,
    folder: Path | None = None,
) -> WireCard: ...  # fmt: skip
def load_card(
    name_or_path: str | Path, kind: Kind, library: Path | None = None, *,
    folder: Path | None = None,
) -> AnyCard:  # fmt: skip
    """Read one card and check it against the files it names.

    Parameters
    ----------
    name_or_path : a name (``"rram_techC"``), looked up in ``library`` and then among the shipped
        cards; or a path to a TOML file (anything with a slash or ending in ``.toml``).
    kind : what the card must be.
    library : a user's folder of cards.
    folder : where a relative path starts; the current folder by default.

    Raises
    ------
    UsageError : no such card.
    InputError : the card is not well-formed; file, key, value and what is allowed.
    """
    name = str(name_or_path)
    path = _find(name, library, folder)
    data = _read_toml(path, name)
    found = data.get("kind", MISSING)
    if found != kind:
        problem = "a required key" if found is MISSING else "a card of another kind"
        raise InputError(name, "kind", found, problem, repr(kind))
    card = validate(CARDS[kind], data, file=name)
    card._file = path
    try:
        card.check(name)
    except InputError:
        raise
    except UsageError as error:
        raise InputError(name, "", None, str(error)) from None
    return card


def list_cards(library: Path | None = None) -> dict[str, str]:
    """Card name → kind, of the shipped cards and those of a user's folder, which come first."""
    paths = {name: shipped.find("device_models", name, ".toml")
             for name in shipped.names("device_models", ".toml")}  # fmt: skip
    if library is not None:
        paths = {file.stem: file for file in sorted(library.glob("*.toml"))} | {
            name: path for name, path in paths.items() if not (library / path.name).is_file()
        }
    return {name: str(_read_toml(path, name).get("kind", "")) for name, path in paths.items()}


def _find(name: str, library: Path | None, folder: Path | None) -> Path:
    if "/" in name or name.endswith(".toml"):
        path = ((folder or Path()) / Path(name).expanduser()).resolve()
        if not path.is_file():
            raise UsageError(f"no card at {name}; a card is a TOML file or a shipped card's name")
        return path
    if library is not None and (path := library / f"{name}.toml").is_file():
        return path.resolve()
    return shipped.find("device_models", name, ".toml")


def _read_toml(path: Path, name: str) -> dict[str, Any]:
    try:
        return parse_toml(read_text(path, _LARGEST_CARD))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(name, "", None, f"unreadable: {error}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(name, "", None, f"not TOML: {str(error)[:200]}") from None
