"""Which of many cases are quick tests; the others are marked slow."""

import pytest


def slow_unless(quick, cases):
    """Cases of one value each, for `pytest.mark.parametrize` and for fixtures."""
    return [case if is_quick else _slow(case) for case, is_quick in _judged(quick, cases)]


def slow_unless_rows(quick, rows):
    """Cases of several values each, for `pytest.mark.parametrize`."""
    return [row if is_quick else _slow(*row) for row, is_quick in _judged(quick, rows)]


def _judged(quick, cases):
    quick, cases = list(quick), list(cases)
    unknown = [case for case in quick if case not in cases]
    if unknown:
        raise ValueError(f"quick cases {unknown} are not among the cases")
    return [(case, case in quick) for case in cases]


def _slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)
