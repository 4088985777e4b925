"""Settings of the published model: two terms at fixed scales, every transition an emission.

A sweep with Laplace draws takes half as long to compile as one with Hamiltonian Monte Carlo.
"""

PUBLISHED = {
    "emission_usage_sigma": 0.0,
    "emission_base_sigma": 1.0,
    "emission_biases_sigma": 1.0,
    "self_transitions": True,
    "emission_sampler": "laplace",
}
