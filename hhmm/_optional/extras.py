"""Optional packages, imported where they are used."""

import importlib

# the extra of this package that each is part of
_EXTRAS = {"h5py": "io", "jinja2": "report", "matplotlib": "demo", "pandas": "io"}


def import_extra(module, user):
    """Import a module that need not be there, or say who needs it and how to install it.

    Parameters
    ----------
    module : str
        ``arviz``, ``h5py``, ``jinja2``, ``matplotlib``, ``matplotlib.pyplot`` or ``pandas``.
    user : str
        What needs it, as the user called it.

    Returns
    -------
    module : module

    Raises
    ------
    ImportError
        If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        extra = (
            f", or install hhmm with the extra {_EXTRAS[package]!r}" if package in _EXTRAS else ""
        )
        raise ImportError(f"{user} needs {package}: pip install {package}{extra}") from error
