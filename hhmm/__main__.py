"""Run the demo (``python -m hhmm``) or a command on files (``python -m hhmm fit``, see --help)."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo or a command; return the exit code of the process."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if not arguments or arguments[0] == "--out" or arguments[0].startswith("--out="):
        from hhmm import _demo

        return _demo.main(arguments)
    from hhmm import _command_line

    return _command_line.main(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
