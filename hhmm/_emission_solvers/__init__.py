"""Solvers for the emission parameters given syllable transition counts.

One a file: `newton` and `adam` find the mode of the same `objective`;
`laplace` draws around it, `hmc` from the posterior itself.
"""

from hhmm._emission_solvers import adam, hmc, laplace, newton

SOLVERS = {"newton": newton.solve, "adam": adam.solve}
SAMPLERS = {"hmc": hmc.draw, "laplace": laplace.draw}
