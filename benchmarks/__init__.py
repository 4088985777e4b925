"""Benchmarks: this library side by side with the published implementation of the model.

Run from the root of the repository::

    python -m benchmarks

===================  =========================================================
``workloads``        what is run, how often, and what is aimed at
``measure``          drives the two sides in turn and collects figures
``report``           figures as one table, verdicts, and JSON
``reference_env``    the virtual environment of the reference implementation
``_processes``       worker processes, seen from the side that measures
``_serve``           worker processes, seen from inside
``_hhmm_worker``     this library's side
``_reference_worker``  the reference's side
===================  =========================================================

The process that measures imports neither side and no JAX: each side runs in processes
of its own interpreter, which answer one request at a time.
"""
