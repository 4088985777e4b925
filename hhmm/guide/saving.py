"""Save and load fitted models.

A fitted model holds NumPy arrays and plain Python objects, on every device. ``joblib`` and
``pickle`` save it, and pipelines and searches that contain it.

>>> import tempfile
>>> import warnings
>>> from pathlib import Path
>>> import joblib
>>> from hhmm import EfficientHHMM
>>> from hhmm.datasets import make_hhmm
>>> data = make_hhmm(24, 200, n_states=2, n_syllables=5, random_state=0)
>>> model = EfficientHHMM(2, max_iter=60, init="prior", random_state=0)
>>> with warnings.catch_warnings():
...     warnings.simplefilter("ignore")  # sixty sweeps are few
...     model = model.fit(data.X)
>>> path = Path(tempfile.mkdtemp()) / "model.joblib"
>>> _ = joblib.dump(model, path)
>>> again = joblib.load(path)
>>> bool((again.predict(data.X) == model.predict(data.X)).all())
True

Continue the fit of a loaded model with ``again.set_params(warm_start=True).fit(data.X)``.

If a later version of this package saved a model in another format, loading raises an error that
names the version it needs. If the version of scikit-learn differs, scikit-learn warns
(``InconsistentVersionWarning``).

Loading a pickle can run any code, so never load one from a stranger. Files of ``skops`` (``pip
install skops``) are checked before objects are made. Trust these types of this package, which a
fitted model contains:

.. code-block:: python

    import skops.io

    skops.io.dump(model, "model.skops")
    model = skops.io.load(
        "model.skops",
        trusted=[
            "hhmm._emission_solvers.objective.Tuning",
            "hhmm._inference.loop.ChainEnd",
            "hhmm._sequences.ragged.Layout",
            "hhmm._sequences.run_lengths.RunLengths",
            "hhmm._types.EmissionLogits",
            "hhmm._types.Posterior",
            "hhmm._types.Priors",
            "hhmm.estimator.EfficientHHMM",
        ],
    )

To save only the parameters, as arrays that any program can read, use ``numpy.savez(path,
emission_base=..., emission_biases=..., trans_probs=...)``, with ``emission_usage`` and
``emission_interactions`` if the model has these terms. ``EfficientHHMM.from_params`` makes a model
from them. Give it ``self_transitions=False`` if the fit had that.

Callbacks are not saved with a model.
"""
