"""Which of many cases are quick tests."""

import pytest


def slow_unless(quick, cases):
    """Cases for `pytest.mark.parametrize`, of which those that are not quick are marked slow."""
    quick, cases = list(quick), list(cases)
    unknown = [case for case in quick if case not in cases]
    if unknown:
        raise ValueError(f"quick cases {unknown} are not among the cases")
    return [case if case in quick else pytest.param(case, marks=pytest.mark.slow) for case in cases]
