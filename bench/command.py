"""Command: how `python -m bench.NAME` says what is wrong, with fastnn's exit codes."""

import sys
from collections.abc import Callable, Sequence

from fastnn.cli import exit_code
from fastnn.errors import FastnnError


def run(main: Callable[[Sequence[str]], None]) -> None:
    """main(what the command line has), which may raise what files raise."""
    try:
        main(sys.argv[1:])
    except (FastnnError, OSError) as error:
        print(error, file=sys.stderr)
        sys.exit(exit_code(error))
