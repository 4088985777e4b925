"""hhmm.model_selection: scans recomputed by loops, interrupted, resumed, refused, drawn."""

import itertools
import json
import os
import sys
import warnings
from decimal import Decimal
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from scipy.stats import dirichlet
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import KFold, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.utils.parallel import Parallel

from hhmm import EfficientHHMM, model_selection
from hhmm._runtime import files
from hhmm.metrics import matched_accuracy
from hhmm.model_selection import (
    ScanResult,
    _journal,
    _scan,
    duration_from_trans_kappa,
    scan,
    trans_kappa_from_duration,
)
from hhmm.plotting._scan import ScanDisplay
from tests.published import PUBLISHED

matplotlib.use("Agg")

import matplotlib.pyplot as plt

N_SYLLABLES = 5


class FakeModel(EfficientHHMM):
    """Fits in no time: what it finds is a function of settings, seed and data.

    With the same settings and seed it finds the same on the same data and something else on
    others. ``trans_kappa=7`` warns, ``trans_kappa=13`` fails.
    """

    n_fitted = 0  # by all instances in this process
    stop_after = None
    path = None
    lines_at_fit = ()

    def fit(self, X, y=None, *, mask=None):
        cls = type(self)
        if cls.n_fitted == cls.stop_after:
            raise KeyboardInterrupt
        cls.n_fitted += 1
        if cls.path is not None:
            cls.lines_at_fit = (*cls.lines_at_fit, Path(cls.path).read_bytes().count(b"\n"))
        if self.trans_kappa == 7:
            warnings.warn(f"seed {self.random_state % 2}", ConvergenceWarning, stacklevel=2)
            warnings.warn("of another kind", RuntimeWarning, stacklevel=2)
        if self.trans_kappa == 13:
            raise FloatingPointError("the log joint is not finite")
        self.rng_seed_ = [
            self.random_state,
            self.n_states,
            int(sum(x @ x for x in map(np.asarray, X))),
        ]
        rng = np.random.default_rng(self.rng_seed_)
        self.best_chain_ = 1
        self.log_joint_ = rng.normal(size=(2, 3))
        self.n_iter_ = int(rng.integers(1, self.max_iter))
        self.converged_ = bool(rng.random() < 0.5)
        return self

    def predict(self, X, *, mask=None):
        rng = np.random.default_rng(self.rng_seed_)
        shift = rng.integers(self.n_states)
        noise = rng.random()
        return [
            (np.arange(len(x)) // 7 + np.asarray(x) * (rng.random(len(x)) < noise / 3) + shift)
            % self.n_states
            for x in X
        ]

    def score(self, X, y=None, *, mask=None):
        return float(
            -sum(np.sum(x) for x in X) / 1e3 + np.log(self.n_states) + self.rng_seed_[0] / 1e11
        )


_free_kernels = _scan._free_kernels


@pytest.fixture(autouse=True)
def clean_up(monkeypatch):
    # each fit would read the list of this process's memory mappings, which is long in a test run
    monkeypatch.setattr(_scan, "_free_kernels", lambda: None)
    yield
    FakeModel.n_fitted, FakeModel.stop_after = 0, None
    FakeModel.path, FakeModel.lines_at_fit = None, ()
    plt.close("all")


@pytest.fixture(scope="module", name="X")
def syllables():
    return np.random.default_rng(0).integers(0, N_SYLLABLES, (12, 60)).astype(np.int32)


GRID = {"n_states": [2, 3], "trans_kappa": [10, 50.5]}
ONE_POINT = {"n_states": [2], "trans_kappa": [10.0]}


def fake_scan(X, grid=ONE_POINT, **arguments):
    given = {"estimator": FakeModel(max_iter=10), "cv": 3, "n_seeds": 3, "random_state": 0}
    return scan(X, grid, **{**given, **arguments})


def assert_equal_tables(first, second, *, n_rows=None):
    """Equal but for the time that fits took."""
    assert list(first) == list(second)
    for name, values in first.items():
        assert values.dtype == second[name].dtype, name
        if name != "seconds":
            np.testing.assert_array_equal(values[:n_rows], second[name][:n_rows], err_msg=name)


class TestDurations:
    @pytest.mark.parametrize("n_states", [2, 3, 10])
    @pytest.mark.parametrize("trans_beta", [0.5, 1.0, 4.0])
    def test_the_prior_expects_the_duration(self, n_states, trans_beta):
        """Against the mean of the Dirichlet prior of a row."""
        kappa = trans_kappa_from_duration(
            1.7, n_states=n_states, frame_rate=30, trans_beta=trans_beta
        )
        concentration = np.full(n_states, trans_beta)
        concentration[0] += kappa
        stay = dirichlet(concentration).mean()[0]
        assert 1 / (1 - stay) == pytest.approx(1.7 * 30)

    def test_there_and_back(self):
        durations = np.geomspace(1.5, 1e5, 20)
        settings = {"n_states": np.arange(3, 23), "frame_rate": 2.5, "trans_beta": 0.7}
        kappa = trans_kappa_from_duration(durations, **settings)
        assert kappa.shape == (20,)
        np.testing.assert_allclose(duration_from_trans_kappa(kappa, **settings), durations)

    def test_a_number_for_numbers(self):
        assert trans_kappa_from_duration(30, n_states=2) == 28.0
        assert type(trans_kappa_from_duration(30, n_states=2)) is float
        assert type(duration_from_trans_kappa(28, n_states=2)) is float
        model = EfficientHHMM(4)
        assert duration_from_trans_kappa(model.trans_kappa, n_states=4) == pytest.approx(104 / 3)

    @pytest.mark.parametrize("n_states", range(2, 30))
    def test_the_shortest_is_without_stickiness(self, n_states):
        shortest = duration_from_trans_kappa(0.0, n_states=n_states, frame_rate=3)
        assert shortest == pytest.approx(n_states / (n_states - 1) / 3)
        assert trans_kappa_from_duration(shortest, n_states=n_states, frame_rate=3) == (
            pytest.approx(0.0, abs=1e-12)
        )
        with pytest.raises(ValueError, match=f"at least {shortest:.6g} with {n_states} states"):
            trans_kappa_from_duration(shortest * 0.999, n_states=n_states, frame_rate=3)

    def test_which_of_an_array_is_too_short(self):
        expected = r"at least 0.05 with 3 states and frame_rate=30: 1.5 timesteps.* got 0.04"
        with pytest.raises(ValueError, match=expected):
            trans_kappa_from_duration([1.0, 0.04, 0.03], n_states=3, frame_rate=30)

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ({"n_states": 1}, ValueError, "n_states must be >= 2, got 1"),
            ({"n_states": 2.0}, TypeError, "n_states must be an integer"),
            ({"n_states": 2, "frame_rate": 0}, ValueError, "frame_rate must be finite and > 0"),
            ({"n_states": 2, "trans_beta": -1}, ValueError, "trans_beta .* > 0, got -1"),
            ({"n_states": 2, "trans_beta": np.inf}, ValueError, "trans_beta .* got inf"),
            ({"n_states": 2, "frame_rate": "a"}, TypeError, "frame_rate must be a number"),
        ],
    )
    def test_bad_arguments(self, arguments, error, message):
        for function in (trans_kappa_from_duration, duration_from_trans_kappa):
            with pytest.raises(error, match=message):
                function(10.0, **arguments)

    def test_bad_values(self):
        with pytest.raises(ValueError, match="duration must be finite and > 0, got nan"):
            trans_kappa_from_duration(np.nan, n_states=2)
        with pytest.raises(ValueError, match="trans_kappa must be finite and >= 0, got -1"):
            duration_from_trans_kappa(-1, n_states=2)


