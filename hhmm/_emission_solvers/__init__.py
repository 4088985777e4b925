"""Solvers for the emission parameters given syllable transition counts.

One a file: `newton` and `adam` find the mode of the same `objective`;
`laplace` draws around it.
"""

from hhmm._emission_solvers import adam, laplace, newton

SOLVERS = {"newton": newton.solve, "adam": adam.solve}
SAMPLERS = {"laplace": laplace.draw}
