"""Time this library side by side with its peers. `benchmarks.studies` judges what fits are worth.

Run from the root of the repository::

    pip install -e ".[bench]" && python -m benchmarks

or some parts, for example ``python -m benchmarks --only kernels tutorial``. Each part replaces its
section of RESULTS.rst. With ``--quick``, all parts take some minutes and write to
``benchmarks/quick`` instead.

The published implementation of the model (state-moseq) runs in an environment of its own, which
the first run makes. dynamax and hmmlearn, libraries of message passing, run in this one.

=========================  ======================================================================
``workloads``              sizes of the data, and numbers of repetitions
``sides``                  the libraries compared, and the worker processes in which they run
``kernels``                part *kernels*: message passing, beside dynamax and hmmlearn
``sweeps``                 parts *tutorial*, *wide* and *keypoint*: sweeps, beside state-moseq
``scaling``                part *scaling*: cost along frames, syllables, states and sequences
``scaling_plot``           the same as a picture
``samplers``               part *samplers*: exact beside approximate draws of the emissions
``figures``                medians, ratios and verdicts, as one table
``results``                the page of results
``reference_environment``  the virtual environment of state-moseq
``_serve``                 the protocol of the workers, and the clock
``_*_worker``              one worker for each side, and one for data
=========================  ======================================================================

The process that measures imports neither JAX nor any side. Each side runs in processes of its
own, which answer one request at a time.

Mutation testing needs no code here. ``cosmic-ray.toml`` says which modules to change and which
tests must notice. cosmic-ray changes files in place, so run it in a clone::

    cosmic-ray init benchmarks/cosmic-ray.toml mutants.sqlite
    cosmic-ray baseline benchmarks/cosmic-ray.toml
    cosmic-ray exec benchmarks/cosmic-ray.toml mutants.sqlite
    cr-report mutants.sqlite
"""
