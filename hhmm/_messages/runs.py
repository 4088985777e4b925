"""What the backends over runs share: reading `PackedRuns` and `Pieces`."""

import jax.numpy as jnp


def held_pairs(runs):
    """The pair code of each row of the table: s -> s, and no emission in the last one."""
    n_syllables = runs.cell_counts.shape[0] - 1
    return jnp.append(jnp.arange(n_syllables) * (n_syllables + 1), n_syllables**2)


def continues(pieces):
    """Whether the sequence of a piece goes on in the next one, (n_pieces,)."""
    return jnp.append(~pieces.sequences.starts[0, 1:], False)
