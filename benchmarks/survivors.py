"""Why mutants survive that the tests do not notice, by module, line and what it becomes."""

_SQUARE = "the matrix is square"
_SAME_AXIS = "the same axis, counted from the other end"
_SYMMETRIC = "sums of all entries, and the concentrations of the prior are symmetric"
_JIT = "without the decorator it is compiled by whoever calls it, or runs uncompiled: slower"
_CALL = "every call in the package names these arguments"
_PADDING = "of what fills up the last block, which nothing reads; gathers stay within the table"
_SCALE = "a factor common to all states, which normalising takes out"
_MARK = "any negative number marks what has no label yet; all marks are written over"

REASONS = {
    (
        "hhmm/_emission_solvers/hmc.py",
        "DIVERGENT = 1000.0",
        "DIVERGENT = 999.0",
    ): "a limit far from what occurs on either side",
    (
        "hhmm/_emission_solvers/hmc.py",
        "JITTER = 0.2",
        "JITTER = 1.2",
    ): "any distribution of steps is exact; the tuning makes up for the acceptance that it costs",
    (
        "hhmm/_emission_solvers/newton.py",
        "MAX_HALVINGS = 40",
        "MAX_HALVINGS = 39",
    ): "a step of 1e-12 is no step either",
    (
        "hhmm/_emission_solvers/newton.py",
        "*,",
        "/,",
    ): _CALL,
    (
        "hhmm/_emission_solvers/newton.py",
        "n_halvings=state.n_halvings + 1,",
        "n_halvings=state.n_halvings // 1,",
    ): "an ascent that nothing improves ends by max_iter, with the same result",
    (
        "hhmm/_emission_solvers/newton.py",
        "exhausted = state.n_halvings >= MAX_HALVINGS",
        "exhausted = state.n_halvings == MAX_HALVINGS",
    ): "halvings are counted one by one",
    (
        "hhmm/_emission_solvers/objective.py",
        "carry = (jnp.zeros_like(start), right_hand_side, start, rho, jnp.int32(0))",
        "carry = (jnp.zeros_like(start), right_hand_side, start, rho, jnp.int32( -1))",
    ): "one more iteration of conjugate gradients at most",
    (
        "hhmm/_model/transitions.py",
        "return counts + priors.trans_beta + priors.trans_kappa * jnp.eye(counts.shape[-1])",
        "return counts + priors.trans_beta + priors.trans_kappa * jnp.eye(counts.shape[+1])",
    ): _SQUARE,
    (
        "hhmm/_model/transitions.py",
        "positive = root > 0  # and not where u = 0 and the normal number is infinite",
        "positive = root > -1  # and not where u = 0 and the normal number is infinite",
    ): "the logarithm of a negative root is NaN, which is no less than the bound: rejected too",
    (
        "hhmm/_model/joint.py",
        "gammaln(alpha.sum(axis=-1))",
        "gammaln(alpha.sum(axis=1))",
    ): _SAME_AXIS,
    (
        "hhmm/_model/joint.py",
        "+ xlogy(alpha - 1, trans_probs).sum(axis=-1)",
        "+ xlogy(alpha - 1, trans_probs).sum(axis=not 1)",
    ): _SYMMETRIC,
    (
        "hhmm/_model/simulate.py",
        "def simulate(key, params, holding_times=None, *, terms, n_sequences, n_timesteps):",
        "def simulate(key, params, holding_times=None, /, terms, n_sequences, n_timesteps):",
    ): _CALL,
    (
        "hhmm/_model/simulate.py",
        "",
        "def simulate(key, params, holding_times=None, *, terms, n_sequences, n_timesteps):",
    ): _JIT,
    (
        "hhmm/metrics.py",
        "labels = np.full(contingency.pred_labels.size, -1, dtype=np.int64)",
        "labels = np.full(contingency.pred_labels.size, - 2, dtype=np.int64)",
    ): _MARK,
    (
        "hhmm/metrics.py",
        "mapping = np.full(n_pred, -1, dtype=np.int64)",
        "mapping = np.full(n_pred, - 2, dtype=np.int64)",
    ): _MARK,
    (
        "hhmm/metrics.py",
        "def state_usage(states, *, n_states=None, per_sequence=False):",
        "def state_usage(states, /, n_states=None, per_sequence=False):",
    ): _CALL,
    (
        "hhmm/_messages/run_products.py",
        "return end[-1], maps",
        "return end[1], maps",
    ): "noticed since by a test of the best path over several blocks, written for it",
    (
        "hhmm/_messages/parallel.py",
        "padding=(len(factors.relative) - 1, True, True),",
        "padding=(len(factors.relative) + 1, True, True),",
    ): _PADDING,
    (
        "hhmm/_messages/parallel.py",
        "padding=(1, True, 0),",
        "padding=(1, True, -1),",
    ): _PADDING,
    (
        "hhmm/_messages/run_products.py",
        "padding=(len(tables.emission) - 1, _cell_of_nothing(runs), True, True),",
        "padding=(len(tables.emission) - 0, _cell_of_nothing(runs), True, True),",
    ): _PADDING,
    (
        "hhmm/_messages/sequential.py",
        "for k in range(1, n_states):",
        "for k in range( 0, n_states):",
    ): "a state compared with itself is not better",
    (
        "hhmm/_messages/compressed.py",
        "return jnp.where(runs.starts[..., None], 1 / len(tables.trans), predicted)",
        "return jnp.where(runs.starts[..., None], 1 ** len(tables.trans), predicted)",
    ): _SCALE,
    (
        "hhmm/_messages/run_products.py",
        "shape = values[0].shape[:2]",
        "shape = values[ -1].shape[:2]",
    ): "all of these arrays have the same leading axes",
    (
        "hhmm/_model/simulate.py",
        "",
        "def draw_params(key, priors, *, terms):",
    ): _JIT,
    (
        "hhmm/_model/simulate.py",
        "def draw_params(key, priors, *, terms):",
        "def draw_params(key, priors, /, terms):",
    ): _CALL,
    (
        "hhmm/_messages/run_path.py",
        ")[:, 0]",
        ")[:, 1]",
    ): "an index beyond the only one is taken for the last",
    (
        "hhmm/_messages/sequential.py",
        "n_states = trans_probs.shape[0]",
        "n_states = trans_probs.shape[ -1]",
    ): _SQUARE,
    (
        "hhmm/_messages/run_products.py",
        "uniform = jnp.full((n_lanes, n_states), 1 / n_states, tables.trans.dtype)",
        "uniform = jnp.full((n_lanes, n_states), 1 ** n_states, tables.trans.dtype)",
    ): _SCALE,
    (
        "hhmm/_messages/run_recursion.py",
        "def backward(tables, passed, predicted, runs, *, with_joint):",
        "def backward(tables, passed, predicted, runs, /, with_joint):",
    ): _CALL,
    (
        "hhmm/_messages/parallel.py",
        "jnp.full((n_lanes, n_states), 1 / n_states, trans.dtype),",
        "jnp.full((n_lanes, n_states), 1 + n_states, trans.dtype),",
    ): _SCALE,
    (
        "hhmm/_messages/run_products.py",
        "_, states = by_blocks(backward_pass, start, maps, padding=(0, 0), "
        "n_rows=n_rows, reverse=True)",
        "_, states = by_blocks(backward_pass, start, maps, padding=(0, -1), "
        "n_rows=n_rows, reverse=True)",
    ): _PADDING,
    (
        "hhmm/_messages/compressed.py",
        "def forward_filter(factors, trans_probs, data, *, recursion=run_recursion):",
        "def forward_filter(factors, trans_probs, data, /, recursion=run_recursion):",
    ): _CALL,
    (
        "hhmm/_messages/compressed.py",
        "def smooth(factors, trans_probs, data, *, recursion=run_recursion):",
        "def smooth(factors, trans_probs, data, /, recursion=run_recursion):",
    ): _CALL,
    (
        "hhmm/_messages/bridges.py",
        "queue = jnp.nonzero(moving, size=n_runs, fill_value=0)[0].astype(jnp.int32)",
        "queue = jnp.nonzero(moving, size=n_runs, fill_value= -1)[0].astype(jnp.int32)",
    ): "what fills up the queue is never taken",
    (
        "hhmm/_model/transitions.py",
        "accepted = positive & (log_uniforms[:-1] < bound)",
        "accepted = positive * (log_uniforms[:-1] < bound)",
    ): "the product of two booleans is true where both are",
    (
        "hhmm/_model/transitions.py",
        "return jnp.where(total > 0, weights / jnp.where(total > 0, total, 1), current)",
        "return jnp.where(total > 0, weights / jnp.where(total > -1, total, 1), current)",
    ): "a quotient by 0 that is not chosen; no derivative is taken of it",
    (
        "hhmm/_model/joint.py",
        "- gammaln(alpha).sum(axis=-1)",
        "% gammaln(alpha).sum(axis=-1)",
    ): "noticed since by a test of the log prior at other concentrations, written for it",
    (
        "hhmm/_model/emissions.py",
        "def emission_factors(logits, terms, *, dtype=jnp.float32):",
        "def emission_factors(logits, terms, /, dtype=jnp.float32):",
    ): _CALL,
    (
        "hhmm/_messages/run_products.py",
        "leaving = jnp.where(is_end[..., None, None], 0, tables.trans)",
        "leaving = jnp.where(is_end[..., None, None], -1, tables.trans)",
    ): "a number added to the scores of all states, of which the largest is taken",
    (
        "hhmm/_messages/scaled.py",
        "message, log_scale = rows[..., 0, :], log_scale[..., 0]",
        "message, log_scale = rows[..., -1, :], log_scale[..., 0]",
    ): "the only row",
    (
        "hhmm/_messages/compressed.py",
        "def expected_counts(factors, trans_probs, data, *, recursion=run_recursion):",
        "def expected_counts(factors, trans_probs, data, /, recursion=run_recursion):",
    ): _CALL,
    (
        "hhmm/_messages/bridges.py",
        "run = queue[jnp.minimum(place, n_runs - 1)]",
        "run = queue[jnp.minimum(place, n_runs * 1)]",
    ): "of a slot that takes nothing; gathers stay within the queue",
    (
        "hhmm/_messages/run_products.py",
        "padding=(len(tables.emission) - 1, _cell_of_nothing(runs), True, True),",
        "padding=(len(tables.emission) ** 1, _cell_of_nothing(runs), True, True),",
    ): _PADDING,
}
