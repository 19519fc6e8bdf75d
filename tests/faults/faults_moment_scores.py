"""Slips in how moments are scored."""

from fault import group as _group

FAULTS_MOMENT_SCORES = [
    *_group(
        "find/moment_answers.py",
        "tests/find/test_scoring_moments.py",
        ("windows apart overlap below zero", "    shared = shared.clip(min=0)\n", ""),
        ("the union counts what is shared twice", "[None] - shared\n", "[None]\n"),
        (
            "the later end closes the overlap",
            "np.minimum(a[:, None, 1], b[None, :, 1])",
            "np.maximum(a[:, None, 1], b[None, :, 1])",
        ),
    ),
    *_group(
        "find/scoring_moments.py",
        "tests/find/test_scoring_moments.py",
        ("windows of no length pass", "if not start < end:", "if not start <= end:"),
        ("infinite times pass", "np.isfinite([start, end]).all()", "not np.isnan([start, end]).any()"),
        ("the lowest score comes first", "np.argsort(-marks", "np.argsort(marks"),
        ("windows stay in the order given", 'windows[np.argsort(-marks, kind="stable")]', "windows"),
        ("equal scores are turned around", 'np.argsort(-marks, kind="stable")', "np.argsort(marks)[::-1]"),
        (
            "the cap comes before the ranking",
            "None if scores is None else scores[q], q)[:top]",
            "None if scores is None else scores[q], q)",
        ),
        ("a hit is more than t", "any(b >= t - _ROUNDING", "any(b > t + _ROUNDING"),
        ("no room for rounding", "_ROUNDING = 1e-6", "_ROUNDING = 0"),
        ("R5 looks at all windows", "for b in best[:k]", "for b in best"),
        ("R1 looks at five", "for k in (1, 5) for t", "for k in (5, 5) for t"),
        ("mIoU takes the best window", '"mIoU": best[0]', '"mIoU": max(best)'),
        ("overlap with the farthest true window", "shared.max(axis=1)", "shared.min(axis=1)"),
        ("a true window is found twice", "if j not in taken and shared", "if shared"),
        ("a window takes any true one that fits", "taken.add(max(free)[1])", "taken.add(min(free)[1])"),
        (
            "ranks count from nothing",
            "for rank, row in enumerate(overlap, 1)",
            "for rank, row in enumerate(overlap, 2)",
        ),
        ("precision is the last one", "best = max(best, p)", "best = p"),
        (
            "precision is a mean over what was found",
            "return total / len(overlap[0])",
            "return total / max(1, len(precision))",
        ),
        (
            "a query without a window is left out",
            "for q in np.flatnonzero(answerable)]",
            "for q in np.flatnonzero(answerable) if len(ranked[q])]",
        ),
        (
            "queries are drawn instead of videos",
            "np.unique(groups, return_inverse=True)",
            "np.unique(np.arange(len(groups)), return_inverse=True)",
        ),
        (
            "videos weigh the same",
            "float(total[drawn].sum() / count[drawn].sum())",
            "float((total[drawn] / count[drawn]).mean())",
        ),
        ("who has an answer is taken for who has none", "n = int((~answerable).sum())", "n = int(answerable.sum())"),
        (
            "the sure ones open a bin of their own",
            "np.minimum((happens * _BINS).astype(int), _BINS - 1)",
            "(happens * _BINS).astype(int)",
        ),
        (
            "errors of calibration cancel between bins",
            "float(np.abs(gaps).sum() / len(answerable))",
            "float(abs(gaps.sum()) / len(answerable))",
        ),
        (
            "a difference the wrong way round",
            "ours.per_query[name] - theirs.per_query[name]",
            "theirs.per_query[name] - ours.per_query[name]",
        ),
        (
            "thresholds are added up",
            "tuple(t / 100 for t in range(50, 100, 5))",
            "tuple(np.arange(0.5, 1, 0.05).tolist())",
        ),
        ("groups of queries without an answer are kept", "kept = groups[answerable]", "kept = groups[: len(rows)]"),
    ),
]
