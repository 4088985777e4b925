"""The page of `hhmm.report`: what it says, that it is whole, and what is refused."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import hhmm
import hhmm._report
from hhmm import EfficientHHMM
from hhmm._report import _figures, _page
from hhmm._report import _words as words
from hhmm.datasets import make_hhmm
from hhmm.diagnostics import posterior_summary
from hhmm.model_selection import ScanResult
from hhmm.preprocessing import SyllableEncoder
from tests.published import PUBLISHED

matplotlib = pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")
pytest.importorskip("pandas")
matplotlib.use("Agg")

VOID = {"meta", "img", "br", "hr", "link", "input"}
HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}", "a & b'"]


class Page(HTMLParser):
    """What a browser sees of a page: elements with their attributes, and the text."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.open, self.texts = [], [], []
        self.source = Path(path).read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        assert not self.open, f"not closed: {self.open}"
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


ANIMALS = list("aabbccdd")


@pytest.fixture(autouse=True)
def figures_are_closed():
    from matplotlib import pyplot as plt

    before = plt.get_fignums()
    yield
    assert plt.get_fignums() == before


@pytest.fixture(scope="module")
def data():
    return make_hhmm(8, 120, n_states=2, n_syllables=6, emission_biases_sigma=2.0, random_state=0)


@pytest.fixture(scope="module")
def model(data):
    return EfficientHHMM(2, max_iter=12, init="prior", random_state=0).fit(data.X)


@pytest.fixture(scope="module")
def fitted_to_groups(data):
    settings = PUBLISHED | {"max_iter": 200, "init": "prior", "random_state": 0}
    return EfficientHHMM(2, algorithm="em", **settings).fit(data.X, groups=ANIMALS)


@pytest.fixture
def without_figures(monkeypatch):
    """Leave out the figures, which take longer than the words."""
    monkeypatch.setattr(hhmm._report, "make_pictures", lambda material, findings: {})


words_only = pytest.mark.usefixtures("without_figures")


def made(n_states, n_syllables, **settings):
    """A model of given parameters: states of the tests are given, so these do not matter."""
    return EfficientHHMM.from_params(
        np.zeros((n_syllables, n_syllables - 1)),
        np.zeros((n_states - 1, n_syllables - 1)),
        np.full((n_states, n_states), 1 / n_states),
        **settings,
    )


def by_hand():
    """Return syllables, states and labels: 2 s of state 0, then 1 s of 1 and 1 s of 0, at 10/s."""
    states = [np.repeat([0, 1, 0], [20, 10, 10]), np.repeat([1, 0], [10, 10])]
    syllables = [np.where(z == 0, np.arange(z.size) % 2, 2 + np.arange(z.size) % 2) for z in states]
    return syllables, states, [4, 17, 21, 33]


def write(tmp_path, model, X, **options):
    return Page(hhmm.report(model, X, tmp_path / "report.html", **options))


@words_only
def test_the_page_says_what_states_are(tmp_path):
    X, states, labels = by_hand()
    page = write(
        tmp_path,
        made(2, 4, frame_rate=10),
        X,
        states=states,
        syllable_names=labels,
        names=["a", "b"],
    )
    # 40 of 60 frames; 40 frames and 1 end seen; 20 frames and 2 ends seen
    assert (
        "State 0 : 67 % of the time, 4 s at a time, 1.5 visits a recording; "
        "promotes syllables 4 and 17, suppresses 21 and 33; "
        "used by 2 of 2 recordings."
    ) in page.text
    assert (
        "State 1 : 33 % of the time, 1 s at a time, 1 visit a recording; "
        "promotes syllables 21 and 33, suppresses 4 and 17; "
        "used by 2 of 2 recordings."
    ) in page.text
    assert "6 s (60 frames at 10 per second)" in page.text
    assert "2 states in 2 recordings (6 s in all); states last 1 s to 4 s on average" in page.text
    assert "each recording counts as another animal" in page.text


@words_only
def test_without_a_frame_rate_times_are_timesteps(tmp_path):
    X, states, _ = by_hand()
    page = write(tmp_path, made(2, 4).set_state_names(["rest", "groom"]), X, states=states)
    assert (
        "rest : 67 % of the time, 40 timesteps at a time, 1.5 visits a recording; promotes "
        "syllables 0 and 1" in page.text
    )
    assert "groom : 33 % of the time, 10 timesteps at a time" in page.text
    assert "60 timesteps" in page.text


