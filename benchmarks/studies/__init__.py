"""Judge what fits are worth, on data whose truth is known or that are held out.

Each study is a command that prints a table with a verdict and writes its section of
``benchmarks/RESULTS.rst``. Run it from the root of the repository, for example
``python -m benchmarks.studies.lab``. With ``--quick``, it takes some minutes at most and writes to
``benchmarks/quick`` instead.

===============  ==============================================================================
``recovery``     how many fits reach the accuracy and log joint of the true parameters
``modes``        how many fits from different seeds end as high as one started at the truth
``calibration``  whether draws are draws from the posterior
``efficiency``   accuracy and prediction against the amount of data
``precision``    what rounding does to log-likelihoods of long sequences
``posterior``    whether draws agree with those of NUTS, and how well learnt scales mix
``lab``          whether the slow states of a realistic experiment are found, from every seed
``learnt``       whether learnt scales predict better than fixed ones, and how long they take
``comparisons``  level, coverage and power of comparisons between groups of animals
===============  ==============================================================================
"""
