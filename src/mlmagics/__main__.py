"""``python -m mlmagics``: the command ``mlmagics``."""

import sys

from mlmagics.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
