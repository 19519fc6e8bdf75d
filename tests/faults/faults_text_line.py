"""Slips in the line from texts to clips."""

from fault import group as _group

FAULTS_TEXT_LINE = [
    *_group(
        "find/text_line.py",
        "tests/find/test_text_line.py",
        (
            "whole words instead of pieces",
            'analyzer="char_wb", ngram_range=(2, 5)',
            'analyzer="word", ngram_range=(1, 1)',
        ),
        ("wide letters are other letters", 'unicodedata.normalize("NFKC", text).lower()', "text.lower()"),
        (
            "its own texts are answered by the line itself",
            "known & ~_marked(part, len(texts)), [strength]",
            "known, [strength]",
        ),
        (
            "the strength is judged on what it was fitted on",
            "_solved(x, wanted, known & ~_marked(part, len(known)), STRENGTHS)",
            "_solved(x, wanted, known, STRENGTHS)",
        ),
        ("the greatest error wins", "STRENGTHS[int(np.argmin(errors))]", "STRENGTHS[int(np.argmax(errors))]"),
        ("groups are torn apart", "np.asarray(groups)[of_film]", "np.arange(len(of_film))"),
        (
            "films are torn apart",
            "unit = of_film if groups is None",
            "unit = np.arange(len(of_film)) if groups is None",
        ),
        (
            "the middle of the film is not taken off",
            "share @ film / share.sum() - middles[at]",
            "share @ film / share.sum()",
        ),
        ("part of a clip counts as all of it", "share @ film / share.sum()", "(share > 0) @ film / (share > 0).sum()"),
        ("only the last span counts", "share += np.diff", "share = np.diff"),
        (
            "the mean answer is forgotten",
            "x, shift = x[rows], wanted[rows].mean(0)",
            "x, shift = x[rows], 0 * wanted[rows].mean(0)",
        ),
        ("no ridge", "gram + s * ridge", "gram + 1e-3 * ridge"),
        (
            "texts without an answer teach zero",
            "strength = _strength(x, wanted, known, parts)\n",
            "strength = _strength(x, wanted, known, parts)\n        known = np.ones_like(known)\n",
        ),
        (
            "weights of pieces are lost on the way to a file",
            "self._counts.idf_ = idf",
            "self._counts.idf_ = np.ones_like(idf)",
        ),
        ("pieces in another order", "self.terms = tuple(terms)", "self.terms = tuple(sorted(terms, reverse=True))"),
        ("the scale is of each film's sum", "total / count)) or 1.0", "total / len(directions))) or 1.0"),
        ("no scale without a spread", "float(np.sqrt(total / count)) or 1.0", "float(np.sqrt(total / count))"),
        ("padding pulls at the middle", "clips = torch.where(there, clips, 0.0)", "clips = torch.nan_to_num(clips)"),
        ("padding is like something", "near = torch.where(present, near / scale, 0.0)", "near = near / scale"),
        ("the middle is a sum", "middle = clips.sum(1) / count", "middle = clips.sum(1)"),
        ("a missing film has no best clip", "torch.where(present, own - best, 0.0)", "own - best"),
        ("a still film is divided by nothing", " + _SOFT)", ")"),
    ),
]
