"""The commands: the demo, fit, predict and report.

Results are written into a folder beside their place, ``OUT.partial``, which gets its name when it
is complete. So there is a whole folder or none. It also has the checkpoint, from which the same
command continues after an interruption.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import jax
import joblib
import numpy as np

import hhmm
from hhmm import EfficientHHMM, datasets
from hhmm._command_line import demo
from hhmm._command_line.read import Groups, add_options, read_groups, read_recordings
from hhmm._command_line.write import write_results
from hhmm._optional.extras import import_extra
from hhmm._report._material import Material
from hhmm._report._words import Caution, capitalised
from hhmm._runtime.compilation_cache import CompilationCache, user_folder
from hhmm._runtime.interrupts import plain_interrupts
from hhmm._sequences.ragged import Layout
from hhmm._sequences.read import read_runs
from hhmm._sequences.run_lengths import RunLengths
from hhmm._validation import SingleStateWarning, UnusedStatesWarning, check_state_names
from hhmm.model_selection import scan
from hhmm.preprocessing import SyllableEncoder

BAD_INPUT, FAILED, INTERRUPTED = 2, 1, 130
_BAD_INPUT = (
    ValueError,
    TypeError,
    ImportError,
    FileNotFoundError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)
_EXAMPLE = """examples:
  python -m hhmm fit results.h5 --n-states 4 --frame-rate 30 --groups groups.csv --out out
  python -m hhmm fit results.h5 --n-states 2-8 --frame-rate 30 --out out
  python -m hhmm report out --state-names rest,groom,explore,run
  python -m hhmm predict out new_results.h5 --out new_states
"""
# how the library calls what the command line has as options
_OPTIONS = {
    "Fit with groups=animals": "Give the animal of each recording in --groups",
    "integer_labels=False": "--text-labels",
    "fill_gaps=True": "--fill-gaps",
    "frame=": "--frame ",
    "onset=": "--onset ",
    "sep=": "--sep ",
    "max_iter": "--max-iter",
    "n_states=1": "--n-states 1",
    "n_states": "--n-states",
    "n_chains": "--n-chains",
    "n_init": "--n-init",
    "random_state": "--seed",
    "state_names": "--state-names",
}
# names of the files of a result
_MODEL, _ENCODER, _DATA, _ABOUT = "model.joblib", "encoder.joblib", "data.npz", "about.json"
_PAGE = "report.html"
_SCAN = "scan.joblib"
# arrays of the recordings in the file of the data
_RUNS = ("labels", "n_timesteps", "n_runs")
_COMMAND = "command.json"  # only in a folder to continue


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status: 0, 1 (failed), 2 (bad input), 130 (interrupted)."""
    parser = _parser()
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        takes_pattern = getattr(options, "command", None) in ("fit", "predict")
        are_files = takes_pattern and all(Path(text).exists() for text in unknown)
        advice = ". Put a pattern of files in quotes" if are_files else ""
        parser.error(f"unrecognized arguments: {' '.join(unknown)}{advice}")
    command = getattr(options, "command", None) or "demo"
    try:
        with _compiled_code_kept():
            _COMMANDS[command](options)
    except KeyboardInterrupt:
        print("\nInterrupted. The same command continues a fit from its last checkpoint, if any.")
        return INTERRUPTED
    except _BAD_INPUT as error:
        print(f"hhmm {command}: {_in_options(str(error))}", file=sys.stderr)
        return BAD_INPUT
    except (FloatingPointError, MemoryError, OSError) as error:
        print(f"hhmm {command} failed: {_in_options(str(error))}", file=sys.stderr)
        return FAILED
    return 0


