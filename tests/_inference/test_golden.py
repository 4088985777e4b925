"""Equal seeds give the fits that they gave before the modules of the package were moved."""

import numpy as np
import pytest

from tests.data import make_golden

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def golden():
    with np.load(make_golden.FILE) as arrays:
        return dict(arrays)


# "chains" has the chain of "sequential", "held" the backend of "compressed", "random" is "prior"
# with other parameters to start from
COVERED = ("sequential", "compressed", "prior")


@pytest.mark.parametrize("name", [name for name in make_golden.FITS if name not in COVERED])
def test_equal_seeds_give_the_fits_of_before(name, golden):
    # the tolerance is for other versions of JAX and other processors; on those of the file
    # the arrays are equal
    for key, value in make_golden.fit(name).items():
        before = golden[f"{name}.{key}"]
        np.testing.assert_allclose(value, before, rtol=1e-5, atol=1e-5, err_msg=key)