class TestTable:
    def test_against_a_loop_of_fits(self, X):
        table = fake_scan(X, GRID).table
        row = 0
        for point, (n_states, kappa) in enumerate(itertools.product([2, 3], [10, 50.5])):
            for fold, (train, test) in enumerate(KFold(3).split(X)):
                states = []
                for seed in range(3):
                    random_state = int(table["random_state"][row])
                    model = FakeModel(
                        n_states, trans_kappa=kappa, max_iter=10, random_state=random_state
                    ).fit(list(X[train]))
                    predicted = model.predict(list(X[test]))
                    bouts = [len(list(bout)) for x in predicted for _, bout in itertools.groupby(x)]
                    flat = np.concatenate(predicted)
                    expected = {
                        "point": point,
                        "fold": fold,
                        "seed": seed,
                        "n_states": n_states,
                        "trans_kappa": kappa,
                        "prior_duration": (kappa + n_states) / (n_states - 1),
                        "test_score": model.score(X[test]),
                        "train_score": model.score(X[train]),
                        "log_joint": model.log_joint_[1, 2],
                        "n_iter": model.n_iter_,
                        "converged": model.converged_,
                        "median_duration": np.median(bouts),
                        "n_used_states": sum(np.mean(flat == k) > 0.01 for k in range(n_states)),
                        "warnings": "",
                    }
                    for name, value in expected.items():
                        assert table[name][row] == value, name
                    states.append(flat)
                    row += 1
                for name, function in (
                    ("matched_accuracy", matched_accuracy),
                    ("adjusted_rand", adjusted_rand_score),
                ):
                    got = table[name][row - 3 : row]
                    for i in range(3):
                        others = [function(states[i], states[j]) for j in range(3) if j != i]
                        assert got[i] == pytest.approx(np.mean(others))
        assert row == len(table["seed"]) == 36
        assert len(set(table["random_state"])) == 36
        assert len(set(table["adjusted_rand"].round(6))) > 10

    def test_equal_calls_give_equal_results(self, X):
        assert_equal_tables(fake_scan(X).table, fake_scan(X).table)
        assert (
            fake_scan(X, random_state=1).table["random_state"][0]
            != (fake_scan(X).table["random_state"][0])
        )
        first, second = (fake_scan(X, random_state=np.random.RandomState(3)) for _ in range(2))
        assert_equal_tables(first.table, second.table)

    def test_seeds_do_not_depend_on_the_rest_of_the_grid(self, X):
        table = fake_scan(X, GRID).table
        alone = fake_scan(X, ONE_POINT, n_seeds=1).table
        mine = (table["point"] == 0) & (table["seed"] == 0)
        np.testing.assert_array_equal(table["random_state"][mine], alone["random_state"])
        # the same settings, whether they are in the grid or in the estimator
        by_estimator = fake_scan(
            X, {"n_states": [2]}, n_seeds=1, estimator=FakeModel(max_iter=10, trans_kappa=10)
        )
        np.testing.assert_array_equal(by_estimator.table["test_score"], alone["test_score"])

    def test_no_more_workers_than_fits(self, X, monkeypatch):
        asked = []

        def parallel(n_jobs, **arguments):
            asked.append(n_jobs)
            return Parallel(n_jobs=1, **arguments)

        monkeypatch.setattr(_scan, "Parallel", parallel)
        fake_scan(X, {"n_states": [2]}, n_seeds=1, cv=3, n_jobs=np.uint64(2**64 - 1))
        assert asked == [3]

    def test_every_form_of_data(self, X):
        mask = np.random.default_rng(1).random(X.shape) < 0.9
        table = fake_scan(X, mask=mask).table
        encoded = np.where(mask, X, -1)
        assert_equal_tables(fake_scan(encoded).table, table)
        assert_equal_tables(fake_scan(list(encoded)).table, table)
        assert_equal_tables(fake_scan(np.where(mask, X, np.nan)).table, table)
        assert table["train_score"][0] != fake_scan(X).table["train_score"][0]

    def test_a_grid_of_several_parts_holds_each_point_once(self, X):
        grid = [
            {"n_states": [2], "trans_kappa": [5.0, 100.0]},
            {"n_states": [2, 3]},  # trans_kappa is 100 in the estimator
            {"n_states": [1], "message_passing": ["sequential"]},
        ]
        result = fake_scan(X, grid, n_seeds=1)
        summary = result.summary()
        assert summary["n_states"].tolist() == [2, 2, 3, 1]
        assert summary["trans_kappa"].tolist() == [5, 100, 100, 100]
        assert summary["message_passing"].tolist() == ["auto", "auto", "auto", "sequential"]
        assert summary["prior_duration"].tolist() == [7, 102, 51.5, np.inf]
        assert np.isnan(result.table["adjusted_rand"]).all()
        assert result.best_params_ == {"n_states": 3}

    def test_groups_are_never_split(self, X):
        animals = np.array(["a", "b", "c", "d"] * 3)
        splits = []

        class Spy(FakeModel):
            def fit(self, data, y=None, *, mask=None):
                rows = {np.asarray(row).tobytes() for row in data}
                splits.append({g for g, x in zip(animals, X, strict=True) if x.tobytes() in rows})
                return super().fit(data)

        fake_scan(X, {"n_states": [2]}, estimator=Spy(), n_seeds=1, cv=4, groups=animals)
        assert sorted(map(sorted, splits)) == [list(s) for s in ("abc", "abd", "acd", "bcd")]

    def test_durations_are_the_same_for_all_numbers_of_states(self, X):
        model = FakeModel(max_iter=10, frame_rate=30, trans_beta=2.0)
        grid = {"n_states": [1, 2, 4], "duration": [1, 20]}
        table = fake_scan(X, grid, estimator=model, cv=2, n_seeds=1).table
        assert np.unique(table["point"]).size == 5  # with one state they are one point
        several = table["n_states"] > 1
        expected = np.repeat([30, 600], 4)
        np.testing.assert_allclose(table["prior_duration"][several], expected)
        result = fake_scan(X, {"n_states": [2], "duration": [20]}, estimator=model)
        kappa = trans_kappa_from_duration(20, n_states=2, frame_rate=30, trans_beta=2.0)
        assert result.best_params_ == {"n_states": 2, "trans_kappa": kappa}

    def test_the_model_is_given_groups(self, X):
        animals = np.array(["a", "b", "c", "d"] * 3)
        seen = []

        class Spy(FakeModel):
            def fit(self, data, y=None, *, groups=None, mask=None):
                seen.append(("fit", [np.asarray(x).tobytes() for x in data], list(groups)))
                return super().fit(data)

            def predict(self, data, *, groups=None, mask=None):
                seen.append(("predict", [np.asarray(x).tobytes() for x in data], list(groups)))
                return super().predict(data)

            def score(self, data, y=None, *, groups=None, mask=None):
                seen.append(("score", [np.asarray(x).tobytes() for x in data], list(groups)))
                return super().score(data)

        animal_of = {x.tobytes(): animal for x, animal in zip(X, animals, strict=True)}
        for groups in (animals, animals.tolist()):
            seen.clear()
            fake_scan(X, {"n_states": [2]}, estimator=Spy(), n_seeds=1, model_groups=groups)
            assert {what for what, *_ in seen} == {"fit", "predict", "score"}
            for _, rows, labels in seen:
                assert labels == [animal_of[row] for row in rows]

    def test_a_label_that_a_fold_lacks(self, X):
        changed = X.copy()
        changed[0, 5] = N_SYLLABLES + 2
        seen = []

        class Spy(FakeModel):
            def fit(self, data, y=None, *, mask=None):
                seen.append(self.n_syllables)
                return super().fit(data)

        fake_scan(changed, {"n_states": [2]}, estimator=Spy(), n_seeds=1)
        assert seen == [N_SYLLABLES + 3] * 3

    def test_empty_sequences_are_left_out(self, X):
        with pytest.warns(UserWarning, match="1 of 13 sequences have no observed timestep"):
            result = fake_scan([*X, np.array([-1, -1])], {"n_states": [2]}, cv=2)
        assert np.isfinite(result.table["test_score"]).all()

    def test_convergence_warnings_are_collected(self, X):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = fake_scan(X, {"trans_kappa": [7, 8], "n_states": [2]})
        ours = [w for w in caught if issubclass(w.category, ConvergenceWarning)]
        assert len(ours) == 1
        assert str(ours[0].message).startswith("9 of 18 fits gave a convergence warning")
        assert ours[0].filename == __file__
        assert sum(issubclass(w.category, RuntimeWarning) for w in caught) == 9
        table = result.table
        for seed, message in zip(table["random_state"][:9], table["warnings"][:9], strict=True):
            assert message == f"seed {seed % 2}"
        assert (table["warnings"][9:] == "").all()
        assert result.summary()["n_warnings"].tolist() == [9, 0]

    def test_an_error_names_the_fit(self, X):
        with pytest.raises(FloatingPointError) as caught:
            fake_scan(X, {"n_states": [2], "trans_kappa": [10, 13]})
        assert (
            "in scan, at {'n_states': 2, 'trans_kappa': 13}, fold 0, seed 0"
            in (caught.value.__notes__[0])
        )

    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    def test_the_model_itself(self, X):
        settings = PUBLISHED | {"max_iter": 5, "init": "prior", "n_chains": 2}
        model = EfficientHHMM(2, algorithm="em", **settings)
        grid = {"trans_kappa": [10.0]}
        table = scan(X, grid, estimator=model, cv=2, n_seeds=2, random_state=0).table
        halves = X[:6], X[6:]
        states = []
        for row, (fold, seed) in enumerate(itertools.product(range(2), range(2))):
            test, train = halves[fold], halves[1 - fold]
            by_hand = clone(model).set_params(
                trans_kappa=10.0, n_syllables=5, random_state=int(table["random_state"][row])
            )
            by_hand.fit(train)
            assert (table["fold"][row], table["seed"][row]) == (fold, seed)
            assert table["test_score"][row] == by_hand.score(test)
            assert table["train_score"][row] == by_hand.score(train)
            assert table["log_joint"][row] == by_hand.log_joint_[by_hand.best_chain_, -1]
            assert table["n_iter"][row] == 5
            assert table["converged"][row] == by_hand.converged_
            states.append(by_hand.predict(test))
        for fold in (0, 1):
            expected = matched_accuracy(*states[2 * fold : 2 * fold + 2])
            assert table["matched_accuracy"][2 * fold] == pytest.approx(expected)