@contextlib.contextmanager
def _compiled_code_kept():
    """Keep what JAX compiles for the next command, unless the user has set this otherwise."""
    is_set = jax.config.jax_compilation_cache_dir or not jax.config.jax_enable_compilation_cache
    with contextlib.ExitStack() as stack:
        if not is_set:
            with contextlib.suppress(OSError):  # a home that cannot be written to
                user_folder().mkdir(parents=True, exist_ok=True)
                stack.callback(CompilationCache(user_folder()).close)
        yield


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m hhmm",
        description="Find slow states in syllables. Without a command, it runs a demo.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"hhmm {hhmm.__version__}")
    parser.add_argument(
        "--out",
        dest="demo_out",
        type=Path,
        default=Path("hhmm-figures"),
        help="folder for the figures of the demo (default: %(default)s)",
    )
    commands = parser.add_subparsers(dest="command", title="commands")

    fit = commands.add_parser(
        "fit", help="fit recordings, and write states, tables, figures and a report"
    )
    fit.add_argument(
        "data", type=Path, help="results.h5, a table, a folder, or a pattern in quotes"
    )
    fit.add_argument("--out", type=Path, required=True, help="folder to make for the results")
    fit.add_argument(
        "--n-states",
        type=_numbers,
        required=True,
        metavar="K",
        help="number of states, or a range such as 2-8 to choose from by held-out recordings",
    )
    fit.add_argument(
        "--frame-rate", type=float, metavar="F", help="timesteps per second, for units of time"
    )
    fit.add_argument(
        "--groups",
        type=Path,
        metavar="CSV",
        help="table with a column recording, and columns animal, condition or others",
    )
    fit.add_argument(
        "--reference", metavar="GROUP", help="group that others are compared with (default: first)"
    )
    fit.add_argument("--state-names", type=_names, metavar="A,B,...", help="names of the states")
    fit.add_argument(
        "--max-iter",
        type=int,
        default=100,
        metavar="N",
        help="number of sweeps (default: %(default)s)",
    )
    fit.add_argument(
        "--n-chains",
        type=int,
        default=1,
        metavar="N",
        help="number of chains (default: %(default)s)",
    )
    fit.add_argument(
        "--n-init",
        type=int,
        default=1,
        metavar="N",
        help="searches for a start, of which the best is kept (default: %(default)s)",
    )
    fit.add_argument(
        "--seed", type=int, default=0, help="seed of all random numbers (default: %(default)s)"
    )
    fit.add_argument(
        "--n-folds",
        type=int,
        default=5,
        metavar="N",
        help="folds to choose the number of states (default: %(default)s)",
    )
    fit.add_argument(
        "--n-seeds",
        type=int,
        default=2,
        metavar="N",
        help="fits of each number in each fold (default: %(default)s)",
    )
    fit.add_argument(
        "--n-jobs",
        type=int,
        default=1,
        metavar="N",
        help="fits at the same time, -1 for all cores (default: 1)",
    )
    add_options(fit)

    predict = commands.add_parser("predict", help="find the states of other recordings")
    predict.add_argument("model", type=Path, help="folder of a fit")
    predict.add_argument("data", type=Path, help="recordings, as for fit")
    predict.add_argument("--out", type=Path, required=True, help="folder to make for the states")
    predict.add_argument(
        "--groups", type=Path, metavar="CSV", help="table with the animal of each recording"
    )
    add_options(predict)

    report = commands.add_parser("report", help="write the report of a fit again")
    report.add_argument("model", type=Path, help="folder of a fit")
    report.add_argument("--state-names", type=_names, metavar="A,B,...", help="names of the states")
    report.add_argument("--title", help="title of the page")
    return parser


def _numbers(text):
    """Return the numbers of states of "4" or "2-8"."""
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
    if match is None or int(match[1]) < 1 or int(match[2] or match[1]) < int(match[1]):
        raise argparse.ArgumentTypeError(f"expected a number such as 4 or a range 2-8, got {text}")
    return list(range(int(match[1]), int(match[2] or match[1]) + 1))


def _names(text):
    return [name.strip() for name in text.split(",")]


def _in_options(text):
    """Return a message with the options of the command line in place of Python's arguments."""
    for argument, option in _OPTIONS.items():
        # as a word of the sentence, and not as a part of a name or path
        end = "" if argument.endswith("=") else r"(?![\w/'\"])"
        text = re.sub(rf"(?<![\w./'\"-]){argument}{end}", option, text)
    return text