@words_only
def test_held_syllables_count_once(tmp_path):
    """The share of a syllable is how often it begins, if the model has no self-transitions."""
    X = [np.repeat([0, 1, 2], [50, 1, 50])]
    states = [np.repeat([0, 1], [51, 50])]
    for self_transitions, shares in ((False, "50 %, overall 33 %"), (True, "98 %, overall 50 %")):
        path = tmp_path / str(self_transitions)
        path.mkdir()
        model = made(2, 3, self_transitions=self_transitions)
        page = write(path, model, X, states=states, syllable_names=["a", "b", "c"])
        assert f"a ({shares})" in page.text


def test_the_page_is_whole_and_fetches_nothing(tmp_path, model, data):
    groups = {"treatment": ["saline", "drug"] * 4}
    page = write(tmp_path, model, data.X, groups=groups, animals=ANIMALS)
    assert page.source.lstrip().startswith("<!DOCTYPE html>")
    images = page.all("img")
    assert len(images) >= 5
    for image in images:
        assert image["src"].startswith("data:image/png;base64,")
        assert len(image["alt"]) > 20
    names = {tag for tag, _ in page.elements}
    assert not names & {"script", "link", "iframe", "object", "embed", "form", "base"}
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    for _, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes)
        assert "srcset" not in attributes
        if "href" in attributes:
            assert attributes["href"].removeprefix("#") in ids
        if "aria-labelledby" in attributes:
            assert attributes["aria-labelledby"] in ids
    assert "url(" not in page.source
    assert "@import" not in page.source
    assert "http://" not in page.source
    assert "https://" not in page.source
    assert [x for x in page.all("meta") if x.get("name") == "viewport"]
    policy = next(
        x["content"] for x in page.all("meta") if "content" in x and "src" in x["content"]
    )
    assert "default-src 'none'" in policy
    heads = [text for text in re.findall(r"<h2[^>]*>(.*?)</h2>", page.source)]
    assert heads[0].endswith(("them first", "it first"))  # the warnings
    assert heads[1:] == [
        *("What was fitted", "Ethogram", "States in words", "Comparisons of groups"),
        *("Convergence", "Methods", "How to cite", "Recordings"),
    ]


def test_names_are_text_and_no_markup(tmp_path):
    X, states, _ = by_hand()
    X, states = X * 2, states * 2
    page = write(
        tmp_path,
        made(2, 4).set_state_names(HOSTILE[:2]),
        X,
        states=states,
        names=HOSTILE,
        animals=HOSTILE,
        groups={HOSTILE[0]: [HOSTILE[1], HOSTILE[2]] * 2},
        syllable_names=HOSTILE,
        title=HOSTILE[0],
        notes=[HOSTILE[1]],
        warnings=[HOSTILE[2]],
    )
    assert "script" not in {tag for tag, _ in page.elements}
    assert all("onerror" not in attributes for attributes in page.all("img"))
    for name in HOSTILE:
        assert name in page.text
    assert "49" not in page.text.split("How to cite")[0].replace("490", "")


@words_only
def test_differences_between_groups_are_sentences(tmp_path):
    rng = np.random.default_rng(0)
    states, X, groups = [], [], ["saline"] * 6 + ["drug"] * 6
    for group in groups:
        # 20 and 20 timesteps, or 60 and 20
        lengths = np.tile([60 if group == "drug" else 20, 20], 6) + rng.integers(-2, 3, 12)
        states.append(np.repeat(np.tile([0, 1], 6), lengths))
        X.append(2 * states[-1] + rng.integers(0, 2, states[-1].size))
    model = made(2, 4, frame_rate=10)
    page = write(tmp_path, model, X, states=states, groups=groups, random_state=0)
    found = re.search(
        r"Mean stay in state 0: (\S+) s in drug, (\S+) s in saline, so (\S+) times as long "
        r"\(95 % interval (\S+) to (\S+); q (= 0\.00\d|< 0.001)\)",
        page.text,
    )
    drug, saline, ratio, low, high = map(float, found.groups()[:5])
    assert low < ratio < high
    np.testing.assert_allclose([ratio, drug, saline], [3, 6, 2], rtol=0.15)
    assert re.search(
        r"Time in state 0: 75 % in drug, 5\d % in saline \(\+2\d percentage points", page.text
    )


@words_only
def test_columns_that_cannot_be_compared_are_named(tmp_path):
    X, states, _ = by_hand()
    X, states = X * 6, states * 6
    groups = {"sex": ["f"] * 12, "day": [str(i) for i in range(12)]}
    page = write(tmp_path, made(2, 4), X, states=states, groups=groups)
    assert "Column 'sex' has one label only, 'f', so it was not compared." in page.text
    assert "Column 'day' has 12 different labels, so it was not compared." in page.text


