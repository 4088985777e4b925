"""Saving and loading fitted models.

A fitted model holds NumPy arrays and plain Python, whatever device it was fitted on. ``joblib``
and ``pickle`` both save it; so do they a pipeline or a search around it.

>>> import tempfile
>>> import warnings
>>> from pathlib import Path
>>> import joblib
>>> from hhmm import EfficientHHMM
>>> from hhmm.datasets import make_hhmm
>>> data = make_hhmm(12, 60, n_states=2, n_syllables=4, random_state=0)
>>> model = EfficientHHMM(2, max_iter=8, init="prior", random_state=0)
>>> with warnings.catch_warnings():
...     warnings.simplefilter("ignore")  # eight sweeps are too few to have settled
...     model = model.fit(data.X)
>>> path = Path(tempfile.mkdtemp()) / "model.joblib"
>>> _ = joblib.dump(model, path)
>>> again = joblib.load(path)
>>> bool((again.predict(data.X) == model.predict(data.X)).all())
True

What was loaded goes on where the fit ended, with
``again.set_params(warm_start=True).fit(data.X)``.

A model saved by a version of this package that wrote another form is refused with the version that
it needs; another scikit-learn is told by its ``InconsistentVersionWarning``.

Loading a pickle runs what it holds, so never load one from a stranger. Files of ``skops`` (``pip
install skops``) are checked before anything is made of them. These types of this package are in
a fitted model, and are what to trust:

.. code-block:: python

    import skops.io

    skops.io.dump(model, "model.skops")
    model = skops.io.load(
        "model.skops",
        trusted=[
            "hhmm._emission_solvers.objective.Tuning",
            "hhmm._inference.loop.End",
            "hhmm._types.EmissionLogits",
            "hhmm._types.Posterior",
            "hhmm._types.Priors",
            "hhmm.estimator.EfficientHHMM",
        ],
    )

The parameters alone are arrays, which any program can read: ``numpy.savez(path,
emission_base=..., emission_biases=..., trans_probs=...)``, with ``emission_usage`` and
``emission_interactions`` where the model has these terms. ``EfficientHHMM.from_params`` makes a
model of them; give it ``self_transitions=False`` where the fit had that.

Callbacks are not saved with a model.
"""