def _demo(options):
    demo.run(options.demo_out)


def _fit(options):
    """Fit recordings, and write all results."""
    for package in ("pandas", "matplotlib", "jinja2"):
        import_extra(package, "python -m hhmm fit")
    out = options.out
    _check_new(out)
    messages: list[str] = []
    data = _read(options, messages)
    if data.times is not None and options.frame_rate is not None:
        raise ValueError(
            "With --onset each event is one timestep, so times in seconds are not known. Leave out "
            "--frame-rate."
        )
    groups = _groups_of(data, options.groups)
    known = {label for column in groups.factors.values() for label in column}
    if options.reference is not None and options.reference not in known:
        found = "There are none: give them with --groups."
        if known:
            found = f"The groups are {', '.join(map(repr, sorted(known)))}."
        raise ValueError(f"No recording is in group {options.reference!r}. {found}")
    if options.state_names is not None and {len(options.state_names)} != {*options.n_states}:
        raise ValueError(
            f"--state-names has {len(options.state_names)} names. Give one for each state, and one "
            "number in --n-states."
        )
    check_state_names(options.state_names, options.n_states[0])
    encoder = SyllableEncoder()
    runs = read_runs(encoder.fit_transform(data.sequences), "X")
    model = EfficientHHMM(
        options.n_states[0],
        frame_rate=options.frame_rate,
        max_iter=options.max_iter,
        n_chains=options.n_chains,
        n_init=options.n_init,
        random_state=options.seed,
        verbose=1,
    )
    model._validate_params()
    partial = out.with_name(f"{out.name}.partial")
    if partial.exists():
        _check_partial(partial, options.n_states)
        print(f"Continuing what {partial} has.")
    partial.mkdir(exist_ok=True)
    try:
        _fit_into(partial, model, encoder, runs, data, groups, options, messages)
    except BaseException:
        if not any(partial.glob("fit.npz")) and not any(partial.glob("scan.jsonl")):
            shutil.rmtree(partial)  # there is nothing to continue
        raise
    os.rename(partial, out)
    print(f"Results are in {out}. Open {out / _PAGE} in a browser.")


