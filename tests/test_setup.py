"""scripts/setup.sh decides rightly what to install, without installing anything.

It runs in a copy of the repository's set-up files, on a PATH that holds the everyday tools and
fakes of ngspice, apt-get, sudo, id and pip; each fake notes how it was called. The system's /etc
and /usr are an empty folder's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOOLS = "awk bash cat dirname env grep head mkdir mktemp mv printf rm sed tee timeout"

DEBIAN_12 = 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nPRETTY_NAME="Debian 12"\n'
DEBIAN_13 = 'ID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\nPRETTY_NAME="Debian 13"\n'
UBUNTU_24 = 'ID=ubuntu\nVERSION_ID="24.04"\nVERSION_CODENAME=noble\nPRETTY_NAME="Ubuntu 24.04"\n'
DEBIAN_11 = 'ID=debian\nVERSION_ID="11"\nVERSION_CODENAME=bullseye\nPRETTY_NAME="Debian 11"\n'
FEDORA = 'ID=fedora\nVERSION_ID=43\nPRETTY_NAME="Fedora Linux 43"\n'

KLU = "Using KLU as Direct Linear Solver"

# Stands for an environment whose packages are a matter of what pip was told.
FAKE_PYTHON = """#!{bash}
all="$*"
case "$all" in
    "-m venv --clear .venv")
        mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;
    *" install "*) echo "pip $PIP_CONSTRAINT ${{all##* install }}" >>"{log}" ;;
    "-m pip --version" | "-m ensurepip") ;;
    -c*) exec "{python}" -c 'import sys' ;;
    *) exec "{python}" "$@" ;;