def a_scan(numbers, scores):
    """A result of 2 folds and 2 seeds."""
    n = 4 * len(numbers)
    of_points = {name: np.zeros(n) for name in ("train_score", "log_joint", "seconds")}
    table = {
        "point": np.repeat(np.arange(len(numbers)), 4),
        "fold": np.tile([0, 0, 1, 1], len(numbers)),
        "seed": np.tile([0, 1], 2 * len(numbers)),
        "n_states": np.repeat(numbers, 4),
        "trans_kappa": np.full(n, 100.0),
        "prior_duration": np.full(n, 50.0),
        "random_state": np.arange(n),
        "test_score": np.repeat(scores, 4) + np.tile([0, 0, 0.002, 0.002], len(numbers)),
        **of_points,
        "n_iter": np.full(n, 10),
        "converged": np.ones(n, bool),
        "median_duration": np.full(n, 30.0),
        "n_used_states": np.repeat(numbers, 4),
        "matched_accuracy": np.ones(n),
        "adjusted_rand": np.ones(n),
        "warnings": np.full(n, "", object),
    }
    return ScanResult(table, [{"n_states": int(k)} for k in numbers])


def test_how_the_number_of_states_was_chosen(tmp_path):
    X, states, _ = by_hand()
    page = write(tmp_path, made(2, 4), X, states=states, scan=a_scan([1, 2, 3], [-2, -1, -1.5]))
    assert "Models with 1 to 3 states were fitted" in page.text
    assert "The best score is that of 2 states" in page.text
    assert "Try a wider range" not in page.text
    assert "Scores, durations, used states" in page.source  # the figure


@words_only
def test_a_number_is_chosen_by_one_standard_error_or_otherwise(tmp_path):
    X, states, _ = by_hand()
    for spread, said in ((0.01, "2 was chosen: it is the smallest"), (0, "2 was chosen otherwise")):
        result = a_scan([1, 2, 3], [-2, -1, -0.999])
        result.table["test_score"][8:] += np.repeat([spread, -spread], 2)  # between the folds
        page = write(tmp_path, made(2, 4), X, states=states, scan=result, overwrite=True)
        assert said in page.text
    result.table["n_used_states"][8:] = 2
    page = write(tmp_path, made(2, 4), X, states=states, scan=result, overwrite=True)
    text = "Its fits use no more states than those of a smaller number, so it was left out. "
    assert f"{text}2 was chosen" in page.text


@words_only
def test_a_number_at_the_end_of_the_range_asks_for_a_wider_one(tmp_path):
    X, states, _ = by_hand()
    page = write(tmp_path, made(2, 4), X, states=states, scan=a_scan([1, 2], [-2, -1]))
    assert "2 is the largest number that was tried. Try a wider range." in page.text


@words_only
def test_warnings_come_first_with_what_to_do(tmp_path, model, data):
    X, states, _ = by_hand()
    page = write(tmp_path, made(3, 4), X, states=states, warnings=["the fit was slow"])
    box = page.text.index("2 warnings: read them first")
    assert box < page.text.index("What was fitted")
    assert "The fit was slow." in page.text
    assert "State 2 takes less than 1% of the time. What to do: Do not interpret" in page.text
    page = write(tmp_path, model, data.X, overwrite=True)
    assert "12 sweeps, too few to judge if it had settled. What to do:" in page.text
    page = write(tmp_path, made(2, 4), X, states=states, overwrite=True)
    assert "No warnings All states are in use." in page.text


@words_only
def test_states_of_the_page_are_those_of_the_groups_of_the_fit(tmp_path, data, fitted_to_groups):
    fit = fitted_to_groups
    page = write(tmp_path, fit, data.X, animals=ANIMALS)
    expected = fit.predict(data.X, groups=ANIMALS)
    share = " ".join(words.percent(np.mean(np.asarray(expected) == 0)).split())
    assert f"State 0 : {share} of the time" in page.text
    assert "were inferred without them" not in page.text
    page = write(tmp_path, fit, data.X, overwrite=True)
    assert "fitted with groups, but the states were inferred without them" in page.text


@pytest.mark.slow
def test_many_recordings_and_states(tmp_path):
    rng = np.random.default_rng(0)
    states = [np.repeat(rng.integers(0, 12, 10), 30) for _ in range(100)]
    X = [z % 5 for z in states]
    names = [f"a recording with a long name {i}" for i in range(100)]
    page = write(tmp_path, made(12, 5, frame_rate=30), X, states=states, names=names)
    assert all(name in page.text for name in names)
    assert page.text.count("of the time, ") == 12
    assert "60 of 100 recordings are shown" in page.text
    assert "40 are left out" in page.text
    assert len(page.source) < 3_000_000


