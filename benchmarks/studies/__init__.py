"""Studies of what fits are worth, on data whose truth is known or that are held out.

Each is a command that prints a table with a verdict and, run in full, writes its section of
``benchmarks/RESULTS.rst``. Run from the root of the repository, for example
``python -m benchmarks.studies.lab --quick``.

=============  ================================================================================
``lab``        whether the slow states of a realistic experiment are found, from every seed
``learnt``     whether learnt scales predict better than fixed ones, and what they cost
``posterior``  whether draws agree with those of NUTS, and how well learnt scales mix
=============  ================================================================================
"""

# of their sections
TITLES = {"lab": "Simulated lab", "learnt": "Learnt scales", "posterior": "Posterior"}
