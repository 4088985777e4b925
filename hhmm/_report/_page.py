"""Write the page: choose what it says, and fill the template."""

from __future__ import annotations

import base64
import datetime

import numpy as np
from sklearn.utils.validation import check_is_fitted

import hhmm
from hhmm._optional.extras import import_extra
from hhmm._report import _words as words
from hhmm._report._figures import Picture
from hhmm._report._material import JUDGED, LARGEST_RHAT, Findings, Material
from hhmm._validation import shorten
from hhmm.comparisons._result import ALL_GROUPS, NONE
from hhmm.metrics import state_usage
from hhmm.plotting._figures import state_colors

# As in README.rst.
CITATION = """\
@software{hhmm,
  title = {hhmm: hierarchical hidden Markov models for sequences of behavioural syllables},
  author = {{The hhmm developers}},
  version = {VERSION},
  year = {2026}
}"""
_SMALL_Q = 0.05
_MOST_SENTENCES = 12
_MOST_ROWS = 60
# effective draws below which a 90 % interval is rough
_FEW_DRAWS = 100
_TABLE_QUANTITIES = ("usage", "dwell", "transition", "content", "shared_content")


def render(
    material: Material,
    findings: Findings,
    pictures: dict[str, Picture],
    *,
    today: datetime.date | None = None,
) -> str:
    """Return the page as text."""
    jinja2 = import_extra("jinja2", "hhmm.report")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("hhmm._report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    today = today or datetime.date.today()
    return environment.get_template("page.html").render(
        title=material.title,
        notes=material.notes,
        date=f"{today.day} {today:%B %Y}",
        version=hhmm.__version__,
        citation=CITATION.replace("VERSION", hhmm.__version__),
        summary=_summary(material, findings),
        cautions=findings.cautions,
        is_fitted=hasattr(material.model, "log_joint_"),
        facts=_facts(material),
        pictures={name: _embedded(picture) for name, picture in pictures.items()},
        states=_states(material, findings),
        animals_note=_animals_note(material),
        comparisons=_comparisons(material, findings),
        number_of_states=_number_of_states(material),
        convergence=_convergence(material, findings),
        posterior=_posterior(material, findings),
        has_rhat=np.isfinite(findings.largest_rhat),
        methods=_methods(material),
        settings=_settings(material.model),
        scales=_scales(material.model),
        recordings=_recordings(material),
    )


def _embedded(picture):
    return {
        "src": f"data:image/png;base64,{base64.b64encode(picture.png).decode()}",
        "width": round(picture.width * 96),
        "is_wide": picture.width > 5.5,
        "title": picture.title,
        "caption": picture.caption,
        "alt": picture.alt,
    }


def _n_animals(material):
    return len(set(material.animals or material.names))


def _total(material):
    return int(material.states.lengths.sum())


def _summary(material, findings):
    """Return the result in one sentence."""
    used = int(np.sum(~findings.is_unused))
    dwell = findings.report.dwell[~findings.is_unused & np.isfinite(findings.report.dwell)]
    text = f"{words.counted(used, 'state')} in {words.counted(len(material.names), 'recording')}"
    if material.animals is not None:
        text += f" of {words.counted(_n_animals(material), 'animal')}"
    rate = material.frame_rate
    text += f" ({words.duration(_total(material), rate)} in all)"
    if dwell.size:
        ends = [words.duration(x * (rate or 1.0), rate) for x in (dwell.min(), dwell.max())]
        text += (
            f"; states last {ends[0]} on average"
            if ends[0] == ends[1]
            else f"; states last {ends[0]} to {ends[1]} on average"
        )
    return f"{text}."


def _facts(material):
    """Return pairs of a name and a value: what was fitted."""
    total, rate = _total(material), material.frame_rate
    n_missing = total - int(material.syllables.n_timesteps[material.syllables.labels >= 0].sum())
    facts = [("Recordings", f"{len(material.names):,}")]
    if material.animals is not None:
        facts.append(("Animals", f"{_n_animals(material):,}"))
    for name, groups in material.factors.items():
        levels = list(dict.fromkeys(groups))
        shown = [f"{level} ({groups.count(level)})" for level in levels[:6]]
        more = ", \N{HORIZONTAL ELLIPSIS}" if len(levels) > 6 else ""
        facts.append((f"Recordings by {name}", ", ".join(shown) + more))
    if rate is None:
        facts.append(("Length", f"{total:,} timesteps"))
    else:
        length = words.duration(total, rate)
        facts.append(("Length", f"{length} ({total:,} frames at {rate:g} per second)"))
    if n_missing:
        facts.append(("Without a syllable", f"{words.percent(n_missing / total)} of the timesteps"))
    facts.append(("Syllables", f"{len(material.syllable_names)}"))
    facts.append(("States", f"{material.n_states}"))
    return facts


def _states(material, findings):
    """Return what the page says of each state."""
    report, rate = findings.report, material.frame_rate
    overall, total = findings.overall_shares, report.n_all_animals
    unit = "animal" if material.animals is not None else "recording"
    rows = []
    colors = state_colors(material.n_states, report.usage)
    for k, name in enumerate(material.state_names):
        shares = findings.syllable_shares[k]
        found = words.promoted(shares, overall)
        dwell = words.duration(report.dwell[k] * (rate or 1.0), rate)
        at_a_time = f"{dwell} at a time" if np.isfinite(report.dwell[k]) else "no stay seen to end"
        suppressed = [material.syllable_names[j] for j in words.suppressed(shares, overall)]
        visits = words.number(report.visits[k], 2)
        times = [
            f"{words.percent(report.usage[k])} of the time",
            at_a_time,
            f"{visits} visit{'' if visits == '1' else 's'} a recording",
        ]
        parts = [", ".join(times)]
        if found:
            names = words.listed([material.syllable_names[j] for j in found])
            text = f"promotes {'syllables' if len(found) > 1 else 'syllable'} {names}"
            if suppressed:
                text += f", suppresses {words.listed(suppressed)}"
            parts.append(text)
        elif material.n_states > 1:
            parts.append("promotes no syllable clearly")
        parts.append(f"used by {report.n_animals[k]} of {words.counted(total, unit)}")
        rows.append(
            {
                "name": f"State {name}" if name.isdigit() else name,
                "color": _as_hex(colors[k]),
                "text": f"{'; '.join(parts)}.",
                "is_unused": bool(findings.is_unused[k]),
                "usage": words.percent(report.usage[k]),
                "dwell": dwell,
                "visits": visits,
                "users": f"{report.n_animals[k]} of {total}",
                "promotes": [
                    f"{material.syllable_names[j]} ({words.percent(shares[j])}, overall "
                    f"{words.percent(overall[j])})"
                    for j in found
                ],
                "suppresses": suppressed,
            }
        )
    return rows


def _as_hex(color):
    from matplotlib.colors import to_hex

    return to_hex(color)


def _animals_note(material):
    if material.animals is None:
        return (
            "No animals were given, so each recording counts as another animal. If an animal has "
            "several recordings, p values are too small: give the animals."
        )
    return ""


def _comparisons(material, findings):
    """Return what the page says of each comparison of groups."""
    parts = []
    for i, (factor, comparison) in enumerate(findings.comparisons.items()):
        tested = comparison.q_value < _SMALL_Q
        small = np.flatnonzero(tested & np.isin(comparison.quantity, _TABLE_QUANTITIES))
        small = small[np.argsort(comparison.q_value[small], kind="stable")]
        # of two states, one sentence is about both
        sentences = list(dict.fromkeys(words.describe_comparison(comparison, j) for j in small))
        n_tests = int(np.sum(np.isfinite(comparison.q_value)))
        units = [
            f"{group} ({int(np.sum(comparison.animal_groups == g))})"
            for g, group in enumerate(comparison.groups)
        ]
        rows = [
            _comparison_row(comparison, j)
            for j in np.flatnonzero(np.isin(comparison.quantity, _TABLE_QUANTITIES))
        ]
        parts.append(
            {
                "factor": factor,
                "picture": f"comparison_{i + 1}",
                "groups": words.listed(units),
                "reference": comparison.groups[0],
                "level": f"{100 * comparison.confidence_level:g}",
                "is_paired": bool(comparison.is_paired.any()),
                "n_tests": n_tests,
                "sentences": sentences[:_MOST_SENTENCES],
                "n_more": max(len(sentences) - _MOST_SENTENCES, 0),
                "rows": rows[:_MOST_ROWS],
                "n_more_rows": max(len(rows) - _MOST_ROWS, 0),
                "syllables": _changed_syllables(material, comparison),
                "unit": "s" if comparison.frame_rate is not None else "timesteps",
            }
        )
    return parts


def _comparison_row(comparison, i):
    quantity = str(comparison.quantity[i])
    k, following = comparison.state[i], comparison.next_state[i]
    of = "all states" if k == NONE else comparison.state_names[k]
    if following != NONE:
        of += f" \N{RIGHTWARDS ARROW} {comparison.state_names[following]}"
    overall = comparison.group_1[i] == ALL_GROUPS
    show = words.percent if quantity in ("usage", "transition") else words.number
    as_effect = {"ratio": "{:.2f}".format, "difference": words.points}.get(
        str(comparison.effect_type[i]), "{:.2f}".format
    )
    unit = {"ratio": " \N{MULTIPLICATION SIGN}", "difference": " points"}
    values = effect = interval = "\N{EN DASH}"
    if not np.isnan([comparison.value_1[i], comparison.value_2[i]]).all():
        values = f"{show(comparison.value_2[i])} / {show(comparison.value_1[i])}"
    if np.isfinite(comparison.effect[i]):
        effect = as_effect(comparison.effect[i]) + unit.get(str(comparison.effect_type[i]), "")
    if np.isfinite(comparison.lower[i]):
        interval = f"{as_effect(comparison.lower[i])} to {as_effect(comparison.upper[i])}"
    status = str(comparison.status[i])
    return {
        "quantity": _QUANTITY_NAMES[quantity],
        "of": of,
        "groups": ALL_GROUPS if overall else f"{comparison.group_2[i]} / {comparison.group_1[i]}",
        "values": values,
        "effect": effect,
        "interval": interval,
        "p": words.p_or_q(comparison.p_value[i]),
        "q": words.p_or_q(comparison.q_value[i]),
        "is_small": bool(comparison.q_value[i] < _SMALL_Q),
        "note": "" if status == "tested" else status,
    }


_QUANTITY_NAMES = {
    "usage": "time",
    "dwell": "duration",
    "transition": "next state",
    "content": "syllables",
    "shared_content": "syllables",
}


def _changed_syllables(material, comparison):
    """Return sentences about single syllables whose use in a state differs, the clearest first."""
    rows = np.flatnonzero((comparison.quantity == "syllable") & (comparison.q_value < _SMALL_Q))
    rows = [i for i in rows if comparison.group_1[i] != ALL_GROUPS]
    rows = sorted(rows, key=lambda i: (comparison.q_value[i], -abs(comparison.effect[i])))
    sentences = []
    for i in rows[:8]:
        state = words.with_state(comparison.state_names[comparison.state[i]])
        label = material.syllable_names[comparison.syllable[i]]
        sentences.append(
            f"Syllable {label} in {state}: {words.percent(comparison.value_2[i])} of the "
            f"syllables in {comparison.group_2[i]}, {words.percent(comparison.value_1[i])} in "
            f"{comparison.group_1[i]} (q {_relation(comparison.q_value[i])})."
        )
    return {"sentences": sentences, "n_more": max(len(rows) - 8, 0)}


def _relation(q):
    text = words.p_or_q(q)
    return text if text.startswith("<") else f"= {text}"


def _number_of_states(material):
    """Return how the number of states was chosen, and the table of the scan; None without one."""
    scan = material.scan
    if scan is None:
        return None
    summary = scan.summary()
    chosen = material.n_states
    best = int(scan.best_params_["n_states"])
    numbers = [int(n) for n in summary["n_states"]]
    n_folds = int(scan.table["fold"].max()) + 1
    n_seeds = int(scan.table["seed"].max()) + 1
    text = (
        f"Models with {min(numbers)} to {max(numbers)} states were fitted to parts of the data, "
        f"and each was scored on recordings that its fit had not seen ({n_folds} parts, "
        f"{words.counted(n_seeds, 'start')} each). "
    )
    if chosen == best:
        text += f"The best score is that of {chosen} states."
    elif n_folds < 2 or chosen != scan.one_standard_error()["n_states"]:
        text += f"The best score is that of {best} states. {chosen} was chosen otherwise."
    else:
        text += f"The best score is that of {best} states. "
        of_others = ""
        if not summary["within_one_standard_error"][scan.best_index_]:
            text += (
                "Its fits use no more states than those of a smaller number, so it was left out. "
            )
            of_others = " than the best of the others"
        text += (
            f"{chosen} was chosen: it is the smallest number whose score is lower{of_others} by no "
            "more than one standard error of the difference."
        )
    advice = ""
    if chosen in (min(numbers), max(numbers)) and len(numbers) > 1:
        side = "smallest" if chosen == min(numbers) else "largest"
        advice = f"{chosen} is the {side} number that was tried. Try a wider range."
        if chosen == 1:
            advice = ""
    rate = material.frame_rate
    rows = []
    for i, n in enumerate(numbers):
        median = summary["mean_median_duration"][i]
        agreement = summary["mean_adjusted_rand"][i]
        rows.append(
            {
                "n_states": n,
                "score": f"{summary['mean_test_score'][i]:.4f}".replace("-", "\N{MINUS SIGN}"),
                "difference": f"{summary['mean_difference'][i]:.4f}".replace("-", "\N{MINUS SIGN}"),
                "error": "\N{EN DASH}" if n == best else f"{summary['se_difference'][i]:.4f}",
                "used": words.number(summary["mean_n_used_states"][i]),
                "duration": words.duration(median, rate),
                "agreement": words.number(agreement),
                "is_chosen": n == chosen,
            }
        )
    return {"text": text, "advice": advice, "rows": rows}


def _convergence(material, findings):
    """Return sentences about the convergence of the fit."""
    model = material.model
    if not hasattr(model, "log_joint_"):
        return ["The model was made from given parameters and not fitted."]
    n_chains, n_iter = np.shape(model.log_joint_)
    unit = "sweep" if model.algorithm == "gibbs" else "iteration"
    what = f"{words.counted(n_iter, unit)} of {words.counted(n_chains, 'chain')}"
    sentences = [
        f"The log joint had settled after {what}."
        if model.converged_
        else f"After {what}, the fit cannot be said to have settled. See the warnings above."
    ]
    if findings.posterior is None:
        return sentences
    if n_chains == 1:
        sentences.append(
            "One chain cannot show if another start leads to other states. For a result that you "
            "publish, fit several (n_chains=4, or --n-chains 4 on the command line): R-hat then "
            "compares the chains."
        )
    rhat = findings.largest_rhat
    if np.isfinite(rhat):
        verdict = (
            "so the chains agree"
            if rhat <= LARGEST_RHAT
            else f"above {LARGEST_RHAT:g}, so the chains do not agree, or are too short"
        )
        sentences.append(
            "R-hat compares the chains, and is about 1 if they agree. The largest value of the log "
            f"joint, usage and dwell times is {rhat:.2f}, {verdict}."
        )
    summary = findings.posterior
    is_shown = [str(name).startswith(JUDGED) for name in summary.name]
    fewest = np.nanmin(summary.ess_bulk[is_shown], initial=np.inf)
    text = (
        "Draws that follow each other are similar. The effective draws in the table say how many "
        "independent draws they are worth"
    )
    if fewest < _FEW_DRAWS:
        text += (
            f", at the fewest {fewest:.0f}. These are few, so the intervals are rough. More sweeps "
            "(max_iter, or --max-iter on the command line) make them better"
        )
    sentences.append(f"{text}.")
    return sentences


def _posterior(material, findings):
    """Return rows of the posterior of log joint, usage and dwell times; None without draws."""
    summary = findings.posterior
    if summary is None:
        return None
    per_unit = material.frame_rate or 1.0  # with a frame rate, dwell times are in seconds

    def row(i, state, quantity, show):
        return {
            "state": state,
            "quantity": quantity,
            "mean": show(summary.mean[i]),
            "interval": f"{show(summary.q5[i])} to {show(summary.q95[i])}",
            "rhat": f"{summary.rhat[i]:.2f}" if np.isfinite(summary.rhat[i]) else "\N{EN DASH}",
            "ess": words.number(np.round(summary.ess_bulk[i])),
        }

    is_log_joint = summary.name == "log_joint"
    rows = [row(i, "all", "log joint (nats)", words.number) for i in np.flatnonzero(is_log_joint)]
    for k, name in enumerate(material.state_names):
        for quantity, label in (("usage", "expected share of time"), ("dwell_time", "mean stay")):
            # of states in their order, whatever their names
            i = [j for j, of in enumerate(summary.name) if str(of).startswith(f"{quantity}[")][k]
            show = words.percent
            if quantity == "dwell_time":
                show = _duration_of(per_unit, material.frame_rate)
            rows.append(row(i, name, label, show))
    return rows


def _duration_of(per_unit, frame_rate):
    return lambda value: words.duration(value * per_unit, frame_rate)


def _methods(material):
    """Return paragraphs for a methods section."""
    model = material.model
    check_is_fitted(model)
    n_syllables = len(material.syllable_names)
    text = (
        f"States were inferred with hhmm {hhmm.__version__}, a hierarchical hidden Markov model of "
        f"syllables, with {words.counted(material.n_states, 'state')} and "
        f"{words.counted(n_syllables, 'syllable')}."
    )
    paragraphs = [text]
    if hasattr(model, "log_joint_"):
        n_chains, n_iter = np.shape(model.log_joint_)
        how = {
            "gibbs": f"Gibbs sampling ({words.counted(n_iter, 'sweep')}, "
            f"{words.counted(n_chains, 'chain')})",
            "em": f"expectation maximisation ({words.counted(n_iter, 'iteration')})",
            "gradient": f"gradient ascent ({words.counted(n_iter, 'iteration')})",
        }[model.algorithm]
        paragraphs.append(f"The model was fitted by {how}, random_state={model.random_state}.")
    paragraphs.append(
        "A syllable that follows itself was taken as being held, so states differ in which "
        "syllable comes next."
        if not model.self_transitions_
        else "Every timestep was taken as the use of a syllable, also after the same syllable."
    )
    if model.group_labels_:
        whose = [
            f"{len(levels)} animals"
            if material.animals is not None and set(map(str, levels)) == set(material.animals)
            else f"{len(levels)} labels of {name}"
            for name, levels in model.group_labels_.items()
        ]
        paragraphs.append(
            f"The model has effects of groups ({words.listed(whose)}) on the use of syllables and "
            "on changes of state, so differences between them need no states."
        )
    paragraphs.append(
        "The states on this page are the most probable path (Viterbi). A state is used by an "
        "animal if it takes at least 1 % of the time of the animal. A mean stay is the time in a "
        "state divided by the number of stays that were seen to end."
    )
    return paragraphs


def _settings(model):
    """Return the constructor settings that differ from their defaults: pairs of name and value."""
    defaults = type(model)().get_params(deep=False)
    return [
        (name, shorten(value))
        for name, value in model.get_params(deep=False).items()
        if repr(value) != repr(defaults[name])
    ]


def _scales(model):
    """Return rows of the scales of priors: name, value, and whether it was learnt or given."""
    settings = model.get_params(deep=False)
    return [
        {
            "name": name,
            "value": words.number(value),
            # of groups, names end in that of the factor: "group_emissions_sigma[animal]"
            "source": "learnt" if str(settings.get(name.partition("[")[0])) == "auto" else "given",
        }
        for name, value in model.sigmas_.items()
        if value != 0  # the term is left out
    ]


def _recordings(material):
    rate = material.frame_rate
    usage = state_usage(material.states.items(), n_states=material.n_states, per_sequence=True)
    return {
        "columns": [
            *(["animal"] if material.animals is not None else []),
            *material.factors,
        ],
        "rows": [
            {
                "name": name,
                "labels": [
                    *([material.animals[i]] if material.animals is not None else []),
                    *(groups[i] for groups in material.factors.values()),
                ],
                "length": words.duration(n_timesteps, rate),
                "usage": [words.percent(share) for share in np.nan_to_num(usage[i])],
            }
            for i, (name, n_timesteps) in enumerate(
                zip(material.names, material.states.lengths, strict=True)
            )
        ],
    }