def one_syllable_changed(X):
    changed = X.copy()
    changed[3, 4] = (changed[3, 4] + 1) % N_SYLLABLES
    return changed


class TestFile:
    @pytest.fixture
    def path(self, tmp_path):
        return tmp_path / "scan.jsonl"

    def test_a_file_changes_nothing(self, X, path):
        assert_equal_tables(fake_scan(X, checkpoint=path).table, fake_scan(X).table)
        header, *rows = path.read_text().splitlines()
        assert json.loads(header)["data"]["n_sequences"] == 12
        assert len(rows) == 9

    def test_a_fit_is_on_the_disk_before_the_next(self, X, path, monkeypatch):
        lines_synced = []

        def fsync(descriptor):
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                lines_synced.append(path.read_bytes().count(b"\n"))

        monkeypatch.setattr(os, "fsync", fsync)
        FakeModel.path = path
        fake_scan(X, {"n_states": [2]}, checkpoint=path)
        assert FakeModel.lines_at_fit == tuple(range(1, 10))
        assert lines_synced == list(range(1, 11))

    @pytest.mark.parametrize("n_done", [0, 5])
    def test_an_interrupted_scan_goes_on(self, X, path, n_done):
        FakeModel.stop_after = n_done
        with pytest.raises(KeyboardInterrupt):
            fake_scan(X, checkpoint=str(path))
        assert path.read_bytes().count(b"\n") == 1 + n_done
        FakeModel.stop_after, FakeModel.n_fitted = None, 0
        resumed = fake_scan(X, checkpoint=path)
        assert FakeModel.n_fitted == 9 - n_done
        assert_equal_tables(resumed.table, fake_scan(X).table)

    @pytest.mark.parametrize("n_cut", [1, 300])
    def test_a_line_that_was_cut_is_fitted_again(self, X, path, n_cut):
        whole = fake_scan(X, {"n_states": [2]}, checkpoint=path)
        complete = path.read_bytes()
        path.write_bytes(complete[:-n_cut])
        FakeModel.n_fitted = 0
        resumed = fake_scan(X, {"n_states": [2]}, checkpoint=path)
        assert FakeModel.n_fitted == 1
        assert_equal_tables(resumed.table, whole.table)
        lines = [json.loads(line) for line in path.read_bytes().splitlines()]
        for line, expected in zip(lines, map(json.loads, complete.splitlines()), strict=True):
            assert {**line, "seconds": 0, "sha256": 0} == {**expected, "seconds": 0, "sha256": 0}

    @pytest.mark.parametrize("n_kept", [0, 30])
    def test_a_first_line_that_was_cut(self, X, path, n_kept):
        fake_scan(X, {"n_states": [2]}, checkpoint=path)
        path.write_bytes(path.read_bytes()[:n_kept])
        FakeModel.n_fitted = 0
        fake_scan(X, {"n_states": [2]}, checkpoint=path)
        assert FakeModel.n_fitted == 9
        assert path.read_bytes().count(b"\n") == 10

    def test_what_is_done_is_not_repeated(self, X, path):
        first = fake_scan(X, checkpoint=path)
        before = path.read_bytes()
        FakeModel.n_fitted = 0
        again = fake_scan(X, checkpoint=path)
        assert FakeModel.n_fitted == 0
        assert path.read_bytes() == before
        assert_equal_tables(first.table, again.table)
        np.testing.assert_array_equal(first.table["seconds"], again.table["seconds"])
        assert first.best_params_ == again.best_params_

    def test_a_larger_grid_and_more_seeds_use_what_is_there(self, X, path):
        small = fake_scan(X, {"n_states": [2]}, checkpoint=path, n_seeds=2)
        FakeModel.n_fitted = 0
        larger = fake_scan(X, {"n_states": [2, 4], "trans_kappa": [100]}, checkpoint=path)
        assert FakeModel.n_fitted == 18 - 6
        in_both = (larger.table["point"] == 0) & (larger.table["seed"] < 2)
        assert larger.table["trans_kappa"][0] == 100
        for name in ("random_state", "test_score", "seconds", "median_duration"):
            np.testing.assert_array_equal(larger.table[name][in_both], small.table[name])
        # and the smaller one again, from the same file
        FakeModel.n_fitted = 0
        assert_equal_tables(
            fake_scan(X, {"n_states": [2]}, checkpoint=path, n_seeds=2).table, small.table
        )
        assert FakeModel.n_fitted == 0

    def test_without_a_random_state_the_file_has_it(self, X, path):
        first = fake_scan(X, checkpoint=path, random_state=None)
        FakeModel.n_fitted = 0
        assert_equal_tables(fake_scan(X, checkpoint=path, random_state=None).table, first.table)
        assert FakeModel.n_fitted == 0

    @pytest.mark.parametrize(
        ("change", "arguments", "message"),
        [
            (one_syllable_changed, {}, "data is .12 sequences, 720 timesteps, sha256 "),
            (lambda X: X[:, :50], {}, "720 timesteps, .* there, .12 sequences, 600 timesteps"),
            (list, {"cv": 4}, "folds is .3 folds, .* there, .4 folds"),
            (list, {"cv": ShuffleSplit(3, random_state=0)}, "folds is .3 folds"),
            (list, {"random_state": 1}, "random_state is 0 there, 1 here"),
            (list, {"model_groups": ["a", "b"] * 6}, "data is .12 sequences"),
            (list, {"estimator": FakeModel(max_iter=11)}, "max_iter is 10 there, 11 here"),
            (
                list,
                {"estimator": FakeModel(max_iter=10, n_syllables=6, trans_beta=2.0)},
                "n_syllables is 5 there, 6 here; trans_beta is 1.0 there, 2.0 here",
            ),
        ],
    )
    def test_a_file_of_another_scan_is_refused(self, X, path, change, arguments, message):
        fake_scan(X, checkpoint=path)
        with open(path, "ab") as file:
            file.write(b'{"cut')
        before = path.read_bytes()
        FakeModel.n_fitted = 0
        with pytest.raises(ValueError, match=message) as caught:
            fake_scan(change(X), checkpoint=path, **arguments)
        assert str(path) in str(caught.value)
        assert FakeModel.n_fitted == 0
        assert path.read_bytes() == before

    def test_a_file_of_another_version_is_refused(self, X, path, monkeypatch):
        fake_scan(X, checkpoint=path)
        monkeypatch.setattr(_journal, "version", lambda _: "9.9")
        with pytest.raises(ValueError, match=r"hhmm 0\..* wrote it, and this is hhmm 9.9"):
            fake_scan(X, checkpoint=path)

    def test_settings_in_the_grid_are_not_compared(self, X, path):
        fake_scan(X, checkpoint=path)
        FakeModel.n_fitted = 0
        fake_scan(
            X, checkpoint=path, estimator=FakeModel(9, max_iter=10, trans_kappa=0.0, verbose=0)
        )
        assert FakeModel.n_fitted == 0

    @pytest.mark.parametrize("content", [b"point,fold\n1,2\n", b"{}\n", b"no line", b"\xff\n"])
    def test_another_file_is_refused(self, X, path, content):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"is not a file of hhmm.model_selection.scan"):
            fake_scan(X, checkpoint=path)
        assert path.read_bytes() == content

    @pytest.mark.parametrize("change", [{"random_state": "0"}, {"data": None}, {"settings": []}])
    def test_a_header_that_cannot_be_one_is_refused(self, X, path, change):
        fake_scan(X, checkpoint=path)
        header, *rows = path.read_bytes().split(b"\n")
        header = json.loads(header) | change
        del header["sha256"]
        path.write_bytes(b"\n".join([_journal._sealed(header), *rows]))
        before = path.read_bytes()
        for seed in (None, 0):
            with pytest.raises(ValueError, match=r"or its first line is damaged"):
                fake_scan(X, checkpoint=path, random_state=seed)
        assert path.read_bytes() == before

    def test_a_damaged_line_is_named(self, X, path):
        fake_scan(X, checkpoint=path)
        lines = path.read_bytes().split(b"\n")
        score = lines[4].index(b'"test_score": ') + 16
        digit = b"1" if lines[4][score : score + 1] == b"0" else b"0"
        other_score = lines[4][:score] + digit + lines[4][score + 1 :]
        for damaged in (lines[4][:50], b'{"settings": 3}', other_score):
            content = b"\n".join([*lines[:4], damaged, *lines[5:]])
            path.write_bytes(content)
            with pytest.raises(ValueError, match="line 5 is damaged"):
                fake_scan(X, checkpoint=path)
            assert path.read_bytes() == content

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("states", "short", "states of another number of timesteps than 240"),
            ("states", "0000", "states that cannot be unpacked"),
            ("test_score", None, "test_score is no number"),
            ("n_iter", ..., "'n_iter' is missing"),
        ],
    )
    def test_a_fit_that_cannot_be_one_is_named(self, X, path, name, value, message):
        fake_scan(X, checkpoint=path)
        lines = path.read_bytes().splitlines(keepends=True)
        row = json.loads(lines[3])
        row[name] = _journal._pack(np.zeros(239, np.int32)) if value == "short" else value
        if value is ...:
            del row[name]
        del row["sha256"]
        lines[3] = _journal._sealed(row) + b"\n"
        path.write_bytes(b"".join(lines))
        before = path.read_bytes()
        place = f"fold {row['fold']}, seed {row['seed']}"
        with pytest.raises(ValueError, match=rf"is damaged: {place} at .*{message}"):
            fake_scan(X, checkpoint=path)
        assert path.read_bytes() == before

    def test_only_one_scan_at_a_time(self, X, path):
        with files.locked(path), pytest.raises(BlockingIOError, match="is in use"):
            fake_scan(X, checkpoint=path)
        assert not path.exists()

    def test_fits_under_way_need_a_place(self, X, path, tmp_path):
        with pytest.raises(ValueError, match="checkpoint_every needs a checkpoint"):
            fake_scan(X, checkpoint_every=3)
        with pytest.raises(ValueError, match=r"'checkpoint_every' .* Got 0"):
            fake_scan(X, checkpoint=path, checkpoint_every=0)
        with pytest.raises(IsADirectoryError, match="must be a file"):
            fake_scan(X, checkpoint=tmp_path)
        with pytest.raises(TypeError, match="checkpoint must be a path of a file, got 3"):
            fake_scan(X, checkpoint=3)
        assert FakeModel.n_fitted == 0

    def test_a_directory_must_be_there(self, X, tmp_path):
        with pytest.raises(FileNotFoundError, match="there is no folder"):
            fake_scan(X, checkpoint=tmp_path / "nowhere" / "scan.jsonl")
        assert FakeModel.n_fitted == 0

    def test_nothing_is_written_where_arguments_are_wrong(self, X, path):
        with pytest.raises(ValueError, match="n_states"):
            fake_scan(X, {"n_states": [2, 0]}, checkpoint=path)
        with pytest.raises(ValueError, match="n_jobs"):
            fake_scan(X, checkpoint=path, n_jobs=0)
        assert not path.exists()


