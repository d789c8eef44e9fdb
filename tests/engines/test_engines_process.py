"""How a simulator is started: by programs that become it, or by Python itself."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from imccircuit.engines import process
from imccircuit.engines.process import run

LONG_S = 60.0  # only guards against hangs
WAYS = ["guard", "python"]


@pytest.fixture(params=WAYS)
def way(request, monkeypatch):
    if request.param == "python":
        monkeypatch.setattr(process, "_guard", lambda: None)
    elif process._guard() is None:
        pytest.skip("this machine has no setpriv")
    return request.param


def started(folder, *command, memory_bytes=0, env=None):
    env = dict(os.environ) if env is None else env
    return run(list(command), folder, timeout_s=LONG_S, env=env, memory_bytes=memory_bytes)


def test_words_environment_folder_and_exit_code_arrive(way, tmp_path):
    words = ["a b", "$HOME", "`id`", "x\ny", "", "*"]
    code = "import os, sys; print(sys.argv[1:], os.environ['ONE'], os.getcwd()); sys.exit(7)"
    env = {"PATH": os.environ["PATH"], "ONE": "$(id)"}
    found = started(tmp_path, sys.executable, "-c", code, *words, env=env)
    assert (found.exit_code, found.timed_out) == (7, False)
    assert found.stdout == f"{words} $(id) {tmp_path}\n"
    assert found.stderr == ""


def test_a_signal_that_ends_it_is_told(way, tmp_path):
    code = "import os; os.kill(os.getpid(), 9)"
    assert started(tmp_path, sys.executable, "-c", code).exit_code == -signal.SIGKILL


@pytest.mark.parametrize("megabytes", [200, 0])
def test_memory_is_limited_where_it_is_asked(way, tmp_path, megabytes):
    code = "import resource; print(resource.getrlimit(resource.RLIMIT_AS)[0])"
    found = started(tmp_path, sys.executable, "-c", code, memory_bytes=megabytes * 1024**2)
    own = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == (f"{megabytes * 1024**2}\n" if megabytes else own.stdout)


def test_a_program_that_is_not_there_is_an_error_of_the_system(way, tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        started(tmp_path, str(tmp_path / "none"))
    assert caught.value.strerror == "No such file or directory"


def test_a_program_that_may_not_be_run_is_an_error_of_the_system(way, tmp_path):
    (tmp_path / "text").write_text("words")
    with pytest.raises(PermissionError) as caught:
        started(tmp_path, "./text")
    assert caught.value.strerror == "Permission denied"


def test_a_path_is_one_from_the_folder(way, tmp_path):
    (tmp_path / "own").write_text("#!/bin/sh\necho here\n")
    (tmp_path / "own").chmod(0o755)
    assert started(tmp_path, "./own").stdout == "here\n"


def test_it_dies_with_its_parent(way, tmp_path):
    """The parent is killed as it waits; its child writes its id and sleeps."""
    lines = [
        "import os, sys",
        "from pathlib import Path",
        "from imccircuit.engines import process",
        "if sys.argv[1] == 'python': process._guard = lambda: None",
        "script = 'echo $$ > pid.new; mv pid.new pid; exec sleep 600'",
        f"process.run(['sh', '-c', script], Path({str(tmp_path)!r}), timeout_s=900.0,"
        " env=dict(os.environ))",
    ]
    parent = subprocess.Popen([sys.executable, "-c", "\n".join(lines), way])
    deadline = time.monotonic() + LONG_S
    while not (tmp_path / "pid").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    child = int((tmp_path / "pid").read_text())
    parent.kill()
    parent.wait()
    while _runs(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _runs(child)


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_child_whose_parent_died_before_it_asked_does_not_begin(tmp_path):
    guard = process._guard()
    if guard is None:
        pytest.skip("this machine has no setpriv")
    other = [*guard, str(os.getppid()), "0", "touch", str(tmp_path / "begun")]
    assert subprocess.run(other, check=False).returncode == 1
    assert not (tmp_path / "begun").exists()


def test_a_limit_that_cannot_be_set_is_not_passed_over(tmp_path):
    guard = process._guard()
    if guard is None:
        pytest.skip("this machine has no setpriv")
    touch = [*guard, str(os.getpid()), "no number", "touch", str(tmp_path / "begun")]
    done = subprocess.run(touch, check=False, capture_output=True)
    assert done.returncode != 0
    assert not (tmp_path / "begun").exists()
