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

Where data are many, the race is run on a part of them, see `search_data`.

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

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from hhmm._emission_solvers import Newton
from hhmm._inference import convergence, split_merge
from hhmm._inference.chain import FOREVER, ChainState, Settings, Stages
from hhmm._inference.initialise import start_from_states
from hhmm._inference.loop import Plan, Start, iterate
from hhmm._inference.parts import LocalParts
from hhmm._inference.search_data import SearchData, choose_data
from hhmm._inference.search_starts import (
    FAMILIES,
    are_few,
    is_small,
    make_starts,
    window_lengths,
)
from hhmm._runtime.keys import key_from_data
from hhmm._runtime.progress import print_if_verbose
from hhmm._runtime.threads import n_cores, run_in_threads
from hhmm._sequences.run_lengths import RunLengths
from hhmm._types import EmissionLogits, Priors

# iterations of each round, and how many of a family go on after it
ROUNDS = ((15, lambda n: -(-n // 3)), (40, lambda n: max(min(n, 2), -(-n // 4))))
# then all that are left run on, in laps; after each, who is too far behind stops
LAP, N_LAPS = 40, 5
# iterations in which scales are learnt
LEARNING = 20
# exchanges of states that are tried at a time
N_EXCHANGES = 8
# Exchanges end after so many rounds in turn that led nowhere. In the example of `split_merge`, a
# round misses the higher modes in one case of three, and all of them in one of seventy.
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
    error: FloatingPointError | None = None  # why its log joint is not finite: it has lost

    @property
    def log_joint(self):
        return -np.inf if self.error else float(self.chain.log_joint)


class _Race(NamedTuple):
    """A race: the data and the settings that racers share, and its steps."""

    rng: np.random.RandomState
    data: SearchData
    parts: LocalParts  # the data, for EM
    priors: Priors
    settings: Settings
    same_mode: float  # nats
    verbose: int
    ends_early: Callable

    @classmethod
    def make(cls, rng, data, priors, settings, verbose, ends_early):
        terms = settings.terms._replace(n_syllables=len(data.seen))
        same_mode = convergence.same_mode(terms)
        settings = settings._replace(
            solver=Newton(settings.solver.max_iter),
            sampler="laplace",
            terms=terms,
            mode_tol=float(MODE_TOL * (TOL * same_mode)),
        )
        parts = LocalParts.make(
            RunLengths.of(data.sequences),
            terms,
            settings.backend,
            n_at_once=n_cores(),  # cores are for several starts at a time, not for the lanes of one
            groups=data.groups,
        )
        settings = settings._replace(backend=parts.backend)
        return cls(rng, data, parts, priors, settings, same_mode, verbose, ends_early)

    @property
    def learnt_scales(self):
        """The names of the scales that all racers share."""
        return [name for name in self.settings.learnt if not name.startswith("trans")]

    def run(self):
        """Race new starts; return those that went to the end, by falling log joint.

        A start that comes where its log joint is not finite has lost. Where all have, the error of
        one is raised.
        """
        racers = [
            _Racer(family, chain, np.inf)
            for family in FAMILIES
            for chain in make_starts(
                self.rng, family, self.data, self.priors, settings=self.settings
            )
        ]
        for i, (n_iter, keep) in enumerate(ROUNDS):
            racers = self.advance(racers, n_iter)
            families = [[racer for racer in racers if racer.family == f] for f in FAMILIES]
            racers = [racer for family in families for racer in family[: keep(len(family))]]
            if self.ends_early():
                break
            if i == 0 and self.learnt_scales:
                racers = self.with_common_scales(racers)
        racers = self.finish(racers)
        terms = self.settings.terms
        if split_merge.can_move(terms) and is_small(terms) and not are_few(self.data):
            racers = self.exchange(racers)
        racers = _by_height(racers)
        if racers[0].error:
            raise racers[0].error
        return [racer for racer in racers if not racer.error]

    def advance(self, racers, n_iter):
        """Run so many iterations of each that moves; the highest first."""
        moving = [racer for racer in racers if racer.pace > 0]
        print_if_verbose(_describe(racers, len(moving), n_iter), self.verbose)
        moved = self.climb(moving, n_iter)
        return _by_height(moved + [racer for racer in racers if racer.pace == 0])

    def climb(self, racers, n_iter, *, learns_scales=False, tol=None):
        """Run iterations of EM of each; a gain below `tol` nats ends it, by default `TOL`."""
        stages = Stages(n_held=0 if learns_scales else FOREVER)
        tol = TOL * self.same_mode if tol is None else tol

        def one(racer):
            try:
                result = iterate(
                    Start(key_from_data(np.zeros(2, np.uint32)), racer.chain, 0),
                    Plan(self.parts, "em", self.settings, n_iter, stages, tol=tol, first_call=LAP),
                    report=lambda *_: self.ends_early(),
                )
            except FloatingPointError as error:
                return racer._replace(pace=0, error=error)
            recent = result.trace.log_joint[-PACE:]
            pace = 0 if result.stopped else (recent[-1] - recent[0]) / max(len(recent) - 1, 1)
            return racer._replace(chain=result.chain, pace=pace, error=None)

        calls = [lambda racer=racer: one(racer) for racer in racers]
        return run_in_threads(*calls, n_threads=n_cores(), pool="starts")

    def with_common_scales(self, racers):
        """Let the best of each family learn scales; all continue at those of the highest one."""
        best = {racer.family: racer for racer in reversed(racers)}
        learned = self.climb(best.values(), LEARNING, learns_scales=True)
        others = [racer for racer in racers if racer is not best[racer.family]]
        return self.at_scales_of(_by_height(learned)[0], [*learned, *others])

    def at_scales_of(self, one, racers):
        """Let racers continue at the scales of one."""
        scales = {name: getattr(one.chain.priors, name) for name in self.learnt_scales}
        return [
            racer._replace(
                chain=racer.chain._replace(priors=racer.chain.priors._replace(**scales)),
                pace=np.inf,
            )
            for racer in racers
        ]

    def finish(self, racers, best=-np.inf):
        """Run laps until all rest."""
        for lap in range(N_LAPS):
            best = max(best, *(racer.log_joint for racer in racers))
            n_left = LAP * (N_LAPS - lap)
            # who at the present pace would not catch up in what is left stays where it is
            racers = [
                racer if racer.log_joint + racer.pace * n_left >= best else racer._replace(pace=0)
                for racer in racers
            ]
            if self.ends_early() or not any(racer.pace > 0 for racer in racers):
                break
            racers = self.advance(racers, LAP)
        return racers

    def exchange(self, racers):
        """Exchange states of the highest racer for as long as that raises the log joint.

        Where a racer of another family came to the same mode, it is left as it is. Those of one
        family are alike, and agree on poor modes too.
        """
        best, *others = _by_height(racers)
        sequences, groups, settings = self.data.sequences, self.data.groups, self.settings
        lengths, n_fruitless = window_lengths(self.data, self.priors, settings), 0
        while n_fruitless < MAX_FRUITLESS:
            reached = [racer.log_joint for racer in others if racer.family != best.family]
            if self.ends_early() or max(reached, default=-np.inf) > best.log_joint - self.same_mode:
                break
            print_if_verbose("Search for a start: exchanges of states", self.verbose)
            if n_fruitless == 0:  # the best one is new
                probs = split_merge.smooth(best.chain, sequences, settings, groups)
                moves = iter(
                    split_merge.random_moves(self.rng, probs, sequences, lengths, settings.terms)
                )
            trials = []
            for move in itertools.islice(moves, N_EXCHANGES):
                states = split_merge.states_after(
                    move, self.rng, probs, sequences, terms=settings.terms, groups=groups
                )
                start = start_from_states(
                    states, sequences, best.chain.priors, settings=settings, groups=groups
                )
                trials.append(_Racer(best.family, start, np.inf))
            if not trials:
                break
            trials = self.finish(self.advance(trials, LAP), best.log_joint)
            highest = _by_height(trials)[0]
            if highest.log_joint > best.log_joint + self.same_mode:
                best, n_fruitless = highest, 0
            else:
                n_fruitless += 1
        return [best, *others]


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
    terms = settings.terms
    data = choose_data(
        rng,
        sequences,
        terms.n_syllables,
        compressed=settings.backend == "compressed",
        groups=groups,
    )
    race = _Race.make(rng, data, priors, settings, verbose, ends_early)
    searches = []
    while len(searches) < n_searches and not (searches and ends_early()):
        if n_searches > 1:
            print_if_verbose(f"Search {len(searches) + 1} of {n_searches}", verbose)
        searches.append(race.run())
    winners = [racers[0] for racers in searches]
    if len(winners) > 1 and not ends_early():
        print_if_verbose("The best starts of all searches are compared", verbose)
        winners = race.climb(race.at_scales_of(winners[0], winners), LAP * N_LAPS, tol=FINE_TOL)
    log_joints = np.array([racer.log_joint for racer in winners])
    if len(winners) > 1:
        shown = ", ".join(f"{value:.1f}" for value in log_joints)
        print_if_verbose(f"Log joints of all searches: {shown}", verbose)
    finalists = [
        Finalist(
            racer.family,
            racer.log_joint,
            data.with_unseen(racer.chain.logits),
            racer.chain.trans_probs,
            racer.chain.priors,
        )
        for racer in searches[int(np.argmax(log_joints))]
    ]
    return finalists, log_joints


def _by_height(racers):
    """Return racers by falling log joint."""
    return sorted(racers, key=lambda racer: -racer.log_joint)


def _describe(racers, n_moving, n_iter):
    """Return a line about the next round of a race."""
    starts = "1 start" if n_moving == 1 else f"{n_moving} starts"
    text = f"Search for a start: {n_iter} iterations of EM from {starts}"
    reached = [racer.log_joint for racer in racers if np.isfinite(racer.pace)]
    return f"{text}, best log joint {max(reached):.1f}" if reached else text
