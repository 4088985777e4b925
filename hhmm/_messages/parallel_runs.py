"""Message passing over runs of timesteps by associative scans.

A run of timesteps is a link of the chain, as a timestep is in `parallel`: the link of its first
timestep times a power. So every function here is the one of `compressed`, with the recursions of
`run_products`, and its results are those of `compressed`, except for rounding.
"""

from functools import partial

from hhmm._messages import compressed, run_products

log_normalisers = partial(compressed.log_normalisers, recursion=run_products)
forward_filter = partial(compressed.forward_filter, recursion=run_products)
smooth = partial(compressed.smooth, recursion=run_products)
expected_counts = partial(compressed.expected_counts, recursion=run_products)
sample = partial(compressed.sample, recursion=run_products)
viterbi = partial(compressed.viterbi, recursion=run_products)
state_changes = compressed.state_changes
