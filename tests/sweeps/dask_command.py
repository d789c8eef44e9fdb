"""The command ``imccircuit``, to which the bench of these tests is known."""

import sweep_bench

from imccircuit.benches import registry
from imccircuit.cli.main import main

registry._BENCHES.modules["fake"] = sweep_bench.__name__

if __name__ == "__main__":
    main()
