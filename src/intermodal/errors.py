"""The error tree: what went wrong, and whose turn it is to mend it.

A user's mistake (`InputError` and below) is also a `ValueError`, so that code that never heard of
Intermodal still catches it. Every message is one sentence: *requirement, however: value*, and, where one
can be found, a suggestion.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class IntermodalError(Exception):
    """Anything Intermodal raises on purpose."""


class InputError(IntermodalError, ValueError):
    """The user's input cannot be used; the message says what is required and what came instead."""


class SpecError(InputError):
    """A fusion spec cannot be read, or names a modality that is not there."""


class DataError(InputError):
    """Samples cannot be read, or contradict each other."""


class ShapeError(InputError):
    """A tensor has the wrong number of axes, or a wrong size on one of them."""


class MaskError(InputError):
    """A `keep` or `present` argument is not bool, or fits no reading of the shapes."""


class MissingDependencyError(IntermodalError, ImportError):
    """An optional library is needed for this and is not installed; the message says how to install it."""


class OneKeyWarning(UserWarning):
    """Every query sees at most one key, so the softmax is constantly 1 and the query is ignored."""


class DataWarning(UserWarning):
    """The samples can be used, but something in them is odd and worth a look."""


class AttentionWarning(UserWarning):
    """The attention of a model cannot do what its spec says; `findings_` and `lint` say what to do."""


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the entry of `names` most like `name`, or None when none is alike.

    Example:
        >>> nearest("vidoe", ["text", "video"])
        'video'
    """
    found = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return found[0] if found else None


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return the sentence that suggests the nearest name, or lists the names, ready to be appended.

    Example:
        >>> did_you_mean("vidoe", ["text", "video"])
        '; did you mean "video"?'
        >>> did_you_mean("xyz", ["text", "video"])
        '; known: "text", "video"'
    """
    names = list(names)
    close = nearest(name, names)
    if close is not None:
        return f'; did you mean "{close}"?'
    return "; known: " + ", ".join(f'"{n}"' for n in names) if names else ""
