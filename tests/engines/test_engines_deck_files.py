"""Hashes of what a deck includes: by content, also where files include each other in a circle."""

import numpy as np
import pytest

from imccircuit import library
from imccircuit.engines.deck_files import DeckFiles

MODEL = ".model n nmos level=1\n"


def look(path):
    """The deck that includes a file, as it enters the key, and whether all it reads is known."""
    files = DeckFiles()
    text = files.portable(f'.include "{path}"\nr1 1 0 1\n')
    return text, files.all_known


def circle(folder, model=MODEL):
    """a includes b and itself, b includes c by a detour, c includes a."""
    folder.mkdir(exist_ok=True)
    (folder / "a.lib").write_text(".lib 'a.lib' x\n.include b.lib\n.lib x\n.endl\n")
    (folder / "b.lib").write_text(f".include ../{folder.name}/c.lib\n")
    (folder / "c.lib").write_text(f"{model}.include 'a.lib'\n")
    return folder / "a.lib"


def test_sections_of_libraries_stand_as_they_are(tmp_path):
    library_file = tmp_path / "models.lib"
    library_file.write_text(".lib tt\n.model n nmos level=1\n.endl\n.lib ff\n.endl\n")
    files = DeckFiles()
    text = files.portable(f'.lib "{library_file}" tt\nr1 1 0 1\n')
    assert files.all_known
    assert text.startswith(".lib models.lib ")
    assert text.splitlines()[0].endswith(" tt")
    assert np.unique([len(word) for word in text.split()]).max() == 64


@pytest.mark.parametrize("name", library.names("device_models", ".lib"))
def test_decks_with_a_shipped_library_are_known(name):
    """They are in circles: the corners of a library share a section of the same file."""
    path = library.find("device_models", name, ".lib")
    assert "'" + path.name in path.read_text()
    assert look(path)[1]


def test_a_circle_is_known_by_all_that_is_in_it(tmp_path):
    path = circle(tmp_path / "one")
    text, known = look(path)
    assert known
    assert look(path)[0] == text
    for name in ("a.lib", "b.lib", "c.lib"):
        file = path.parent / name
        before = file.read_text()
        file.write_text(before + "* edited\n")
        changed, known = look(path)
        assert known
        assert changed != text
        # From within the circle as well.
        assert look(path.parent / "b.lib")[0] != text
        file.write_text(before)
    assert look(path)[0] == text


def test_a_circle_elsewhere_is_the_same(tmp_path):
    (tmp_path / "x").mkdir()
    one, other = circle(tmp_path / "one"), circle(tmp_path / "x" / "one")
    assert look(one) == look(other)


def test_contents_that_change_places_are_another_deck(tmp_path):
    for side in ("p", "q"):
        (tmp_path / side).mkdir()
        (tmp_path / side / "m.lib").write_text(".include n.lib\n")
    (tmp_path / "top.lib").write_text(".include p/m.lib\n.include q/m.lib\n")
    inner = [tmp_path / side / "n.lib" for side in ("p", "q")]
    seen = []
    for contents in ((MODEL, "* none\n"), ("* none\n", MODEL)):
        for file, content in zip(inner, contents, strict=True):
            file.write_text(content)
        seen.append(look(tmp_path / "top.lib"))
    assert seen[0][0] != seen[1][0]
    assert all(known for _, known in seen)


def test_a_file_that_is_missing_in_the_circle_is_said(tmp_path):
    path = circle(tmp_path / "one")
    (tmp_path / "one" / "c.lib").unlink()
    assert not look(path)[1]


def test_a_change_while_a_deck_is_simulated_is_seen(tmp_path):
    path = circle(tmp_path / "one")
    files = DeckFiles()
    files.portable(f".include {path}\n")
    assert files.unchanged()
    (tmp_path / "one" / "c.lib").write_text("* otherwise\n")
    assert not files.unchanged()


def test_links_in_a_circle_are_said(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert not look(tmp_path / "loop" / "m.lib")[1]


def test_which_of_two_is_included_twice_counts(tmp_path):
    (tmp_path / "a.lib").write_text(MODEL)
    (tmp_path / "b.lib").write_text("* none\n")
    seen = set()
    for order in ("aab", "aba", "baa", "abb"):
        (tmp_path / "top.lib").write_text("".join(f".include {n}.lib\n" for n in order))
        seen.add(look(tmp_path / "top.lib")[0])
    assert len(seen) == 4
