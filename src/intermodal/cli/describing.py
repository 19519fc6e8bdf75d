"""Say who asks whom before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from intermodal.cli import console
from intermodal.spec import Spec


def announce(fusions: Iterable[str], modalities: Sequence[str]) -> None:
    """Check every spec against the modalities, then say each in words on stderr.

    Raises:
        SpecError: a spec cannot be read or names an unknown modality.
    """
    for fusion, words in [(fusion, in_words(fusion, modalities)) for fusion in fusions]:
        console.note(f"{fusion}: {words}")


def in_words(fusion: str, modalities: Sequence[str]) -> str:
    """Return a fusion in words, wildcards unexpanded: thirty edges are no sentence.

    Example:
        >>> in_words("cross", ["text", "video"])
        'every modality asks every other'
    """
    spec = Spec.parse(fusion, modalities)
    return Spec.parse(fusion).describe() if spec.edges else spec.describe()
