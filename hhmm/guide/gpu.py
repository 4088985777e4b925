"""Run fits on a GPU.

Install JAX for CUDA (``pip install "jax[cuda12]"``, or 13). No other change is needed: kernels run
on the default device of JAX, and ``message_passing="auto"`` uses associative scans on a GPU,
because they need few steps. A fitted model holds NumPy arrays, so it can be saved on one kind of
machine and loaded on another.

>>> import jax
>>> jax.default_backend() in {"cpu", "gpu", "tpu"}
True

Notes:

- With equal seeds, draws on two kinds of devices are not equal to the last bit, because sums have
  another order.
- To run a fit on the CPU of a machine with a GPU, use ``with
  jax.default_device(jax.devices("cpu")[0]):``, or set ``JAX_PLATFORMS=cpu`` before Python starts.
  This is faster if a sweep takes only milliseconds on a CPU.
- JAX reserves most of the memory of a GPU when it starts. Set
  ``XLA_PYTHON_CLIENT_PREALLOCATE=false`` to share the GPU with other programs.
- Messages of a fit are float32. Parameters and sums of log-likelihoods are float64 on every device,
  and so are ``score`` and ``score_samples``.
- Use ``n_chains`` instead of worker processes of joblib, because each process would reserve the
  device.
"""
