"""Benchmarks: this library side by side with its peers, and studies of what its fits are worth.

Run from the root of the repository::

    pip install -e ".[bench]" && python -m benchmarks

or parts of it, ``python -m benchmarks --only modes samplers``. What was run in full replaces its
sections of RESULTS.rst.

The published implementation of the model (state-moseq) runs in an environment of its own, which
is made on the first run; dynamax and hmmlearn, libraries of message passing, run in this one.

========================  ====================================================================
``studies``               commands of their own: what fits are worth, see there
``workloads``             what is run, how often, and what is aimed at
``sides``                 how each side is run, and the data that they load
``kernels``               part *kernels*: message passing, beside dynamax and hmmlearn
``sweeps``                parts *tutorial*, *wide*, *keypoint*: sweeps, beside state-moseq
``recovery``              part *recovery*: how often a fit gets to where the truth is
``scaling``               part *scaling*: cost along frames, syllables, states and sequences
``scaling_plot``          the same as a picture
``samplers``              part *samplers*: what exact draws of the emissions cost
``modes``                 part *modes*: whether fits from many seeds end as high as the truth
``calibration``           part *calibration*: whether draws are draws from the posterior
``calibration_plot``      the same as a picture
``efficiency``            part *efficiency*: accuracy and prediction against amount of data
``efficiency_plot``       the same as a picture
``floor``                 the least that drawing the states can take on this machine
``figures``               figures and their verdicts, as one table
``report``                the machine, and JSON
``results``               the page of results
``reference_env``         the virtual environment of the reference implementation
``_processes``            worker processes, seen from the side that measures
``_serve``                worker processes, seen from inside
``_kernels``              the same for workers of kernels
``_hhmm_worker``          this library's fits and sweeps
``_hhmm_kernels_worker``  this library's kernels
``_dynamax_worker``       dynamax's
``_hmmlearn_worker``      hmmlearn's
``_reference_worker``     sweeps of state-moseq
``_samplers_worker``      sweeps of this library with one sampler and the other
``_modes_worker``         fits of regimes and of song
``_regimes``              simulated regimes, a hard problem
``_calibration_worker``   ranks of truths among draws
``_efficiency_worker``    fits of models of different economy
``_free_emissions``       a model with emissions of its own for each state
``_data_worker``          simulated data
``_rates_worker``         what the machine can do
========================  ====================================================================

The process that measures imports no side and no JAX: each side runs in processes
of its own, which answer one request at a time.
"""