def test_durations_beyond_numbers_are_refused():
    for convert, frame_rate in (
        (trans_kappa_from_duration, 1e10),
        (duration_from_trans_kappa, 1e-10),
    ):
        with pytest.raises(TypeError, match="must be a number or an array of numbers"):
            convert(np.array([10 + 5j]), n_states=3)
        with pytest.raises(ValueError, match="beyond the range of float64"):
            convert(1e308, n_states=3, frame_rate=frame_rate)


class TestErrors:
    @pytest.mark.parametrize(
        ("grid", "arguments", "error", "message"),
        [
            (GRID, {"estimator": LogisticRegression()}, TypeError, "got LogisticRegression"),
            (GRID, {"estimator": make_pipeline(FakeModel())}, TypeError, "Steps before it"),
            (GRID, {"n_seeds": 0}, ValueError, r"'n_seeds' .* range \[1, 1000000\]. Got 0"),
            (GRID, {"n_seeds": 2**64}, ValueError, r"'n_seeds' .* range \[1, 1000000\]"),
            (GRID, {"verbose": "no"}, TypeError, "'verbose' .* Got 'no'"),
            (GRID, {"n_seeds": 1.5}, TypeError, "'n_seeds' .* must be an int .* Got 1.5"),
            (GRID, {"n_jobs": 2.0}, TypeError, "'n_jobs' .* instance of 'int'.* Got 2.0"),
            (GRID, {"n_jobs": Decimal("NaN")}, TypeError, "'n_jobs' .* instance of 'int'"),
            (GRID, {"n_jobs": 0}, ValueError, "n_jobs == 0 in Parallel has no meaning"),
            (GRID, {"groups": [1, 2]}, ValueError, "inconsistent numbers of samples"),
            (GRID, {"cv": 13}, ValueError, "n_splits=13"),
            (GRID, {"cv": 2, "groups": [0] * 12}, ValueError, "number of groups"),
            (GRID, {"model_groups": ["a"]}, ValueError, "a label for each of the 12 sequences"),
            (GRID, {"model_groups": ["a"] * 11 + [None]}, ValueError, "none for sequence 11"),
            ({"duration": [2]}, {}, ValueError, r"in seconds. Give the frame rate"),
            (
                {"duration": [2], "trans_kappa": [3]},
                {"estimator": FakeModel(frame_rate=30)},
                ValueError,
                "must have duration or trans_kappa, got both",
            ),
            (
                {"duration": [2], "trans_beta": ["auto"]},
                {"estimator": FakeModel(frame_rate=30)},
                ValueError,
                "needs a trans_beta that is a number",
            ),
            (
                {"duration": [0.001]},
                {"estimator": FakeModel(frame_rate=30)},
                ValueError,
                "duration must be at least",
            ),
            (GRID, {"random_state": "a"}, ValueError, "'random_state' .* Got 'a'"),
            (GRID, {"random_state": -1}, ValueError, "'random_state' .* Got -1"),
            (GRID, {"estimator": FakeModel(n_syllables=3)}, ValueError, "n_syllables is 3"),
            (GRID, {"mask": np.ones((2, 2))}, ValueError, "mask has shape"),
            (GRID, {"cv": []}, ValueError, "cv must give one split at least, got none"),
            (GRID, {"cv": [([0, 1], [])]}, ValueError, "the 0 held-out sequences of fold 0"),
            (GRID, {"estimator": FakeModel(init=[[0]])}, ValueError, "init must be .* got list"),
            ({"n_states": [2, 0]}, {}, ValueError, "'n_states' parameter of scan must be"),
            ({"n_states": [2, 500]}, {}, ValueError, "n_states=500 is more than the 480 training"),
            ({"n_state": [2]}, {}, ValueError, "Invalid parameter 'n_state'"),
            ({"random_state": [1, 2]}, {}, ValueError, "got 'random_state'. scan has n_seeds"),
            ({"n_syllables": [5, 6]}, {}, ValueError, "got 'n_syllables'"),
            ({"n_states": []}, {}, ValueError, "non-empty"),
            ({"n_states": 2}, {}, TypeError, "n_states"),
        ],
    )
    def test_before_any_fit(self, X, grid, arguments, error, message):
        with pytest.raises(error, match=message):
            fake_scan(X, grid, **arguments)
        assert FakeModel.n_fitted == 0

    def test_a_fold_without_a_transition(self, X):
        sequences = [*X[:8], *([3],) * 4]
        with pytest.raises(ValueError, match="4 held-out sequences of fold 2 have no observed"):
            fake_scan(sequences)
        with pytest.raises(ValueError, match="8 training sequences of fold 0 have no observed"):
            fake_scan([*X[:4], *([3],) * 8])

    def test_the_estimator_given_is_not_touched(self, X):
        model = FakeModel(max_iter=10)
        before = dict(vars(model))
        fake_scan(X, estimator=model)
        assert vars(model) == before


