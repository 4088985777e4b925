"""What no numeric library would raise, from an object of a user."""


class Stubborn:
    """An object whose every conversion and comparison raises an error of its own."""

    def __array__(self, *args, **kwargs):
        raise LookupError("no array")

    def __float__(self):
        raise RuntimeError("no number")

    __int__ = __index__ = __bool__ = __float__

    def __eq__(self, other):
        raise ArithmeticError("not comparable")

    __lt__ = __le__ = __gt__ = __ge__ = __eq__

    __hash__ = object.__hash__
