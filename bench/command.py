"""Command: what the commands that read results have in common."""

import argparse
import sys
from collections.abc import Callable, Sequence

from fastnn.cli import exit_code
from fastnn.errors import FastnnError


def run(main: Callable[[Sequence[str]], None]) -> None:
    """main(words of the command line); what it raises is told, with fastnn's exit codes."""
    if hasattr(sys.stdout, "reconfigure"):  # ± may be beyond the terminal's encoding
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        main(sys.argv[1:])
    except (FastnnError, OSError, MemoryError) as error:
        print(str(error) or type(error).__name__, file=sys.stderr)
        sys.exit(exit_code(error))


def two_files(name: str, arguments: Sequence[str]) -> tuple[str, str]:
    """Those that `python -m bench.NAME A.json B.json` names."""
    parser = argparse.ArgumentParser(f"python -m bench.{name}")
    parser.add_argument("a", metavar="A.json")
    parser.add_argument("b", metavar="B.json")
    args = parser.parse_args(arguments)
    return args.a, args.b
