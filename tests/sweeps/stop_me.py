"""The command, running simulations of minutes side by side, to be stopped: OUTPUT JOBS."""

import sys

from imccircuit.cli.main import run_command
from imccircuit.sweeps import dispatch


def main():
    output, jobs = sys.argv[1:]
    dispatch._TRIAL_S = 0.2
    setting = ["--set", "circuit.bits=14", "--samples", jobs]
    sys.exit(run_command(["run", "adc_sar8", "-o", output, "-j", jobs, *setting]))


if __name__ == "__main__":
    main()