def _read(options, messages):
    """Read recordings, print what was read, and add warnings to `messages`."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = read_recordings(options.data, options)
    print(f"Read {data.source}.", flush=True)
    for warning in caught:
        messages.append(_in_options(str(warning.message)))
        print(f"Warning: {messages[-1]}", flush=True)
    return data


def _check_partial(partial, n_states):
    """Raise an error if a folder to continue is of a command with other numbers of states."""
    path = partial / _COMMAND
    there = json.loads(path.read_text())["n_states"] if path.exists() else n_states
    if there != n_states:
        shown = [f"{x[0]}-{x[-1]}" if len(x) > 1 else f"{x[0]}" for x in (there, n_states)]
        raise ValueError(
            f"{partial} is of another command: n_states is {shown[0]} there, {shown[1]} here. It "
            "was not changed. Give another --out, or remove that folder."
        )


def _fit_into(partial, model, encoder, runs, data, groups, options, messages):
    """Fit, and write all results into a folder. Add warnings to `messages`."""
    (partial / _COMMAND).write_text(json.dumps({"n_states": options.n_states}))
    result, X = None, runs.items()
    if len(options.n_states) > 1:
        result = _choose(X, model, groups.animals, options, partial, messages)
        model.set_params(n_states=result.one_standard_error()["n_states"])
        print(f"{result}\nChosen: {model.n_states} states.")
    began = time.perf_counter()
    with plain_interrupts(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, groups=groups.animals, checkpoint=partial / "fit.npz")
    of_fit = _of_user(caught)
    # the report has these of the states that it shows, and not of those of the last sweep
    not_in_report = UnusedStatesWarning | SingleStateWarning
    messages += [
        _in_options(str(warning.message))
        for warning in of_fit
        if not issubclass(warning.category, not_in_report)
    ]
    print(f"Fitted {model.n_states} states in {time.perf_counter() - began:.0f} s.")
    if options.state_names is not None:
        model.set_state_names(options.state_names)
    for warning in of_fit:
        print(f"Warning: {_in_options(str(warning.message))}")

    about = {
        "hhmm": hhmm.__version__,
        "data": str(options.data.absolute()),
        "source": data.source.replace(str(options.data), options.data.resolve().name),
        "title": f"States of {options.data.resolve().name}",
        "names": data.names,
        "animals": groups.animals,
        "factors": groups.factors,
        "warnings": messages,
        "reference": options.reference,
        "seed": options.seed,
    }
    joblib.dump(model, partial / _MODEL)
    joblib.dump(encoder, partial / _ENCODER)
    if result is not None:
        joblib.dump(result, partial / _SCAN)
    np.savez_compressed(partial / _DATA, **{name: getattr(runs, name) for name in _RUNS})
    (partial / _ABOUT).write_text(json.dumps(about, indent=1))
    states = model._predict_runs(X, groups=groups.animals)
    _save_states(partial / "states", states.items(), data)
    _write_results(partial, partial, model, states)
    for leftover in partial.glob("fit.npz*"):
        leftover.unlink()
    for leftover in partial.glob("scan.jsonl*"):
        leftover.unlink()
    (partial / _COMMAND).unlink()


def _of_user(caught):
    """Return warnings about the data and the fit, and not of kept code that cannot be written."""
    return [
        warning
        for warning in caught
        if issubclass(warning.category, UserWarning)
        and "persistent compilation cache" not in str(warning.message)
    ]


def _check_new(out):
    """Raise an error if the folder to make exists, or cannot be made."""
    if out.exists():
        raise FileExistsError(f"{out} exists. Give another --out, or remove it.")
    if not out.absolute().parent.is_dir():
        raise FileNotFoundError(
            f"There is no folder {out.absolute().parent} to make {out.name} in."
        )


def _groups_of(data, path):
    """Return `Groups` of a table, or those that the data have."""
    if path is not None:
        return read_groups(path, data.names)
    if data.groups is not None and None not in data.groups:
        return Groups(None, {"group": data.groups})
    return Groups(None, {})


def _choose(X, model, animals, options, partial, messages):
    """Scan the numbers of states; held-out recordings are of known animals where there are some."""
    n_folds = min(options.n_folds, len(X))
    if n_folds < 2:
        raise ValueError(
            "A range of --n-states needs two recordings or more to hold some out. Give one number."
        )
    folds = _folds(animals or [str(i) for i in range(len(X))], n_folds, options.seed)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = scan(
            X,
            {"n_states": options.n_states},
            estimator=EfficientHHMM(**model.get_params() | {"verbose": 0}),
            cv=folds,
            model_groups=animals,
            n_seeds=options.n_seeds,
            random_state=options.seed,
            n_jobs=options.n_jobs,
            checkpoint=partial / "scan.jsonl",
            verbose=1,
        )
    for warning in _of_user(caught):
        message = _in_options(str(warning.message))
        messages.append(f"In the choice of the number of states: {message}")
        print(f"Warning: {messages[-1]}")
    return result


def _folds(animals, n_folds, seed):
    """Return pairs of recordings to fit and to hold out, those of an animal in different folds.

    The folds of scikit-learn do not allow fewer recordings of each animal than there are folds.
    """
    shuffled = np.random.default_rng(seed).permutation(len(animals))
    by_animal = shuffled[np.argsort(np.array(animals)[shuffled], kind="stable")]
    fold = np.empty(len(animals), int)
    fold[by_animal] = np.arange(len(animals)) % n_folds
    return [(np.flatnonzero(fold != i), np.flatnonzero(fold == i)) for i in range(n_folds)]


def _recordings(folder):
    """Return the syllables of the recordings in a folder of results, as `RunLengths`."""
    with np.load(folder / _DATA) as arrays:
        runs = RunLengths.join([[arrays[name] for name in _RUNS]], None)
    return runs._replace(layout=Layout(False, runs.lengths))


def _write_results(folder, out, model, states, title=None):
    """Write tables, figures and the page of the results in a folder into another one."""
    about = json.loads((folder / _ABOUT).read_text())
    labels = joblib.load(folder / _ENCODER).categories_
    print("Writing tables and figures.", flush=True)
    material = Material(
        model=model,
        syllables=_recordings(folder),
        states=states,
        names=about["names"],
        animals=about["animals"],
        factors=about["factors"],
        syllable_names=[str(label) for label in labels],
        state_names=check_state_names(getattr(model, "state_names_", None), model.n_states),
        frame_rate=model.frame_rate,
        title=title or about["title"],
        notes=[f"Data: {about['source']}."],
        cautions=[Caution(capitalised(text)) for text in about["warnings"]],
        scan=joblib.load(folder / _SCAN) if (folder / _SCAN).exists() else None,
        reference=about["reference"],
        random_state=about["seed"],
        has_model_groups=about["animals"] is not None,
    )
    write_results(out, material, out / _PAGE)


def _report(options):
    """Write tables, figures and the page again; all of them or, if one fails, none."""
    folder = options.model
    _check_result(folder)
    model = joblib.load(folder / _MODEL)
    if options.state_names is not None:
        model.set_state_names(options.state_names)
    animals = json.loads((folder / _ABOUT).read_text())["animals"]
    states = model._predict_runs(_recordings(folder).items(), groups=animals)
    aside = folder / ".new"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    try:
        _write_results(folder, aside, model, states, options.title)
        joblib.dump(model, aside / _MODEL)
        for path in [path for path in aside.rglob("*") if path.is_file()]:
            os.replace(path, folder / path.relative_to(aside))
    finally:
        shutil.rmtree(aside)
    print(f"Wrote {folder / _PAGE}.")


def _predict(options):
    _check_result(options.model)
    _check_new(options.out)
    model, encoder = joblib.load(options.model / _MODEL), joblib.load(options.model / _ENCODER)
    data = _read(options, [])
    groups = None
    if model.group_labels_:
        if options.groups is not None:
            groups = read_groups(options.groups, data.names).animals
            unknown = sorted({*(groups or [])} - {*next(iter(model.group_labels_.values()))})
            if unknown:
                print(
                    f"Warning: the fit did not have {len(unknown)} of the animals, for example "
                    f"{unknown[0]!r}: their effects are 0."
                )
        if groups is None:
            print("The animals are not given: their effects are 0.")
    elif options.groups is not None:
        raise ValueError("The model was fitted without animals. Leave --groups out.")
    encoder.set_params(unknown="missing")
    X = read_runs(encoder.transform(data.sequences), "X").items()
    n_unknown = _count_missing(X) - _count_missing(data.sequences)
    if n_unknown:
        print(f"Warning: {n_unknown:,} timesteps have syllables that the fit did not have.")
    states = model._predict_runs(X, groups=groups)
    partial = options.out.with_name(f"{options.out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    _save_states(partial, states.items(), data)
    os.rename(partial, options.out)
    print(f"States of {len(data.names)} recordings are in {options.out}.")


def _check_result(folder):
    """Raise an error if a folder is not one that fit made."""
    if not (folder / _ABOUT).is_file():
        raise FileNotFoundError(
            f"{folder} is not a folder of results. Give the --out of a finished python -m hhmm fit."
        )


def _count_missing(sequences):
    """Count the timesteps without a label."""
    if any(getattr(labels, "dtype", int) == np.object_ for labels in sequences):
        return sum(int(np.equal(labels, None).sum()) for labels in sequences)
    runs = read_runs(sequences, "sequences")
    return int(runs.n_timesteps[runs.labels < 0].sum())


def _save_states(folder, states, data):
    """Write a table for each recording, of its states and syllables."""
    datasets.save_states(
        folder,
        states,
        data.names,
        syllables=data.sequences,
        frames=data.frames,
        times=data.times,
        format="csv",
        overwrite=True,
    )


_COMMANDS = {"demo": _demo, "fit": _fit, "predict": _predict, "report": _report}