def result_by_hand():
    """Two folds, two seeds, four grid points."""
    point = np.repeat(np.arange(4), 4)
    table = {
        "point": point,
        "fold": np.tile([0, 0, 1, 1], 4),
        "seed": np.tile([0, 1, 0, 1], 4),
        "n_states": np.array([2, 2, 3, 4])[point],
        "trans_kappa": np.array([1.0, 9.0, 9.0, 9.0])[point],
        "prior_duration": np.array([3.0, 11.0, 6.0, 13 / 3])[point],
        "random_state": np.arange(16),
        "test_score": np.array(
            [
                *(-1.5, -1.5, -1.5, -1.5),
                *(-1.2, -1.2, -1.1, -1.1),
                *(-1.0, -1.2, -1.0, -1.2),
                *(-1.0, -1.2, -0.9, -1.1),
            ]
        ),
        "warnings": np.array(["", "a"] * 8, dtype=object),
    }
    rest = ("train_score", "log_joint", "n_iter", "seconds", "matched_accuracy", "adjusted_rand")
    for i, name in enumerate((*rest, "median_duration")):
        table[name] = np.random.default_rng(i).random(16) + 0.1
    table["n_used_states"] = table["n_states"] - 0.1 * np.random.default_rng(9).random(16)
    table["converged"] = np.tile([True, False], 8)
    points = [
        {"n_states": k, "trans_kappa": kappa} for k, kappa in [(2, 1), (2, 9), (3, 9), (4, 9)]
    ]
    return ScanResult(table, points)


