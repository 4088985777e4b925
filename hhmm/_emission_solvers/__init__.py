"""Solvers for the emission parameters given syllable transition counts.

One a file: `newton` and `adam` find the mode of the same `objective`;
`laplace` draws around it, `hmc` from the posterior itself. `marginal` moves emissions and
transitions with the states summed out.
"""

from hhmm._emission_solvers import hmc, laplace
from hhmm._emission_solvers.adam import Adam
from hhmm._emission_solvers.newton import Newton

SAMPLERS = {"hmc": hmc.draw, "laplace": laplace.draw}

__all__ = ["SAMPLERS", "Adam", "Newton"]
