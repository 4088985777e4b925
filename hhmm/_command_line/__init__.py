"""``python -m hhmm``: the demo, and fit, predict and report on files."""
