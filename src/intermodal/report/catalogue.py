"""Every fixed sentence that a report shows, in one dictionary, so that a translation is one file."""

from __future__ import annotations

WORDS: dict[str, str] = {
    "lang": "en",
    "contents": "Contents",
    "label": "name",
    "value": "value",
    "low": "low",
    "high": "high",
    "plot": "chart",
    "asks": "asks",
    "looked_at": "is looked at",
    "yes": "yes",
    "no": "no",
    "missing": "–",
    "error": "error",
    "warning": "warning",
    "note": "note",
    "remedy": "What to do: ",
    "no_findings": "Nothing found.",
    "no_rows": "No rows.",
    "highlighted": "highlighted",
    "copy": "Copy as CSV",
    "copied": "Copied.",
    "not_copied": "The browser does not allow copying; select the table instead.",
    "region": "{title}, table",
    "why_missing": "– stands where no value was given.",
    "why_nan": "NaN stands where the calculation gave no number (for instance 0/0).",
    "why_infinite": "∞ stands where a value has no bound, or grew past the largest number.",
    "domain": "Colour runs from {low} to {high}.",
    "observed": "The values here run from {low} to {high}.",
    "nothing_to_colour": "There is no finite value to colour.",
    "shades": "Shades run from blank ({low}) through ░▒▓ to █ ({high}).",
    "shades_signed": "Shades run from blank (0) through ░▒▓ to █ ({high}, either sign).",
    "no_zero": "The axis does not start at zero; it starts at {low}.",
    "compared": "Compared with {value}.",
    "reference": "Compared with {value}, the dashed line.",
    "dots": "A solid dot's interval leaves the line out; a hollow dot's includes it.",
    "whiskers": "Whiskers reach from low to high.",
    "columns": "columns {first} to {last} of {total}",
    "columns_one": "column {first} of {total}",
    "shortened_one": "1 cell was shortened (…); the JSON and HTML forms hold it whole.",
    "shortened": "{count} cells were shortened (…); the JSON and HTML forms hold them whole.",
    "long": "({count} characters)",
    "size": "This file is complete in itself: {size} bytes, no network, works without scripts.",
    "json_missing": "{path} was {value}; JSON has no such number, so null stands there.",
}


def say(key: str, /, **values: object) -> str:
    """Return a fixed sentence with its gaps filled.

    Example:
        >>> say("domain", low="0", high="1")
        'Colour runs from 0 to 1.'
    """
    return WORDS[key].format(**values)
