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
    "strip": "What to know first",
    "strip_one": "1 {severity}",
    "strip_many": "{count} {severity}s",
    "strip_gaps_one": "1 number in “{title}” is not finite (NaN or ∞).",
    "strip_gaps": "{count} numbers in “{title}” are not finite (NaN or ∞).",
    "see": "See: ",
    "as_text": "The same as text",
    "large": "It is large: a browser may open it slowly. Fewer samples make it smaller.",
    "uniform": "even share {value}",
    "layer": "layer",
    "head": "head",
    "layers_n": "{n} layers",
    "heads_n": "{n} heads",
    "samples_n": "{n} samples",
    "layers_1": "1 layer",
    "heads_1": "1 head",
    "samples_1": "1 sample",
    "modality": "modality",
    "sample": "sample",
    "why": "shown because",
    "output": "output",
    "weight": "weight",
    "att_how": "Mean over {layers}, {heads} and {n}. A row asks and sums to 1; a column is looked at.",
    "att_asked": "Asked in fewer samples: {names}.",
    "att_spread": "Spread over the samples",
    "att_spread_how": "Standard deviation over {n}, averaged over layers and heads.",
    "att_atlas": "Which heads cross between modalities",
    "att_atlas_how": "Each cell is the share of the attention that leaves its own modality, averaged over the rows "
    "that ask and over all samples.",
    "att_even": "How evenly each head looks",
    "att_even_how": "Each cell is the entropy of a row over its largest possible, averaged over the rows that ask: 1 "
    "where all modalities are looked at alike, 0 where one is.",
    "att_samples": "Single samples",
    "most": "looks most at",
    "times_uniform": "× even share",
    "next_most": "then at",
    "time_how": "{query} asks {context}: {how}, {n} frames. The even share is 1 over the frames that are there.",
    "time_truth": "The annotated time is {spans} ({unit}).",
    "time_span": "{start} to {end}",
    "worth": "What each modality was worth",
    "worth_how": "Mean absolute Shapley value over the samples: how far the modality moved the output.",
    "worth_short": "Shapley, mean absolute",
    "pairs": "What two modalities are worth together",
    "pairs_how": "Shapley interaction of each pair, averaged over samples: above 0 they add to each other, "
    "below 0 they say the same.",
    "beside": "Other measures beside it",
    "beside_how": "Measures of other kinds need not agree: attention is where the model looked, not what it used.",
    "samples": "From nothing to the prediction",
    "samples_table": "From nothing to the prediction, sample by sample",
    "samples_how": "The values of a row lead from f(nothing) to f(x).",
    "complete": "Completeness error {error}: the values miss f(x) − f(nothing) by no more.",
    "removal": "A modality was taken away by: {rule}.",
    "missing_modality": "missing",
    "f_empty": "f(nothing)",
    "f_full": "f(x)",
    "there": "present",
    "there_cell": "yes",
    "share": "share missing",
    "presence_how": "Counted over {n}.",
    "presence_rows": "Who had what",
    "track_highest": "{name}: highest",
    "track_how": "The curve shows “{name}”, from 0 to 1.",
    "start": "start",
    "end": "end",
    "curve_low": "{label}, low",
    "curve_high": "{label}, high",
    "curve_label": "{y} against {x}: {lines}. The numbers are in the table below.",
}


def counted(what: str, n: int) -> str:
    """Return a number with its noun; `what` is "layers", "heads" or "samples".

    Example:
        >>> counted("heads", 1), counted("samples", 1797)
        ('1 head', '1,797 samples')
    """
    return WORDS[f"{what}_1"] if n == 1 else say(f"{what}_n", n=f"{n:,}")


def say(key: str, /, **values: object) -> str:
    """Return a fixed sentence with its gaps filled.

    Example:
        >>> say("domain", low="0", high="1")
        'Colour runs from 0 to 1.'
    """
    return WORDS[key].format(**values)
