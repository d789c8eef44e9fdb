"""Commands that may mount: in a mount namespace of their own, which ends with them."""

import functools
import subprocess

import pytest

_TRY = "d=$(mktemp -d) && mount -t tmpfs -o size=64k tmpfs $d && umount $d && rmdir $d"


@functools.cache
def _prefix():
    for command in (["unshare", "-m"], ["unshare", "-rm"]):
        try:
            tried = subprocess.run([*command, "sh", "-c", _TRY], capture_output=True, check=False)
        except OSError:
            return None
        if tried.returncode == 0:
            return command
    return None


def run_with_mounts(command, **options):
    """Run a command that may mount; skip the test where no user may."""
    prefix = _prefix()
    if prefix is None:
        pytest.skip("this machine lets nobody mount a tmpfs in a namespace (unshare -m, -rm)")
    return subprocess.run([*prefix, *command], text=True, capture_output=True, check=False,
                          timeout=300, **options)  # fmt: skip
