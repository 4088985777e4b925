"""Fit, predict and make a report from the command line.

Install the packages for tables, figures and the page with ``pip install ".[report]"``. Then::

    python -m hhmm fit results.h5 --n-lags 3 --n-states 4 --frame-rate 30 --groups groups.csv \\
        --reference saline --out out

Data
----
The format is found from the ending of the file and the names of its columns. ``--format`` sets it.

================================  ==================================================================
``results.h5``                    of keypoint-MoSeq. Give ``--n-lags`` as for
                                  :func:`hhmm.datasets.load_keypoint_moseq`: the first frames of a
                                  recording have no syllables of their own.
a folder of CSV files             of keypoint-MoSeq, or a file for each recording
``moseq_df.csv``                  of MoSeq
a folder of ``.npy`` files        a 1-D array of integers for each recording
a pattern, in quotes              files of one format: ``"data/**/*.npy"`` for all folders in
                                  ``data``; see :func:`hhmm.datasets.open_recordings`
a table with a column recording   a row for each frame, or, with ``--onset``, for each event
================================  ==================================================================

``--groups`` is a table with a row for each recording. The column ``recording`` has the names as in
the data. If there is a column ``animal``, each animal has its own effect on the use of syllables
and on transitions. The groups in every other column are compared with each other, for example
``drug`` with ``saline``. ``--reference`` is the group that others are compared with; by default it
is the label of the first recording.

Results
-------
The folder ``out`` is made when all is done. It has:

===========================  =======================================================================
``report.html``              one page with warnings, states in words, figures and comparisons
``states/``                  a table for each recording: the state and the syllable of each frame
``tables/states.csv``        a row for each state: its number in ``states/``, usage (fraction of
                             time), mean dwell time, visits per recording, number of animals that
                             use it (:func:`hhmm.model_checks.state_report`)
``tables/usage.csv``         a row for each recording: fraction of the time in each state
``tables/durations.csv``     a row for each complete stay in a state
``tables/transitions.csv``   counts of changes from state to state in each recording
``tables/syllables.csv``     share of each syllable in each state minus its share in all states
``tables/posterior.csv``     parameters with intervals (:func:`hhmm.diagnostics.posterior_summary`)
``tables/comparison_*.csv``  a row for each test (:func:`hhmm.comparisons.compare_groups`)
``tables/scan.csv``          a row for each fit of a range (:func:`hhmm.model_selection.scan`)
``figures/``                 the figures of the page
``model.joblib``             the model: ``joblib.load`` in Python
``encoder.joblib``           your labels to 0, 1, ... (:class:`hhmm.preprocessing.SyllableEncoder`)
===========================  =======================================================================

Usage and dwell times in ``states.csv`` are counted in the most probable states. Those in
``posterior.csv`` are parameters of the model. These dwell times can be shorter, because the most
probable states leave out brief changes that are uncertain.

Number of states
----------------
``--n-states 2-8`` fits each number to parts of the recordings, and scores it on the others. A
number is left out if its fits use no more states than those of a smaller one. Of the others, the
smallest that is within one standard error of the best is chosen
(:meth:`hhmm.model_selection.ScanResult.one_standard_error`) and fitted to all recordings.
``--n-folds`` and ``--n-seeds`` set the number of fits, and ``--n-jobs`` how many run at the same
time.

Searches for a start
--------------------
``--n-init 5`` searches for a start five times and keeps the best one. ``--n-chains 4`` runs four
chains, and the report says how well they agree.

Compiled code
-------------
The first command spends about half a minute compiling. The compiled code is kept in
``~/.cache/hhmm`` for the next command. If ``XDG_CACHE_HOME`` is set, or ``LOCALAPPDATA`` on
Windows, it is kept in the folder ``hhmm`` there. When a command starts, it removes the oldest files
beyond 500 MB. You can remove the folder. If it cannot be written, each command compiles anew. With
``JAX_COMPILATION_CACHE_DIR`` you choose another folder, and with ``JAX_ENABLE_COMPILATION_CACHE=0``
nothing is kept.

Interruptions
-------------
Run the same command again to continue. Until all is done, results are in ``out.partial``. A fit
that was interrupted in the search for a start begins anew, since nothing is saved before its first
sweeps. Ctrl-C ends the command with exit status 130. Other exit statuses are 0, 2 for bad input,
and 1 for other failures.

Other commands
--------------
Name the states after you have seen them, and write tables, figures and page again::

    python -m hhmm report out --state-names rest,groom,explore,run

Find the states of other recordings. Labels that the fit did not have are missing there::

    python -m hhmm predict out new_results.h5 --groups new_groups.csv --out new_states

Both commands load ``model.joblib``, and loading such a file runs code that is in it. Use them only
with folders that you trust.
"""
