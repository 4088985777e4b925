"""Message passing: one backend a file, all with the signatures of `sequential`.

A backend provides, for emission factors, transition probabilities and packed
sequences:

======================  =====================================================
``log_normalisers``     terms of log p(x)
``forward_filter``      p(z[t] | x[1..t])
``smooth``              p(z[t] | x)
``expected_counts``     sufficient statistics, averaged over the posterior of the states; log p(x)
``sample``              one draw of all states from their posterior, its counts, log p(x)
``viterbi``             the most probable states
``state_changes``       where the states that `sample` drew change
======================  =====================================================

`sequential` and `parallel` take `PackedSequences` and give results for every timestep in the same
shape. `compressed` and `parallel_runs` take `RunData` and give terms by run, and results for every
timestep by piece.
"""

from hhmm._messages import compressed, parallel, parallel_runs, sequential

BACKENDS = {
    "compressed": compressed,
    "parallel": parallel,
    "parallel_runs": parallel_runs,
    "sequential": sequential,
}
