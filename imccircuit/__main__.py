"""``python -m imccircuit``: the same as the command ``imccircuit``."""

from imccircuit.cli.main import main

if __name__ == "__main__":
    main()
