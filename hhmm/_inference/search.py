"""Find a high mode of the log joint before the chain starts (``init="windows"``).

The posterior has many modes, and a chain stays near the one where it falls. Starts of three
families race each other by MAP-EM, which is deterministic and climbs faster than draws:

slow
    states of `windows`, one start for each window length;
sticky
    the one-state model's base, biases from the prior, transitions from their prior;
flat
    the same with every transition row from Dirichlet(1): states that alternate from
    syllable to syllable are found from these alone.

They are thinned out as they go (successive halving: Jamieson & Talwalkar 2016, "Non-stochastic best
arm identification"), each family by itself, because flat starts rise late and would all be lost
in one race. The log joints that are compared are all of MAP-EM: those of draws
lie about half the number of parameters below.

Where data are many, the race is run on a part of them: sequences, or stretches of them, chosen
at random. The modes that matter there are hundreds of nats apart on a part too. Where most
syllables do not occur, it is run on those that do: of 1000 syllables, 200 transitions show at most
200, which takes seconds where all would take an hour, and no start is better for the others.

Scales that are learnt decide which mode is highest, so they are learnt in the race. After its first
round, which is run at first guesses, the best start of each family learns them, and all go on at
those of the highest one: log joints at different scales cannot be compared. Each start learns beta
and kappa for itself, since a few transition probabilities weigh little.

Where data are few, there are many random starts. Otherwise, where no start of another family came
to the mode of the highest one, there may be higher ones. Then exchanges of its states are tried,
see `split_merge`, and the highest mode that they lead to is taken, until several rounds in turn
gain nothing.

All of this may be done several times, from other random numbers but on the same part of the data.
"""

from typing import NamedTuple

import jax
import numpy as np

from hhmm._emission_solvers import Newton
from hhmm._inference import convergence, initialise, split_merge, windows
from hhmm._inference.chain import FOREVER, ChainState, Stages
from hhmm._inference.loop import Plan, Start, iterate
from hhmm._inference.parts import LocalParts
from hhmm._model.simplex import center, helmert_basis
from hhmm._runtime.keys import key_from_data
from hhmm._runtime.progress import print_if_verbose
from hhmm._runtime.threads import n_cores, run_in_threads
from hhmm._sequences.run_lengths import RunLengths
from hhmm._types import EmissionLogits, Priors