class TestResult:
    def test_best(self):
        result = result_by_hand()
        assert result.best_index_ == 3
        assert result.best_params_ == {"n_states": 4, "trans_kappa": 9}
        assert result.best_score_ == pytest.approx(-1.05)

    def test_summary(self):
        """By hand: means of folds first, then their mean and its standard error."""
        summary = result_by_hand().summary()
        np.testing.assert_allclose(summary["mean_test_score"], [-1.5, -1.15, -1.1, -1.05])
        # means of folds -1.2, -1.1; -1.1, -1.1; -1.1, -1.0
        np.testing.assert_allclose(summary["se_test_score"], [0, 0.05, 0, 0.05], atol=1e-12)
        assert summary["n_states"].tolist() == [2, 2, 3, 4]
        assert summary["n_fits"].tolist() == [4] * 4
        assert summary["n_warnings"].tolist() == [2] * 4
        assert summary["mean_converged"].tolist() == [0.5] * 4
        table = result_by_hand().table
        for i in range(4):
            mine = table["seconds"][table["point"] == i].reshape(2, 2).mean(axis=1)
            assert summary["mean_seconds"][i] == pytest.approx(mine.mean())
            assert summary["se_seconds"][i] == pytest.approx(abs(mine[0] - mine[1]) / 2)

    def test_one_standard_error(self):
        result = result_by_hand()
        # by fold, 3 states are worse by 0 and 0.1, and 2 states by 0.1 in both
        summary = result.summary()
        np.testing.assert_allclose(summary["mean_difference"][1:], [-0.1, -0.05, 0], atol=1e-12)
        np.testing.assert_allclose(summary["se_difference"][1:], [0, 0.05, 0], atol=1e-12)
        assert result.one_standard_error() == {"n_states": 3, "trans_kappa": 9}
        assert result.one_standard_error(by="trans_kappa") == {"n_states": 4, "trans_kappa": 9}
        result.table["test_score"][12:] = [-1.3, -1.3, -0.7, -0.7]
        # 2 states are better by 0.1 on one fold, and worse by 0.4 on the other
        result = ScanResult(result.table, result._points)
        assert result.one_standard_error() == {"n_states": 2, "trans_kappa": 9}

    def test_a_number_with_unused_states_is_not_chosen(self):
        result = result_by_hand()
        n_states = np.repeat([2, 2, 3, 4], 4)
        result.table["n_used_states"] = n_states - np.repeat([0.0, 0.0, 0.0, 1.0], 4)
        # 3 states are the best that use all, and 2 are worse by 0.1 on one fold and 0 on the other
        assert result.one_standard_error() == {"n_states": 2, "trans_kappa": 9}
        result.table["test_score"][4:8] -= 0.1
        assert result.one_standard_error() == {"n_states": 3, "trans_kappa": 9}
        result.table["n_used_states"] = n_states - np.repeat([0.0, 0.0, 0.6, 1.6], 4)
        assert result.one_standard_error() == {"n_states": 2, "trans_kappa": 9}
        # a rare state is no reason against a number that uses more states than smaller ones do
        result.table["n_used_states"] = n_states - np.repeat([0.0, 0.0, 1.0, 1.0], 4)
        assert result.one_standard_error() == {"n_states": 4, "trans_kappa": 9}
        result.table["n_used_states"] = n_states - np.repeat([0.0, 0.0, 0.4, 0.4], 4)
        assert result.one_standard_error() == {"n_states": 3, "trans_kappa": 9}

    def test_others_are_compared_with_the_best_that_is_not_left_out(self):
        """Their standard error is that of the difference to it, and not to the one left out."""
        result = result_by_hand()
        result.table["n_used_states"] = np.repeat([2.0, 2.0, 3.0, 3.0], 4)
        # 2 states are worse than 3 by 0.2 and better by 0.1; 4 states have no such errors
        result.table["test_score"][:] = np.repeat(
            [-1.5, -1.5, -1.2, -0.9, -1.0, -1.0, -0.9, -0.6], 2
        )
        summary = result.summary()
        assert summary["within_one_standard_error"].tolist() == [False, True, True, False]
        np.testing.assert_allclose(summary["se_difference"][1], 0, atol=1e-12)
        assert result.one_standard_error() == {"n_states": 2, "trans_kappa": 9}

    def test_one_standard_error_needs_folds_and_a_number(self, X):
        with pytest.raises(ValueError, match=r"by must be one of \['n_states', 'trans_kappa'\]"):
            result_by_hand().one_standard_error(by="seed")
        one_fold = fake_scan(X, GRID, n_seeds=1, cv=[(np.arange(8), np.arange(8, 12))])
        assert np.isnan(one_fold.summary()["se_test_score"]).all()
        with pytest.raises(ValueError, match="needs two folds"):
            one_fold.one_standard_error()

    def test_frame(self, X, monkeypatch):
        result = fake_scan(X, GRID, cv=2, n_seeds=2)
        frame = result.to_frame()
        assert list(frame.columns) == list(result.table)
        assert len(frame) == 16
        means = frame.groupby("point")["test_score"].mean()
        np.testing.assert_allclose(means, result.summary()["mean_test_score"])
        monkeypatch.setitem(sys.modules, "pandas", None)
        with pytest.raises(ImportError, match="install hhmm with the extra 'io'"):
            result.to_frame()

    def test_repr(self):
        lines = repr(result_by_hand()).splitlines()
        assert lines[0] == "ScanResult: 4 grid points, 16 fits, 8 with warnings"
        assert lines[1].split() == [
            *("n_states", "trans_kappa", "held-out", "score", "to", "the", "best", "duration"),
            *("used", "Rand", "index", "converged"),
        ]
        assert [line.split()[:2] for line in lines[2:6]] == [
            *(["2", "1"], ["2", "9"], ["3", "9"], ["4", "9"])
        ]
        assert ["*" in line for line in lines[2:6]] == [False, False, False, True]
        assert "-1.1000 +- 0.0000  -0.0500 +- 0.0500 " in lines[4]
        assert "-1.0500 +- 0.0500   0.0000 +- 0.0000 *" in lines[5]
        assert lines[5].endswith("50%")


