"""Simulate the syllables of a realistic experiment.

Two groups of mice (saline, drug), sessions of some minutes at the frame rate of a camera. What is
realistic here is in no model of hhmm: syllable usage is heavy-tailed, holding times are lognormal,
slow states last for gamma-distributed times, every mouse and every session has syllable preferences
of its own, and states change the order of syllables a little beyond their preferences.
"""

import numpy as np


def simulate(
    *,
    seed,
    n_mice=24,
    n_sessions=2,
    minutes=(20, 30),
    frame_rate=30,
    n_syllables=60,
    dwell_seconds=(12.0, 25.0, 50.0, 100.0),
    dwell_shape=3.0,
    drug_dwell=(1.0, 1.8, 0.6, 1.0),
    drug_content=1.2,
    mouse_sd=0.45,
    mouse_state_sd=0.15,
    session_sd=0.15,
    order_sd=0.3,
    held_frames=9.5,
):
    """Simulate an experiment.

    Parameters
    ----------
    seed : int
    n_mice, n_sessions : int
        Number of mice, every second one in the drug group, and of sessions a mouse.
    minutes : tuple of float
        Shortest and longest session.
    frame_rate : float
        Frames a second.
    n_syllables : int
    dwell_seconds : tuple of float
        Mean time in each state; two states or more.
    dwell_shape : float
        Shape of the gamma distribution of these times.
    drug_dwell : tuple of float
        Factor on these times in the drug group.
    drug_content : float
        How much the drug changes the biases of the last state, in logits.
    mouse_sd, mouse_state_sd, session_sd : float
        Spread of syllable logits between mice, mice and states, and sessions.
    order_sd : float
        Spread of the logits of pairs of syllables that are a state's own.
    held_frames : float
        Median over syllables of the median holding time.

    Returns
    -------
    lab : dict
        ``frames`` and ``states``, lists of int arrays, one a recording; ``biases`` (n_states,
        n_syllables); ``mice``, a list of str.
    """
    rng = np.random.default_rng(seed)
    S, K = n_syllables, len(dwell_seconds)
    base = -1.1 * np.log(np.arange(S) + 1.0)[None] + rng.normal(0, 1.0, (S, S))
    np.fill_diagonal(base, -np.inf)  # the next syllable is always another one
    biases, drug_biases = np.zeros((K, S)), np.zeros((K, S))
    for k in range(K):
        up = rng.choice(S, S // 7, replace=False)
        down = rng.choice(np.setdiff1d(np.arange(S), up), S // 7, replace=False)
        biases[k, up] += rng.uniform(0.8, 2.0, up.size)
        biases[k, down] -= rng.uniform(0.8, 2.0, down.size)
        biases[k, k : min(16, S) : K] += 0.9  # every state promotes some of the common syllables
    changed = rng.choice(min(20, S), 6, replace=False)
    drug_biases[-1, changed] = drug_content * np.repeat([1.0, -1.0], 3)
    order = rng.normal(0, order_sd, (K, S, S))
    next_state = rng.dirichlet(np.full(K, 3.0), size=K)
    np.fill_diagonal(next_state, 0)
    next_state /= np.maximum(next_state.sum(1, keepdims=True), 1e-300)
    held_median = np.exp(rng.normal(np.log(held_frames), 0.3, S))
    held_spread = rng.uniform(0.5, 0.75, S)
    lab = {"frames": [], "states": [], "mice": [], "biases": biases}
    for mouse in range(1, n_mice + 1):
        drug = mouse % 2 == 1
        of_mouse = rng.normal(0, mouse_sd, S) + rng.normal(0, mouse_state_sd, (K, S))
        pace = np.exp(rng.normal(0, 0.2, K)) * (np.asarray(drug_dwell)[:K] if drug else 1.0)
        mean_frames = np.asarray(dwell_seconds) * pace * frame_rate
        for _ in range(n_sessions):
            n_frames = int(rng.uniform(*minutes) * 60 * frame_rate)
            states = _states(rng, n_frames, next_state, mean_frames, dwell_shape)
            logits = biases + of_mouse + rng.normal(0, session_sd, S) + (drug_biases if drug else 0)
            logits = base + order + logits[:, None, :]
            probs = np.exp(logits - logits.max(-1, keepdims=True))
            cumulative = (probs / probs.sum(-1, keepdims=True)).cumsum(-1)
            frames, t, syllable = np.empty(n_frames, np.int32), 0, int(rng.integers(S))
            while t < n_frames:
                factor = np.exp(held_spread[syllable] * rng.normal())
                held = max(1, round(held_median[syllable] * factor))
                frames[t : t + held] = syllable
                t += held
                if t < n_frames:
                    found = np.searchsorted(cumulative[states[t], syllable], rng.random())
                    syllable = min(int(found), S - 1)
            lab["frames"].append(frames)
            lab["states"].append(states)
            lab["mice"].append(f"mouse {mouse}")
    return lab


def _states(rng, n_frames, next_state, mean_frames, shape):
    """Draw semi-Markov states with gamma-distributed durations, (n_frames,)."""
    if len(mean_frames) == 1:
        return np.zeros(n_frames, np.int32)
    parts, n, k = [], 0, int(rng.integers(len(mean_frames)))
    while n < n_frames:
        mean = mean_frames[k]
        length = int(np.clip(rng.gamma(shape, mean / shape), 0.05 * mean, 8 * mean)) + 1
        parts.append(np.full(length, k, np.int32))
        n += length
        k = int(rng.choice(len(mean_frames), p=next_state[k]))
    return np.concatenate(parts)[:n_frames]
