"""The command ``imccircuit``: one line and an exit code for every failure.

Nothing heavy is imported before a Ctrl-C is taken care of: loading the verbs takes a second.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from imccircuit.errors import ExitCode, ImcError

_STORAGE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG)


def run_command(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; failures are one line on stderr."""
    import typer
    from typer.exceptions import TyperException

    from imccircuit.cli.output import complain
    from imccircuit.cli.verbs import app

    try:
        code = app(args=list(arguments) if arguments is not None else None, standalone_mode=False)
    except TyperException as error:
        text = " ".join(error.format_message().split())
        if text:
            complain(text)
        # Called without arguments: the help was shown, and nothing was done.
        return ExitCode.USAGE
    except typer.Abort:
        return ExitCode.INTERRUPTED
    except ImcError as error:
        complain(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        complain("interrupted; what was finished is kept")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): nothing to tell anybody.
        sys.stderr.close()
        return ExitCode.GOOD
    except OSError as error:
        complain(f"{error.filename or 'a file'}: {error.strerror or error}")
        return ExitCode.ENVIRONMENT if error.errno in _STORAGE_ERRORS else ExitCode.USAGE
    return code if isinstance(code, int) else ExitCode.GOOD


def _leave(_number: int, _frame: FrameType | None) -> None:
    """End at once: raised inside an import, an exception may be lost or turned into another."""
    os.write(2, b"imccircuit: interrupted; nothing was begun\n")
    os._exit(ExitCode.INTERRUPTED)


def main() -> None:
    """Entry point of the script."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)
    import imccircuit.cli.verbs  # noqa: F401 - loaded now, while nothing has begun

    signal.signal(signal.SIGINT, before)
    sys.exit(run_command())
