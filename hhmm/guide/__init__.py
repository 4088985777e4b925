"""Guide: from files to figures, one page a question. Read one with ``help("hhmm.guide.groups")``.

=====================  ==========================================================================
`from_keypoint_moseq`  from a ``results.h5`` to states by group and a figure
`choosing`             how many states, how sticky, and whether slow states are there at all
`groups`               several animals, several groups: fitting, comparing, cross-validating
`missing_data`         missing frames, masks, padding
`comparing_fits`       fits with each other, with labels, with other numbers of states
`saving`               joblib, pickle, skops
`long_fits`            checkpoints, interrupts, memory
`gpu`                  accelerators
`from_state_moseq`     every function of state-moseq beside what is here
`from_hmmlearn`        the same for hmmlearn
=====================  ==========================================================================

All examples run: they are tests of the package.
"""
