"""Optional packages, imported where they are used."""

import importlib

# how to install each, by the extra of this package that it comes with
_INSTALL = {
    "arviz": "arviz",
    "h5py": '"hhmm[io]"',
    "matplotlib": '"hhmm[demo]"',
    "pandas": '"hhmm[io]"',
}


def import_extra(module, user):
    """Import a module that need not be there, or say who needs it and how to install it.

    Parameters
    ----------
    module : str
        ``arviz``, ``h5py``, ``matplotlib.pyplot`` or ``pandas``.
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
        raise ImportError(f"{user} needs {package}: pip install {_INSTALL[package]}") from error