def test_durations_are_printed_in_seconds():
    table = result_by_hand().table
    table["median_duration"] = np.repeat([30.0, 60.0, 15.0, 45.0], 4)
    lines = repr(ScanResult(table, result_by_hand()._points, frame_rate=30.0)).splitlines()
    cells = [line.replace("*", "").split() for line in lines[2:5]]
    # two settings, score and difference with "+-", duration
    assert [row[8] for row in cells] == ["1.0", "2.0", "0.5"]
    assert "durations in s;" in lines[-1]


@pytest.mark.parametrize("with_tqdm", [True, False])
def test_progress(X, capsys, monkeypatch, with_tqdm):
    if not with_tqdm:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    fake_scan(X, {"n_states": [2]}, verbose=1)
    out, err = capsys.readouterr()
    assert "9/9" in (err if with_tqdm else out)
    assert "n_states=2" in (err if with_tqdm else out)
    fake_scan(X, {"n_states": [2]})
    assert capsys.readouterr() == ("", "")


def test_kernels_are_dropped_before_there_are_too_many(monkeypatch):
    dropped = []
    monkeypatch.setattr(_scan.jax, "clear_caches", lambda: dropped.append(1))
    monkeypatch.setattr(Path, "read_text", lambda path: "10000000")
    _free_kernels()
    assert not dropped
    monkeypatch.setattr(Path, "read_text", lambda path: "10")
    _free_kernels()
    assert len(dropped) == Path("/proc/self/maps").exists()


