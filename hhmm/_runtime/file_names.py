"""Names of recordings as names of files."""

from pathlib import PurePosixPath, PureWindowsPath

_ESCAPES = {".": "%2E", "%": "%25"}  # of the first character of a file name


def file_stem(name: str) -> str:
    """Return the path, without its ending, of the file of a recording in a folder of files.

    Files and folders whose names begin with a dot are hidden, and loaders skip them. So a dot in
    front is written as "%2E", as in an address, and a "%" in front as "%25".
    """
    return "/".join(_ESCAPES.get(part[:1], part[:1]) + part[1:] for part in name.split("/"))


def recording_name(stem: str) -> str:
    """Return the name of a recording from its file; the inverse of `file_stem`."""
    plain = {escape: character for character, escape in _ESCAPES.items()}
    return "/".join(plain.get(part[:3], part[:3]) + part[3:] for part in stem.split("/"))


def check_names(names, endings, *, ignore_case):
    """Raise ValueError for names that lead elsewhere, or two that would write to one place.

    A recording is written to its name with each of the `endings`. With `ignore_case`, "A" and "a"
    are one place, as in the folders of some systems.
    """
    places = {}
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"names must be text, got {name!r}")
        is_plain = name.isprintable() and "\\" not in name and not PureWindowsPath(name).anchor
        if not is_plain or not {"", ".", ".."}.isdisjoint(name.split("/")):
            raise ValueError(
                "names must be parts of a path that stays in its folder, without '..', '\\', "
                f"a drive such as 'C:', or control characters, got {name!r}"
            )
        for ending in endings:
            place = (name + ending).casefold() if ignore_case else name + ending
            if place in places:
                apart = "differ in more than upper and lower case" if ignore_case else "differ"
                raise ValueError(f"names must {apart}, got {places[place]!r} and {name!r}")
            places[place] = name
    for place, name in places.items():
        for parent in map(str, PurePosixPath(place).parents):
            if parent in places:
                raise ValueError(
                    f"recording {name!r} would be written into what is written for "
                    f"{places[parent]!r}"
                )
