"""Guide: one page per topic. Read a page with ``help("hhmm.guide.groups")``.

=====================  ==========================================================================
`from_keypoint_moseq`  from a ``results.h5`` to states by group and a figure
`command_line`         fit, predict and make a report without Python code
`choosing`             check if there are slow states; choose their number and the stickiness
`warnings_of_fits`     what each warning means, and what to do
`groups`               several animals, several groups: fitting, comparing, cross-validating
`missing_data`         missing frames, masks, padding
`comparing_fits`       compare fits with each other, with labels, with other numbers of states
`saving`               joblib, pickle, skops
`scale`                more data than memory, clusters, GPUs, checkpoints, interrupts
`gpu`                  accelerators
`from_state_moseq`     functions of state-moseq and their counterparts here
`from_hmmlearn`        the same for hmmlearn
=====================  ==========================================================================

The examples are tests of the package.
"""
