"""`python3 -m smtpkit`: the command line without installing anything."""

import sys

from smtpkit.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
