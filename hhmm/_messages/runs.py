"""What the backends over runs share: reading `PackedRuns` and `Pieces`."""

import jax.numpy as jnp


def held_pairs(runs):
    """The pair code of each row of the table: s -> s, and no emission in the last one.

    Where a syllable that is held is no emission, the last row is the only one.
    """
    n_held = runs.cell_counts.shape[0] - 1
    return jnp.append(jnp.arange(n_held) * (n_held + 1), len(runs.pair_counts) - 1)


def continues(pieces):
    """Whether the sequence of a piece goes on in the next one, (n_pieces,)."""
    return jnp.append(~pieces.sequences.starts[0, 1:], False)
