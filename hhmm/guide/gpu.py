"""On a GPU.

Nothing is to be changed: with JAX for CUDA installed (``pip install "jax[cuda12]"``, or 13) the
kernels run where JAX computes by default, and ``message_passing="auto"`` takes the associative
scans there, which need few, wide steps. A fitted model is plain NumPy. It is saved on one kind
of machine and loaded on the other.

>>> import jax
>>> jax.default_backend() in {"cpu", "gpu", "tpu"}
True

What to know:

- Draws on two kinds of devices are not equal to the last bit, with equal seeds: sums are taken
  in another order.
- To keep a fit on the CPU of a machine with a GPU, run it under ``with
  jax.default_device(jax.devices("cpu")[0]):``, or set ``JAX_PLATFORMS=cpu`` before Python
  starts. For data that a CPU sweeps in some milliseconds that is the faster choice.
- JAX reserves most of the memory of a GPU when it starts.
  ``XLA_PYTHON_CLIENT_PREALLOCATE=false`` leaves it to other programs.
- Messages of a fit are float32. Parameters and sums of log-likelihoods, which are small, are
  float64 on every device, and so are `score` and `score_samples` throughout.
- One process is enough: use ``n_chains`` instead of joblib's workers, which would each reserve
  the device.
"""