@pytest.mark.parametrize(
    ("names", "rows"),
    [
        (["24_03_05 mouse-1 (drug)", "24_03_05 mouse-2 (drug)"], ["1", "2"]),
        (["a day of mouse one", "a day of rat one"], ["mouse", "rat"]),
        (
            ["day one of the experiment x", "day two of the experiment"],
            ["one of the experiment x", "two of the experiment"],
        ),
        (["the same beginning", "the same beginning, more"], ["beginning", "beginning, more"]),
        (["one long name of a recording"],) * 2,
    ],
)
def test_long_names_of_rows_are_the_parts_that_differ(names, rows):
    assert _figures._different_parts(names) == rows


def test_every_group_has_its_share_of_the_ethogram():
    groups = np.repeat(["saline", "drug", "sham"], [60, 39, 1])
    kept = _figures._thinned(list(range(100)), groups)
    assert kept == sorted(set(kept))
    assert [np.sum(groups[kept] == group) for group in ("saline", "drug", "sham")] == [36, 23, 1]
    assert _figures._thinned([2, 0, 1], ["a"] * 3) == [2, 0, 1]


@words_only
def test_recordings_with_missing_syllables(tmp_path):
    X, states, _ = by_hand()
    X[1] = np.append(X[1], [-1, -1])
    X[1][3] = -1
    states[1] = np.append(states[1], [-1, -1])
    page = write(tmp_path, made(2, 4), X, states=states)
    assert "Without a syllable" in page.text
    assert "1.7 % of the timesteps" in page.text  # 1 of 60; those at the end are padding


def test_a_report_of_one_state(tmp_path):
    X, _, _ = by_hand()
    page = write(tmp_path, made(1, 4), X, states=[np.zeros(x.size, int) for x in X])
    assert (
        "State 0 : 100 % of the time, no stay seen to end, 1 visit a recording; used by 2 of 2"
    ) in page.text


def test_a_fit_without_draws(tmp_path, data, fitted_to_groups):
    em = fitted_to_groups
    page = write(tmp_path, em, data.X, animals=ANIMALS)
    assert f"The log joint had settled after {em.n_iter_} iterations of 1 chain." in page.text
    assert "expectation maximisation" in page.text
    assert "R-hat" not in page.text
    assert "Uncertainty of the model" not in page.text


def test_a_model_that_was_not_fitted(tmp_path):
    X, states, _ = by_hand()
    page = write(tmp_path, made(2, 4), X, states=states)
    assert "made from given parameters and not fitted" in page.text
    assert "Course of the fit" not in page.text


@words_only
def test_convergence_is_explained(tmp_path, data):
    chains = EfficientHHMM(2, max_iter=12, init="prior", n_chains=2, random_state=0).fit(data.X)
    page = write(tmp_path, chains, data.X)
    summary = posterior_summary(chains)
    rows = [name.startswith(("log_joint", "usage", "dwell")) for name in summary.name]
    largest = max(summary.rhat[np.array(rows) & (summary.name != "usage_entropy")])
    assert f"joint, usage and dwell times is {largest:.2f}" in page.text
    shown = np.array(rows) & (summary.name != "usage_entropy")
    fewest = np.nanmin(summary.ess_bulk[shown])
    assert f"they are worth, at the fewest {fewest:.0f}. These are few" in page.text
    mean = words.number(summary.mean[0])
    assert f"all log joint (nats) {mean} " in page.text


@words_only
def test_settings_and_scales(tmp_path, model, data):
    page = write(tmp_path, model, data.X)
    table = page.text.split("Settings that differ from the defaults")[1].split("Scales")[0]
    assert table.split() == [
        *("Setting", "Value", "init", "'prior'", "max_iter", "12"),
        *("n_states", "2", "random_state", "0"),
    ]
    learnt = words.number(model.sigmas_["emission_biases_sigma"])
    assert f"emission_biases_sigma {learnt} learnt" in page.text
    assert "trans_kappa 100 given" in page.text
    assert "emission_interactions_sigma" not in page.text