class TestDisplay:
    def test_lines_are_the_summary(self, X):
        grid = {"n_states": [2, 4, 3], "trans_kappa": [50, 10]}
        result = fake_scan(X, grid, cv=2, n_seeds=2)
        display = ScanDisplay.from_result(result)
        summary = result.summary()
        names = ("difference", "median_duration", "n_used_states", "adjusted_rand")
        for lines, name in zip(display.lines_, names, strict=True):
            assert [line.get_label() for line in lines] == ["trans_kappa 10", "trans_kappa 50"]
            for line, kappa in zip(lines, (10, 50), strict=True):
                for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True):
                    (i,) = np.flatnonzero(
                        (summary["n_states"] == round(x)) & (summary["trans_kappa"] == kappa)
                    )
                    assert abs(x - round(x)) < 0.13
                    assert y == summary[f"mean_{name}"][i]
                assert np.round(line.get_xdata()).tolist() == [2, 3, 4]
        texts = [text.get_text() for text in display.figure_.legends[0].get_texts()]
        marks = ["best score", "simplest within one standard error"]
        assert texts == ["trans_kappa 10", "trans_kappa 50", *marks]
        simple = result.one_standard_error()
        lines = {line.get_label(): line for line in display.axes_[0, 0].lines}
        for label, params in zip(marks, (result.best_params_, simple), strict=True):
            (x,), (y,) = lines[label].get_data()
            (i,) = np.flatnonzero(
                (summary["n_states"] == params["n_states"])
                & (summary["trans_kappa"] == params["trans_kappa"])
            )
            assert round(x) == params["n_states"]
            assert y == summary["mean_difference"][i]
        assert lines["best score"].get_ydata() == [0]

    def test_bars_are_standard_errors(self):
        display = ScanDisplay(result_by_hand().summary()).plot()
        ends = [
            [segment[:, 1] for segment in container.lines[2][0].get_segments()]
            for container in display.axes_[0, 0].containers
        ]
        # trans_kappa 1 first
        np.testing.assert_allclose(ends[0], [[-0.5, -0.4]])
        np.testing.assert_allclose(ends[1], [[-0.1, -0.1], [-0.1, 0], [0, 0]], atol=1e-12)

    def test_seconds(self):
        summary = result_by_hand().summary()
        display = ScanDisplay(summary, frame_rate=4.0).plot()
        assert display.axes_[0, 1].get_ylabel() == "median duration of states (s)"
        (first,) = display.lines_[1][0].get_ydata()
        assert first == summary["mean_median_duration"][0] / 4
        assert "timesteps" in ScanDisplay(summary).plot().axes_[0, 1].get_ylabel()
        with pytest.raises(ValueError, match="frame_rate must be > 0 and finite, got 0"):
            ScanDisplay(summary, frame_rate=0).plot()

    def test_a_line_a_duration_where_kappa_goes_with_the_number_of_states(self, X):
        grid = [
            {"n_states": [k], "trans_kappa": trans_kappa_from_duration([10, 90], n_states=k)}
            for k in (2, 3, 4)
        ]
        display = ScanDisplay.from_result(fake_scan(X, grid, cv=2, n_seeds=1), frame_rate=30)
        labels = [line.get_label() for line in display.lines_[0]]
        assert labels == ["expected duration 0.333 s", "expected duration 3 s"]
        assert all(len(line.get_xdata()) == 3 for line in display.lines_[0])

    @pytest.mark.parametrize("n_states", [[1, 2, 3], [1, 2]])
    def test_a_grid_of_durations(self, X, n_states):
        grid = {"n_states": n_states, "duration": [1, 20]}
        model = FakeModel(max_iter=10, frame_rate=30)
        result = fake_scan(X, grid, estimator=model, cv=2, n_seeds=1)
        display = ScanDisplay.from_result(result)
        assert [line.get_label() for line in display.lines_[0]] == [
            "expected duration 1 s",
            "expected duration 20 s",
        ]
        # one state lasts throughout, and is part of both lines
        assert [len(line.get_xdata()) for line in display.lines_[0]] == [len(n_states)] * 2
        assert display.axes_[0, 1].get_ylabel() == "median duration of states (s)"

    def test_one_setting_one_seed_one_fold(self, X):
        result = fake_scan(X, {"n_states": [3]}, n_seeds=1, cv=[(np.arange(8), np.arange(8, 12))])
        display = ScanDisplay.from_result(result)
        assert [text.get_text() for text in display.axes_[1, 1].texts] == [
            "needs two seeds or more"
        ]
        assert [t.get_text() for t in display.figure_.legends[0].get_texts()] == ["best score"]
        display.figure_.canvas.draw()

    def test_many_lines_have_colours_of_their_own(self, X):
        result = fake_scan(X, {"n_states": [2], "trans_kappa": [*range(20, 31)]}, cv=2, n_seeds=1)
        lines = ScanDisplay.from_result(result).lines_[0]
        colours = {tuple(np.atleast_1d(line.get_color()).tolist()) for line in lines}
        assert len(colours) == len(lines) == 11

    def test_the_choice_says_if_the_best_leaves_states_unused(self):
        table = result_by_hand().table
        table["n_used_states"] = np.repeat([2.0, 2.0, 3.0, 3.0], 4)
        display = ScanDisplay.from_result(ScanResult(table, result_by_hand()._points))
        (label,) = [text.get_text() for text in display.figure_.legends[0].get_texts()[-1:]]
        assert label == "simplest within one standard error, more states only if more are used"

    def test_in_given_axes(self):
        _, axes = plt.subplots(1, 4)
        display = ScanDisplay(result_by_hand().summary()).plot(axes)
        assert display.axes_.ravel().tolist() == axes.tolist()
        assert len(axes[0].get_legend().get_texts()) == 4
        with pytest.raises(ValueError, match="axes must be 4 matplotlib Axes, got 2"):
            ScanDisplay(result_by_hand().summary()).plot(axes[:2])


def test_exports():
    assert sorted(model_selection.__all__) == model_selection.__all__
    assert all(callable(getattr(model_selection, n)) for n in model_selection.__all__)