esac
"""

FAKE_APT = """#!{bash}
echo "apt-get $*" >>"{log}"
case "$*" in
    indextargets*)
        echo "file:/mirror {codename}"
        echo "file:/security {codename}-security"
        if grep -qs backports "{system}"/etc/apt/sources.list.d/*; then
            echo "file:/mirror {codename}-backports"
        fi ;;
    *ngspice) cp "{system}/new-ngspice" "{system}/usr/bin/ngspice" ;;
esac
"""


def fake_ngspice(version: str, klu: str = "stdout") -> str:
    """Text of a program that answers the set-up's deck as that version does."""
    lines = {
        "stdout": f"echo '{KLU}'",
        "stderr": f"echo '{KLU}' >&2",  # 42 and 43
        "none": ":",
    }
    return (
        f"#!{shutil.which('bash')}\n[ \"$1 $2\" = '-b -n' ] || exit 1\n[ -e deck.cir ] || exit 1\n"
        f"{lines[klu]}\necho 'v(out) = 5.000000e-01'\necho '** ngspice-{version}'\n"
    )


class Machine:
    """A pretended machine: its folders, and what was called on it."""

    def __init__(self, folder: Path, release: str, *, root: bool = True) -> None:
        self.bin, self.system = folder / "bin", folder / "system"
        self.repo, self.log = folder / "repo with space", folder / "log"
        for made in (self.bin, self.repo / "scripts", self.system / "usr/bin"):
            made.mkdir(parents=True)
        (self.system / "etc/apt/sources.list.d").mkdir(parents=True)
        (self.system / "etc/os-release").write_text(release)
        for name in ("scripts/setup.sh", "pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, self.repo / name)
        for tool in [*TOOLS.split(), "cp"]:
            if (found := shutil.which(tool)) is not None:
                (self.bin / tool).symlink_to(found)
        bash = shutil.which("bash")
        codename = release.partition("VERSION_CODENAME=")[2].partition("\n")[0]
        names = {"bash": bash, "log": self.log, "system": self.system, "codename": codename}
        self.add("python3", FAKE_PYTHON.format(**names, python=sys.executable))
        self.add("apt-get", FAKE_APT.format(**names))
        self.add("id", f"#!{bash}\necho {0 if root else 1000}\n")
        self.new_ngspice(fake_ngspice("46"))

    def add(self, name: str, text: str, folder: Path | None = None) -> Path:
        file = (folder or self.bin) / name
        file.write_text(text)
        file.chmod(0o755)
        return file

    def new_ngspice(self, text: str) -> None:
        """What the package would bring."""
        self.add("new-ngspice", text, self.system)

    def setup(self, what: str = "demo", **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.bin / "bash"), str(self.repo / "scripts/setup.sh"), what],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            stdin=subprocess.DEVNULL,
            env={
                "PATH": str(self.bin),
                "HOME": str(self.repo),
                "TMPDIR": str(self.repo.parent),
                "IMCCIRCUIT_SETUP_SYSROOT": str(self.system),
                **env,
            },
        )

    def calls(self, name: str) -> list[str]:
        """The calls of one fake so far, without apt-get's mere questions."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line for line in lines if line.startswith(name) and "indextargets" not in line]

    def environment(self) -> str:
        return (self.repo / ".venv/.setup/env").read_text().strip()


@pytest.mark.parametrize(
    ("version", "klu"), [("46", "stdout"), ("44.2", "stdout"), ("42", "stderr")]
)
@pytest.mark.parametrize("release", [DEBIAN_12, FEDORA])
def test_own_ngspice_is_used_on_any_system(
    tmp_path: Path, release: str, version: str, klu: str
) -> None:
    machine = Machine(tmp_path, release)
    machine.add("ngspice", fake_ngspice(version, klu))
    done = machine.setup()
    assert done.returncode == 0, done.stderr
    assert machine.calls("apt-get") == []
    assert machine.environment() == ""


def test_debian_12_takes_it_from_backports_of_its_own_mirror(tmp_path: Path) -> None:
    machine = Machine(tmp_path, DEBIAN_12)
    done = machine.setup()
    assert done.returncode == 0, done.stderr
    source = machine.system / "etc/apt/sources.list.d/imccircuit-backports.list"
    assert source.read_text() == "deb file:/mirror bookworm-backports main\n"
    assert machine.calls("apt-get")[-1].endswith(
        "install --yes --no-install-recommends -t bookworm-backports ngspice"
    )


def test_configured_backports_are_left_alone(tmp_path: Path) -> None:
    machine = Machine(tmp_path, DEBIAN_12)
    own = machine.system / "etc/apt/sources.list.d/mine.list"
    own.write_text("deb file:/mirror bookworm-backports main\n")
    assert machine.setup().returncode == 0
    assert list(own.parent.iterdir()) == [own]


@pytest.mark.parametrize("release", [DEBIAN_13, UBUNTU_24, "ID=debian\nVERSION_CODENAME=sid\n"])
def test_later_systems_take_their_own_package(tmp_path: Path, release: str) -> None:
    machine = Machine(tmp_path, release)
    done = machine.setup()
    assert done.returncode == 0, done.stderr
    assert machine.calls("apt-get")[-1].endswith("--no-install-recommends ngspice")
    assert not list((machine.system / "etc/apt/sources.list.d").iterdir())


def test_old_ngspice_on_the_path_is_passed_over(tmp_path: Path) -> None:
    machine = Machine(tmp_path, DEBIAN_13)
    machine.add("ngspice", fake_ngspice("39", "none"))
    for calls in (2, 2):  # update and install; the second time nothing more
        done = machine.setup()
        assert done.returncode == 0, done.stderr
        assert "is version 39, older than 42" in done.stderr
        assert (
            machine.environment() == f"export IMCCIRCUIT_NGSPICE={machine.system}/usr/bin/ngspice"
        )
        assert len(machine.calls("apt-get")) == calls


def test_version_alone_does_not_make_ngspice_good(tmp_path: Path) -> None:
    machine = Machine(tmp_path, DEBIAN_13)
    machine.new_ngspice(fake_ngspice("46", "none"))
    done = machine.setup()
    assert done.returncode == 4
    assert done.stderr.splitlines()[-1].endswith("is built without the KLU solver")


def test_named_ngspice_must_be_good(tmp_path: Path) -> None:
    machine = Machine(tmp_path, DEBIAN_13)
    good = machine.add("spice-46", fake_ngspice("46"))
    old = machine.add("spice-39", fake_ngspice("39", "none"))
    assert machine.setup(IMCCIRCUIT_NGSPICE=str(good)).returncode == 0
    done = machine.setup(IMCCIRCUIT_NGSPICE=str(old))
    assert done.returncode == 4
    assert len(done.stderr.splitlines()) == 1
    assert machine.calls("apt-get") == []


@pytest.mark.parametrize("release", [FEDORA, DEBIAN_11])
def test_other_system_is_told_in_one_line(tmp_path: Path, release: str) -> None:
    done = Machine(tmp_path, release).setup()
    assert done.returncode == 4
    (line,) = done.stderr.splitlines()
    assert "install ngspice 42 or newer with KLU, and Python 3.11 or newer" in line


@pytest.mark.parametrize(
    ("release", "advice"),
    [
        (DEBIAN_12, "apt-get install -t bookworm-backports ngspice"),
        (DEBIAN_13, "apt-get install ngspice"),
    ],
)
def test_user_without_rights_is_told_in_one_line(tmp_path: Path, release: str, advice: str) -> None:
    machine = Machine(tmp_path, release, root=False)
    done = machine.setup()
    assert done.returncode == 4
    (line,) = done.stderr.splitlines()
    assert line.endswith(f"as root: {advice}")
    assert machine.calls("apt-get") == []


def test_sudo_is_used_where_it_asks_nothing(tmp_path: Path) -> None:
    machine = Machine(tmp_path, DEBIAN_13, root=False)
    machine.add("sudo", f'#!{shutil.which("bash")}\n[ "$1" = -n ] && shift\n"$@"\n')
    assert machine.setup().returncode == 0
    assert len(machine.calls("apt-get")) == 2


def test_second_call_installs_nothing_and_extras_add_up(tmp_path: Path) -> None:
    machine = Machine(tmp_path, FEDORA)
    machine.add("ngspice", fake_ngspice("46"))
    demo = ["pip constraints.txt --quiet --editable .[digits]"]
    test = [
        "pip constraints.txt --quiet --editable .[test]",
        "pip constraints.txt --quiet --no-deps badcrossbar",
        "pip constraints.txt --quiet --no-deps aihwkit",
    ]
    for what, calls in (("demo", demo), ("demo", demo), ("test", demo + test)):
        assert machine.setup(what).returncode == 0
        assert machine.calls("pip") == calls
    for what in ("demo", "test"):
        done = machine.setup(what)
        assert (done.returncode, done.stderr) == (0, "")
    assert machine.calls("pip") == demo + test
    # A changed pin brings what is asked for up to date.
    with (machine.repo / "constraints.txt").open("a") as file:
        file.write("# changed\n")
    assert machine.setup("demo").returncode == 0
    assert machine.calls("pip") == demo + test + demo


def test_moved_checkout_gets_a_new_environment(tmp_path: Path) -> None:
    machine = Machine(tmp_path, FEDORA)
    machine.add("ngspice", fake_ngspice("46"))
    assert machine.setup().returncode == 0
    machine.repo = machine.repo.rename(tmp_path / "elsewhere")
    assert machine.setup().returncode == 0
    assert (machine.repo / ".venv/.setup/root").read_text().strip() == str(machine.repo)


def test_environment_made_by_hand_is_kept(tmp_path: Path) -> None:
    machine = Machine(tmp_path, FEDORA)
    machine.add("ngspice", fake_ngspice("46"))
    (machine.repo / ".venv/bin").mkdir(parents=True)
    shutil.copy(machine.bin / "python3", machine.repo / ".venv/bin/python")
    kept = machine.repo / ".venv/mine"
    kept.touch()
    assert machine.setup().returncode == 0
    assert kept.exists()


def test_wrong_word_is_a_usage_error(tmp_path: Path) -> None:
    done = Machine(tmp_path, FEDORA).setup("dmeo")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.ngspice
def test_real_ngspice_passes(tmp_path: Path) -> None:
    machine = Machine(tmp_path, FEDORA)
    real = os.environ.get("IMCCIRCUIT_NGSPICE") or shutil.which("ngspice")
    assert real is not None, "make test installs ngspice"
    done = machine.setup(IMCCIRCUIT_NGSPICE=real)
    assert done.returncode == 0, done.stderr