def bad_inputs():
    """Yield name, arguments, class of the error, and its message."""
    _, states, _ = by_hand()
    short = [states[0], states[1][:-1]]
    yield "clock", {"states": short}, ValueError, r"recording '1' have 19 timesteps, but X has 20"
    yield "recordings", {"states": states[:1]}, ValueError, "of 2 recordings, as X is, got 1"
    yield (
        "large",
        {"states": [z + 1 for z in states]},
        ValueError,
        "0 to 1, as the model has, got 2",
    )
    yield "names", {"names": ["a"]}, ValueError, "names must have one label for each of 2"
    yield "groups", {"groups": ["a"]}, ValueError, "groups must have one label for each of 2"
    yield "label", {"groups": ["a", None]}, ValueError, "groups has no label for recording 1"
    yield "column", {"groups": {"sex": ["f", ""]}}, ValueError, r"groups\['sex'\] has no label"
    yield "animals", {"animals": list("abc")}, ValueError, "animals must have one label"
    yield "syllables", {"syllable_names": ["a"]}, ValueError, "syllable_names must hold 4 labels"
    yield "reference", {"groups": ["a", "b"], "reference": "c"}, ValueError, "got 'c'"
    yield "warnings", {"warnings": "text"}, TypeError, "must be a list of sentences, got a string"
    yield "scan", {"scan": 3}, TypeError, "scan must be a ScanResult, got 3"
    yield "overwrite", {"overwrite": "no"}, TypeError, "overwrite"


@pytest.mark.parametrize(
    ("options", "error", "message"), [c[1:] for c in bad_inputs()], ids=[c[0] for c in bad_inputs()]
)
def test_bad_input_is_refused(options, error, message, tmp_path):
    X, states, _ = by_hand()
    options = {"states": states, **options}
    with pytest.raises(error, match=message):
        hhmm.report(made(2, 4), X, tmp_path / "report.html", **options)
    assert not list(tmp_path.iterdir())


def test_only_a_fitted_model_has_a_report(tmp_path):
    X, _, _ = by_hand()
    with pytest.raises(ValueError, match="not fitted"):
        hhmm.report(EfficientHHMM(2), X, tmp_path / "report.html")
    encoder = SyllableEncoder().fit(X)
    with pytest.raises(TypeError, match="must be a fitted EfficientHHMM, got SyllableEncoder"):
        hhmm.report(encoder, X, tmp_path / "report.html")


@words_only
def test_where_the_page_goes(tmp_path):
    X, states, _ = by_hand()
    path = tmp_path / "report.html"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match=r"exists\. Give another path, or overwrite=True"):
        hhmm.report(made(2, 4), X, path, states=states)
    assert path.read_text() == "mine"
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        hhmm.report(made(2, 4), X, tmp_path / "absent" / "report.html", states=states)
    with pytest.raises(IsADirectoryError):
        hhmm.report(made(2, 4), X, tmp_path, states=states)
    assert hhmm.report(made(2, 4), X, str(path), states=states, overwrite=True) == path
    assert "<h1>States of behaviour</h1>" in path.read_text(encoding="utf-8")


@words_only
def test_a_failure_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    X, states, _ = by_hand()
    path = tmp_path / "report.html"
    path.write_text("mine")

    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(_page, "render", fail)
    with pytest.raises(OSError, match="disk full"):
        hhmm.report(made(2, 4), X, path, states=states, overwrite=True)
    assert path.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [path]


def test_the_citation_is_that_of_the_readme():
    readme = (Path(__file__).parents[2] / "README.rst").read_text(encoding="utf-8")
    lines = [line.strip() for line in _page.CITATION.splitlines()]
    text = " ".join(readme.split())
    assert " ".join(lines).replace("VERSION", hhmm.__version__) in text


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        (0.184, "18 %"),
        (0.0994, "9.9 %"),
        (0.0996, "10 %"),
        (0.0, "0 %"),
        (1e-4, "< 0.1 %"),
        (1, "100 %"),
    ],
)
def test_percentages(fraction, text):
    assert words.percent(fraction).replace("\N{NO-BREAK SPACE}", " ") == text


@pytest.mark.parametrize(
    ("n_timesteps", "rate", "text"),
    [
        (930, 30, "31 s"),
        (93, 30, "3.1 s"),
        (1800, 30, "1.0 min"),
        (5400, 30, "3.0 min"),
        (30 * 3600 * 26.5, 30, "26.5 h"),
        (1.2, None, "1.2 timesteps"),
        (1, None, "1 timestep"),
        (12345, None, "12,345 timesteps"),
        (np.nan, 30, "unknown"),
    ],
)
def test_durations(n_timesteps, rate, text):
    assert words.duration(n_timesteps, rate).replace("\N{NO-BREAK SPACE}", " ") == text


def test_promoted_syllables_are_clearly_more_frequent():
    overall = np.array([0.5, 0.3, 0.1, 0.1, 0.0])
    assert words.promoted(np.array([0.55, 0.1, 0.2, 0.145, 0.005]), overall) == [2, 3]
    assert words.promoted(overall, overall) == []