FAMILIES = ("slow", "sticky", "flat")
# random starts of each kind: where data are few, and otherwise
MANY_STARTS, FEW_STARTS = 48, 4
FEW_TIMESTEPS = 20_000
# states times squared syllables, what an iteration of the emission solver costs, up to which there
# are many starts, or exchanges
FEW_CELLS = 100_000
# the race is run on at most so many timesteps (or runs of timesteps, where those are what counts)
MAX_TIMESTEPS = 100_000
# runs count where they are so long on average, in timesteps, or where there are groups
LONG_RUNS = 12
# a part is at least about so many stretches
MIN_STRETCHES = 16
# iterations of each round, and how many of a family go on after it
ROUNDS = ((15, lambda n: -(-n // 3)), (40, lambda n: max(min(n, 2), -(-n // 4))))
# then all that are left run on, in laps; after each, who is too far behind stops
LAP, N_LAPS = 40, 5
# iterations in which scales are learnt
LEARNING = 20
# exchanges of states that are tried at a time
N_EXCHANGES = 8
# Exchanges end after so many rounds in turn that led nowhere. In the example of `split_merge`, a
# round misses the higher modes in one case of three.
MAX_FRUITLESS = 3
# A start comes to rest at an iteration that gains less than this share of what sets two modes
# apart. The emission modes within its iterations are found to this share of that gain.
TOL, MODE_TOL = 0.1, 0.1
# nats: the same gain, where the best starts of several searches are compared
FINE_TOL = 1e-3
# iterations over which the pace of a start is measured
PACE = 10


class Finalist(NamedTuple):
    """A start that went to the end of the race."""

    family: str
    log_joint: float  # of the mode, on the part of the data that was used
    logits: EmissionLogits
    trans_probs: np.ndarray
    priors: Priors  # with scales that are learnt as they were in the race


class _Racer(NamedTuple):
    """A start in the race."""

    family: str
    chain: ChainState
    pace: float  # nats an iteration; 0 where it has come to rest


def search(
    rng,
    sequences,
    priors,
    *,
    settings,
    n_searches=1,
    groups=None,
    verbose=0,
    ends_early=lambda: False,
):
    """Race starts by MAP-EM.

    Parameters
    ----------
    rng : numpy.random.RandomState
    sequences : RunLengths
        Labels 0 to n_syllables - 1, -1 where missing.
    priors : Priors
        With a mode, see `transitions.with_a_mode`; first guesses of what is learnt.
    settings : chain.Settings
    n_searches : int, default=1
        Number of searches, of which the best is kept.
    groups : (n_sequences,) int32, default=None
        The group of each sequence. Effects of groups are part of the race from its first round: a
        start that was found without them is not left afterwards.
    verbose : int, default=0
        0 prints nothing.
    ends_early : callable
        Whether to end the race with what it has.

    Returns
    -------
    finalists : list of Finalist
        Of the best search, by falling log joint.
    log_joints : (n_searches,)
        What the best start of each search reached on the part of the data that was used, at the
        same scales; fewer if the searches were ended.
    """
    n_syllables = settings.terms.n_syllables
    # effects of groups are many: they need more data than states do, which runs hold at less cost
    in_runs = settings.backend == "compressed"
    if groups is None:
        n_timesteps = int(sequences.lengths.sum())
        in_runs &= n_timesteps >= LONG_RUNS * int(sequences.n_runs.sum())
    work, groups = _part(rng, sequences, groups, compressed=in_runs)
    # at least two: with one syllable, states cannot be distinguished
    seen = np.union1d(np.concatenate(work), np.arange(min(2, n_syllables)))
    seen = seen[seen >= 0]
    if (
        len(seen) > n_syllables / 2
    ):  # little to save, and folds that differ in few would compile anew
        seen = np.arange(n_syllables)
    work = [np.where(x < 0, -1, np.searchsorted(seen, x)).astype(np.int32) for x in work]
    settings = settings._replace(
        solver=Newton(settings.solver.max_iter),
        sampler="laplace",
        terms=settings.terms._replace(n_syllables=len(seen)),
    )
    same_mode = convergence.same_mode(settings.terms)
    resting_gain = TOL * same_mode
    settings = settings._replace(mode_tol=float(MODE_TOL * resting_gain))
    n_threads = n_cores()
    parts = LocalParts.make(
        RunLengths.of(work),
        settings.terms,
        settings.backend,
        n_at_once=n_threads,  # cores are for several starts at a time, not for the lanes of one
        groups=groups,
    )
    settings = settings._replace(backend=parts.backend)

    learnt_scales = [name for name in settings.learnt if not name.startswith("trans")]

    def climb(racer, n_iter, learns_scales=False, tol=resting_gain):
        family, chain, _ = racer
        stages = Stages(n_held=0 if learns_scales else FOREVER)
        result = iterate(
            Start(key_from_data(np.zeros(2, np.uint32)), chain, 0),
            Plan(parts, "em", settings, n_iter, stages, tol=tol, first_call=LAP),
            report=lambda *_: ends_early(),
        )
        recent = result.trace.log_joint[-PACE:]
        pace = 0 if result.stopped else (recent[-1] - recent[0]) / max(len(recent) - 1, 1)
        return _Racer(family, result.chain, pace)

    def race(racers, n_iter):
        """Run so many iterations of each that moves; the highest first."""
        moving = [racer for racer in racers if racer.pace > 0]
        print_if_verbose(_describe(racers, len(moving), n_iter), verbose)
        calls = [lambda racer=racer: climb(racer, n_iter) for racer in moving]
        moved = run_in_threads(*calls, n_threads=n_threads, pool="starts")
        racers = moved + [racer for racer in racers if racer.pace == 0]
        return sorted(racers, key=lambda racer: -float(racer.chain.log_joint))

    def with_common_scales(racers):
        """Let the best of each family learn scales; all continue at those of the highest one."""
        best = {racer.family: racer for racer in reversed(racers)}
        calls = [
            lambda racer=racer: climb(racer, LEARNING, learns_scales=True)
            for racer in best.values()
        ]
        learned = run_in_threads(*calls, n_threads=n_threads, pool="starts")
        others = [racer for racer in racers if racer is not best[racer.family]]
        return at_scales_of(_highest(learned), [*learned, *others])

    def at_scales_of(one, racers):
        """Let racers continue at the scales of one."""
        scales = {name: getattr(one.chain.priors, name) for name in learnt_scales}
        return [
            racer._replace(
                chain=racer.chain._replace(priors=racer.chain.priors._replace(**scales)),
                pace=np.inf,
            )
            for racer in racers
        ]

    def finish(racers, best=-np.inf):
        """Run laps until all rest."""
        for lap in range(N_LAPS):
            best = max(best, *(float(racer.chain.log_joint) for racer in racers))
            n_left = LAP * (N_LAPS - lap)
            # who at the present pace would not catch up in what is left stays where it is
            racers = [
                racer
                if float(racer.chain.log_joint) + racer.pace * n_left >= best
                else racer._replace(pace=0)
                for racer in racers
            ]
            if ends_early() or not any(racer.pace > 0 for racer in racers):
                break
            racers = race(racers, LAP)
        return racers

    def exchange(racers):
        """Exchange states of the highest racer for as long as that raises the log joint.

        Where a racer of another family came to the same mode, it is left as it is. Those of one
        family are alike, and agree on poor modes too.
        """
        best, *others = sorted(racers, key=lambda racer: -float(racer.chain.log_joint))
        lengths, n_fruitless = _window_lengths(work, priors, settings), 0
        while n_fruitless < MAX_FRUITLESS:
            chain, log_joint = best.chain, float(best.chain.log_joint)
            reached = [
                float(racer.chain.log_joint) for racer in others if racer.family != best.family
            ]
            if ends_early() or max(reached, default=-np.inf) > log_joint - same_mode:
                break
            print_if_verbose("Search for a start: exchanges of states", verbose)
            if n_fruitless == 0:  # the best one is new
                probs = split_merge.smooth(chain, work, settings, groups)
            trials = [
                _Racer(best.family, start, np.inf)
                for start in split_merge.starts(
                    rng,
                    probs,
                    chain.priors,
                    N_EXCHANGES,
                    work,
                    lengths,
                    settings=settings,
                    groups=groups,
                )
            ]
            if not trials:
                break
            trials = finish(race(trials, LAP), log_joint)
            highest = _highest(trials)
            if float(highest.chain.log_joint) > log_joint + same_mode:
                best, n_fruitless = highest, 0
            else:
                n_fruitless += 1
        return [best, *others]

    def search_once():
        """Race new starts; return those that went to the end."""
        racers = [
            _Racer(family, chain, np.inf)
            for family, make in (("slow", _slow), ("sticky", _random), ("flat", _random))
            for chain in make(rng, family, work, groups, priors, settings)
        ]
        for i, (n_iter, keep) in enumerate(ROUNDS):
            racers = race(racers, n_iter)
            families = [[racer for racer in racers if racer.family == f] for f in FAMILIES]
            racers = [racer for family in families for racer in family[: keep(len(family))]]
            if ends_early():
                break
            if i == 0 and learnt_scales:
                racers = with_common_scales(racers)
        racers = finish(racers)
        terms = settings.terms
        if split_merge.can_move(terms) and _is_small(terms) and not _are_few(work):
            racers = exchange(racers)
        return racers

    searches = []
    while len(searches) < n_searches and not (searches and ends_early()):
        if n_searches > 1:
            print_if_verbose(f"Search {len(searches) + 1} of {n_searches}", verbose)
        searches.append(search_once())
    winners = [_highest(racers) for racers in searches]
    if len(winners) > 1 and not ends_early():
        print_if_verbose("The best starts of all searches are compared", verbose)
        calls = [
            lambda racer=racer: climb(racer, LAP * N_LAPS, tol=FINE_TOL)
            for racer in at_scales_of(winners[0], winners)
        ]
        winners = run_in_threads(*calls, n_threads=n_threads, pool="starts")
    log_joints = np.array([float(racer.chain.log_joint) for racer in winners])
    if len(winners) > 1:
        shown = ", ".join(f"{value:.1f}" for value in log_joints)
        print_if_verbose(f"Log joints of all searches: {shown}", verbose)
    racers = searches[int(np.argmax(log_joints))]
    finalists = [
        Finalist(
            family,
            float(chain.log_joint),
            _with_unseen(chain.logits, seen, n_syllables),
            chain.trans_probs,
            chain.priors,
        )
        for family, chain, _ in sorted(racers, key=lambda racer: -float(racer.chain.log_joint))
    ]
    return finalists, log_joints


def _highest(racers):
    return max(racers, key=lambda racer: float(racer.chain.log_joint))


def _describe(racers, n_moving, n_iter):
    """Return a line about the next round of a race."""
    starts = "1 start" if n_moving == 1 else f"{n_moving} starts"
    text = f"Search for a start: {n_iter} iterations of EM from {starts}"
    reached = [float(racer.chain.log_joint) for racer in racers if np.isfinite(racer.pace)]
    return f"{text}, best log joint {max(reached):.1f}" if reached else text


def _with_unseen(logits, seen, n_syllables):
    """Return logits of all syllables, from those of the ones seen (n_seen,).

    In every row the others are as rare as the rarest one seen, in all states alike.
    """
    if len(seen) == n_syllables:
        return logits

    def spread(values):
        """Spread the columns of the syllables seen; others are as rare as the rarest."""
        rarest = values.min(axis=-1, keepdims=True)
        spread = np.broadcast_to(rarest, (*values.shape[:-1], n_syllables)).copy()
        spread[..., seen] = values
        return center(spread)

    def embed(values, axes):
        """Spread values along several axes, with 0 for the others."""
        for axis in axes:
            values = np.moveaxis(values, axis, -1)
            wider = np.zeros((*values.shape[:-1], n_syllables))
            wider[..., seen] = values
            values = np.moveaxis(wider, -1, axis)
        return values

    logits = jax.tree.map(np.asarray, logits)
    wider = {}
    if logits.base is not None:
        wider["base"] = embed(spread(logits.base), [0])
    if logits.biases is not None:
        wider["biases"] = embed(logits.biases, [1])
    if logits.usage is not None:
        wider["usage"] = spread(logits.usage)
    if logits.interactions is not None:
        wider["interactions"] = embed(logits.interactions, [1, 2])
    if logits.group_emissions is not None:
        wider["group_emissions"] = tuple(embed(x, [1]) for x in logits.group_emissions)
    if logits.group_states is not None:
        wider["group_states"] = tuple(embed(x, [2]) for x in logits.group_states)
    return EmissionLogits(**wider, group_transitions=logits.group_transitions)


def _slow(rng, family, sequences, groups, priors, settings):
    del family
    for length in _window_lengths(sequences, priors, settings):
        states = windows.window_states(sequences, settings.terms, length, rng, groups)
        yield initialise.start_from_states(
            states, sequences, priors, settings=settings, groups=groups
        )


def _window_lengths(sequences, priors, settings):
    lengths = [len(x) for x in sequences]
    if "trans_kappa" in settings.learnt:
        return windows.all_window_lengths(lengths)
    return windows.window_lengths(lengths, priors, settings.terms.n_states)


def _random(rng, family, sequences, groups, priors, settings):
    del groups
    terms = settings.terms
    n_states, n_syllables = terms.n_states, terms.n_syllables
    few = _are_few(sequences) and _is_small(terms)
    _, probs = windows.markov_chain(sequences, n_syllables, self_transitions=terms.self_transitions)
    base = center(np.log(np.where(probs > 0, probs, 1)))
    to_syllables, to_states = helmert_basis(n_syllables), helmert_basis(n_states)
    alpha = np.ones((n_states, n_states))
    if family == "sticky":
        alpha = priors.trans_beta + priors.trans_kappa * np.eye(n_states)
    for _ in range(MANY_STARTS if few else FEW_STARTS):
        c = rng.standard_normal((n_states - 1, n_syllables - 1))
        biases = priors.emission_biases_sigma * to_states @ c @ to_syllables.T
        trans_probs = np.stack([rng.dirichlet(row) for row in alpha])
        logits = EmissionLogits(base, biases)
        if "biases" not in terms.names and "interactions" in terms.names:
            # without them all states would be alike, and stay so
            sigma = priors.emission_interactions_sigma
            d = rng.standard_normal((n_states - 1, n_syllables, n_syllables - 1))
            d = np.tensordot(to_states, sigma * d @ to_syllables.T, 1)
            logits = logits._replace(interactions=d)
        yield initialise.start_from_params(logits, trans_probs, priors, settings=settings)


def _are_few(sequences):
    return sum(map(len, sequences)) <= FEW_TIMESTEPS


def _is_small(terms):
    return terms.n_states * terms.n_syllables**2 <= FEW_CELLS


def _part(rng, sequences, groups, *, compressed):
    """Choose stretches of sequences in random order until they are `MAX_TIMESTEPS` in all.

    The size of a stretch is its timesteps, or its runs where those are what a sweep pays for.
    Only the stretches that are chosen are written out, one label a timestep.
    """
    lengths = sequences.lengths
    sizes = np.maximum(sequences.n_runs, 1) if compressed else lengths
    if sizes.sum() <= MAX_TIMESTEPS:
        return sequences.sequences, groups
    # long sequences are cut, so that a part holds stretches of many of them
    n_stretches = np.maximum(1, np.round(sizes * MIN_STRETCHES / MAX_TIMESTEPS)).astype(int)
    of_stretches = np.repeat(np.arange(len(lengths)), n_stretches)
    number = np.arange(len(of_stretches)) - (np.cumsum(n_stretches) - n_stretches)[of_stretches]
    # the first stretches of a sequence are one timestep longer where it cannot be cut evenly
    shortest, n_longer = np.divmod(lengths, n_stretches)
    begins = (number * shortest[of_stretches]) + np.minimum(number, n_longer[of_stretches])
    stops = begins + shortest[of_stretches] + (number < n_longer[of_stretches])
    first = np.cumsum(lengths) - lengths
    begins, stops = begins + first[of_stretches], stops + first[of_stretches]
    ends_of_runs = np.cumsum(sequences.n_timesteps, dtype=np.int64)
    first_run = np.searchsorted(ends_of_runs, begins, side="right")
    last_run = np.searchsorted(ends_of_runs, stops - 1, side="right")
    order = rng.permutation(len(of_stretches))
    of_size = np.maximum(last_run - first_run, 0) + 1 if compressed else stops - begins
    n_used = max(1, int(np.searchsorted(np.cumsum(of_size[order]), MAX_TIMESTEPS)))
    stretches = []
    for i in order[:n_used]:
        runs = slice(first_run[i], last_run[i] + 1)
        ends = np.clip(ends_of_runs[runs], begins[i], stops[i])
        stretches.append(np.repeat(sequences.labels[runs], np.diff(ends, prepend=begins[i])))
    used = of_stretches[order[:n_used]]
    return stretches, None if groups is None else groups[used]
