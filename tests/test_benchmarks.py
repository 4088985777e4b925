"""What the benchmarks make of what they measured: exponents, verdicts, floors, tables."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import _data_worker, figures, floor, kernels, results, scaling, studies, workloads
from benchmarks.__main__ import TITLES, parse_arguments
from benchmarks.figures import Figure
from benchmarks.scaling_plot import draw_scaling
from benchmarks.workloads import Target


def test_exponent_is_that_of_the_upper_half_of_the_range():
    """Below the geometric middle the cost is constant, above it is 3 n^1.5."""
    sizes = (1, 10, 100, 1000, 10_000)
    fit = scaling.fit_power_law(sizes, [3000, 3000, *(3 * n**1.5 for n in sizes[2:])])
    np.testing.assert_allclose(fit, (1.5, 3.0, 100, 10_000))


def test_exponent_of_two_sizes():
    fit = scaling.fit_power_law((20, 100), (7.0, 7.0 * 25))
    np.testing.assert_allclose(fit, (2.0, 7.0 / 400, 20, 100))


@pytest.mark.parametrize(
    ("target", "theirs", "met"),
    [
        (None, [8.0], None),
        (Target(1 / 4, of_ratio=True), [8.0], True),
        (Target(1 / 5, of_ratio=True), [8.0], False),
        (Target(1 / 4, of_ratio=True), [], None),
        (Target(2e-9, of_ratio=False), [], True),
        (Target(1e-9, of_ratio=False), [8.0], False),
    ],
)
def test_verdict_compares_the_median_with_the_target(target, theirs, met):
    figure = Figure("small", "one sweep", "bytes", [2.0, 100.0, 1.0], "other", theirs, target)
    judged = figures.judge(figure)
    assert judged["met"] is met
    assert judged["ratio"] == (0.25 if theirs else None)


def test_table_names_the_peer_and_the_verdict():
    table = figures.table(
        [
            Figure("a", "x", "s", [0.001], "dynamax", [0.01], Target(1 / 4, of_ratio=True)),
            Figure("a", "y", "s", [1.0], "state-moseq", [3000.0], Target(1e-4, of_ratio=True)),
            Figure("b", "z", "bytes", [3e9]),
        ]
    )
    rows = table.splitlines()[2:]
    assert [row.split() for row in rows] == [
        ["a:", "x", "1.0", "ms", "10.0", "ms", "dynamax", "1/10.0", "<=", "1/4", "met"],
        [
            "a:",
            "y",
            "1.00",
            "s",
            "3000.00",
            "s",
            "state-moseq",
            "1/3,000",
            "<=",
            "1/10000",
            "MISSED",
        ],
        [],
        ["b:", "z", "3.00", "GB", "-", "-"],
    ]
    assert max(map(len, rows)) <= 100


@pytest.mark.parametrize("name", ["log_likelihoods", "smoothed", "states"])
def test_libraries_that_disagree_are_not_timed(name):
    rng = np.random.default_rng(0)
    ours = {
        "log_likelihoods": -rng.random(3) - 1,
        "smoothed": rng.random((3, 50, 2)),
        "states": rng.integers(2, size=(3, 50)),
    }
    kernels.check_agreement(ours, ours, "other")
    theirs = {key: value.copy() for key, value in ours.items()}
    theirs[name][0] += 0.01 if name != "states" else 1
    with pytest.raises(kernels.DisagreementError, match="other"):
        kernels.check_agreement(ours, theirs, "other")


def test_held_arrays_are_cut_and_change_together():
    values = np.arange(30).reshape(2, 15)
    rng = np.random.default_rng(0)
    first, second = _data_worker.hold(rng, (values, values % 7), 200, 10)
    np.testing.assert_array_equal(first % 7, second)
    for row, given in zip(first, values, strict=True):
        assert row.shape == (200,)
        np.testing.assert_array_equal(np.unique(row), given[: len(np.unique(row))])
    # one that falls short ends with its last entry
    (short,) = _data_worker.hold(rng, (values[:1, :2],), 1000, 2)
    assert short[0, -1] == 1


def test_runs_are_held_as_long_as_asked():
    """The mean of 4,000 lengths, within five standard errors: false alarms below 1e-6."""
    alternating = np.arange(4001)[None]
    (held,) = _data_worker.hold(np.random.default_rng(1), (alternating,), 400_000, 40)
    lengths = np.bincount(held[0])[:4000]
    assert abs(lengths.mean() - 40) < 5 * np.sqrt(40 * 39 / 4000)
    assert _data_worker.n_runs_to_fill(400_000, 40) > 10_000


def test_floor_is_the_larger_of_memory_and_arithmetic():
    syllables = np.array([[0, 0, 0, 1, 1], [2, 2, 2, 2, 0]])
    assert floor.count_runs(syllables) == 4
    workload = workloads.Workload("w", 2, 5, n_states=3, n_syllables=3, mean_run=2)
    by_timestep, by_run = floor.floors(workload, syllables, 1.0, floor.Rates(10.0, 1e9))
    assert by_timestep.seconds == 10 * (16 + 24) / 10
    assert by_run.seconds == 4 * (32 + 24 + 36) / 10
    by_timestep, by_run = floor.floors(workload, syllables, 1.0, floor.Rates(1e9, 10.0))
    assert by_timestep.seconds == 10 * (2 * 9 + 15) / 10
    assert by_run.seconds == 4 * (4 * 9 + 21) / 10
    table = floor.floor_table([by_timestep, by_run], floor.Rates(1e9, 10.0))
    assert max(map(len, table.splitlines())) <= 100


@pytest.fixture
def scalings():
    """Costs that grow as the first power of everything."""
    scalings = []
    for axis in workloads.QUICK.axes:
        cells = [
            scaling.Cell(value, w.n_frames, w.n_states, w.n_syllables, *[1e-3 * value] * 6)
            for value, w in zip(axis.values, axis.workloads, strict=True)
        ]
        fits = {
            name: scaling.fit_power_law(axis.values, [getattr(c, name) for c in cells])
            for name in axis.fitted
        }
        scalings.append(scaling.Scaling(axis, cells, fits))
    return scalings


def test_verdict_on_frames(scalings):
    assert scaling.frames_verdict(scalings)
    np.testing.assert_allclose(scaling.product_fit(scalings).exponent, 0.5)
    text = scaling.scaling_tables(scalings)
    assert text.endswith("within noise (1.1): met")
    assert max(map(len, text.splitlines())) <= 100
    steep = scaling.Fit(1.2, 1.0, 1, 10)
    frames = scalings[0]._replace(fits={**scalings[0].fits, "sweep": steep})
    assert not scaling.frames_verdict([frames, *scalings[1:]])


def test_scaling_is_drawn(scalings, tmp_path):
    draw_scaling(scalings, tmp_path / "scaling.png")
    assert (tmp_path / "scaling.png").read_bytes().startswith(b"\x89PNG")


def section(title, text, image=None):
    """A section as a run makes it."""
    return results.Section(title, text, image, f"python -m benchmarks --only {title}", "machine")


def test_results_page():
    sections = [section("First", "a  b\n\n1  2"), section("Second", "c", "picture.png")]
    page = results.page(sections)
    assert "\n\nFirst\n-----\n\nMade anew by ``python -m benchmarks --only First``." in page
    assert "\n\n    machine\n\n::\n\n    a  b\n\n    1  2\n" in page
    assert ".. image:: picture.png\n" in page


def test_a_part_measured_anew_leaves_the_others_as_they_are():
    rule = "-" * 5
    before = results.page(
        [section("Third", f"c\n{rule}\nd"), section("First", f"wide\n{rule}"), section("Mine", "m")]
    )
    order = ["First", "Second", "Third"]
    page = results.page([section("First", "new"), section("Second", "b")], before, order)
    old, new = results.split(before), results.split(page)
    assert list(new) == [*order, "Mine"]
    assert new["Third"] == old["Third"]
    assert new["Mine"] == old["Mine"]
    assert "wide" not in page
    assert "    new" in new["First"]
    # nothing measured, nothing changed
    assert results.page([], page, order) == page


def test_the_page_is_in_the_form_that_is_written():
    path = Path(results.__file__).with_name("RESULTS.rst")
    page = path.read_text()
    assert results.page([], page, TITLES.values()) == page
    assert set(results.split(page)) <= {*TITLES.values(), *studies.TITLES.values()}


def test_results_are_written_for_parts_in_full_or_on_request():
    assert parse_arguments([]).write_results
    assert parse_arguments(["--only", "modes"]).write_results
    assert not parse_arguments(["--quick"]).write_results
    assert not parse_arguments(["--only", "wide", "--skip-reference"]).write_results
    assert parse_arguments(["--only", "modes", "--skip-reference"]).write_results
    assert parse_arguments(["--quick", "--write-results"]).write_results
    # a quick run does not overwrite the figures of a full one
    assert parse_arguments(["--quick"]).json != parse_arguments([]).json


def test_the_process_that_measures_imports_neither_side_and_no_jax():
    script = (
        "import sys, benchmarks.__main__\n"
        "sides = {'hhmm', 'jax', 'dynamax', 'hmmlearn', 'state_moseq'}\n"
        "assert not sides & set(sys.modules), sides & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
