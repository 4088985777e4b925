"""The command line: ``python -m hhmm``, see ``python -m hhmm --help``."""

from hhmm._command_line.commands import main

if __name__ == "__main__":
    raise SystemExit(main())
