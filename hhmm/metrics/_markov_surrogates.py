"""Draw paths of Markov chains on the host.

A path can be read from stacks: for every state an endless list of independent draws of what
follows it, from which each visit takes the next one [1]_. NumPy draws the lists in blocks; what is
left to Python is to take a number from a list, 0.3 microseconds a step. A NumPy loop over timesteps
with all sequences side by side takes ten microseconds a timestep and more, so it would need tens of
sequences of equal length to be faster. Where a chain stays in a state, the path is drawn stay by
stay: how long a stay lasts is geometric, and independent of where the chain goes next.

References
----------
.. [1] Wilson, D. B. (1996). Generating random spanning trees more quickly than the cover
   time. Proceedings of the 28th ACM Symposium on Theory of Computing, 296-303.
"""

import numpy as np

_BLOCK = 512  # draws made at once of what follows a state
_FIRST_STAYS = 16  # stays drawn before it is seen whether they fill the path; then twice as many


def draws_from(probs, rng):
    """Yield endless independent draws of a category, in proportion to `probs` (n_categories,)."""
    cumulative = np.cumsum(probs)
    while True:
        uniforms = cumulative[-1] * rng.random_sample(_BLOCK)
        yield from np.searchsorted(cumulative[:-1], uniforms, side="right").tolist()


def draw_paths(trans_probs, first, lengths, rng):
    """Draw paths of a Markov chain, laid end to end: int32 states of shape (sum of lengths,).

    Rows of `trans_probs` (n_states, n_states) sum to 1. Each path starts in its state of `first`
    (n_paths,), and has its number of timesteps of `lengths` (n_paths,), at least 1.
    """
    others = trans_probs * (1 - np.eye(len(trans_probs)))
    with np.errstate(divide="ignore"):
        # of the exponential variable whose ceiling is a geometric one; 0 for one that never
        # stays, infinite for one that never leaves
        mean_stay = -1 / np.log1p(-np.minimum(others.sum(axis=1), 1))
    follow = [draws_from(row, rng).__next__ for row in others]

    paths = []
    for state, length in zip(first.tolist(), lengths.tolist(), strict=True):
        n_filled, n_stays = 0, _FIRST_STAYS
        while n_filled < length:
            visited = []
            for _ in range(min(length - n_filled, n_stays)):
                visited.append(state)
                state = follow[state]()
            stays = np.ceil(rng.standard_exponential(len(visited)) * mean_stay[visited])
            stays = np.clip(stays, 1, length).astype(np.int64)
            path = np.repeat(np.array(visited, dtype=np.int32), stays)[: length - n_filled]
            paths.append(path)
            n_filled += path.size
            n_stays *= 2
    return np.concatenate(paths)
