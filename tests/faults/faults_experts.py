"""Planted faults: the experts beside the network, and what each of them counts."""

from fault import Fault
from fault import group as _group

_COLUMNS = "tests/learn/test_columns.py"
_KERNELS = "tests/learn/test_kernels.py"
_STACKING = "tests/learn/test_stacking.py"
_TREES = "tests/learn/test_trees.py"
_EXPERTS = "tests/learn/test_experts.py"

FAULTS_EXPERTS: list[Fault] = [
    *_group(
        "learn/columns.py",
        _COLUMNS,
        ("a hole between tokens is stepped over", "steps = share[:, 1:] * share[:, :-1]", "steps = share[:, 1:]"),
        ("quarters count padding", "end = share.cumsum(1) / n * PARTS", "end = (0 * share + 1).cumsum(1) / n * PARTS"),
        ("a wild cell stays wild", ".clamp(-LIMIT, LIMIT)", ""),
        (
            "what is missing is scaled",
            "        if there is None:\n            return scaled\n",
            "        return scaled\n",
        ),
        ("rows of no weight are measured", "share = (weight * there)", "share = (0 * weight + there)"),
        ("a constant column is blown up", "torch.where(scale > 1e-6, scale, torch.inf)", "scale.clamp(min=1e-6)"),
    ),
    *_group(
        "learn/kernels.py",
        _KERNELS,
        ("rows left out are seen", "said[rows] = wanted[rows] - ", "said[rows] = wanted[rows] - 0 * "),
        ("weights are forgotten", "np.diag(penalty / weight)", "np.diag(penalty / weight**0)"),
        ("the penalty is doubled on the way", "inverse[np.diag_indices_from(inverse)] /= 2", "inverse = inverse * 1"),
        ("the joint bell forgets its width", "np.exp(-self.width * apart)", "np.exp(-apart)"),
        ("a bell of a modality is as wide as all", "np.exp(-self.width * distances[m])", "np.exp(-distances[m])"),
        ("landmarks forget the weights", "heavy = features[rows] * weight[rows, None]", "heavy = features[rows]"),
        (
            "no other penalty is tried",
            "unseen_answers(whole, found.penalty * factor",
            "unseen_answers(whole, found.penalty",
        ),
        ("any gain will do, and none", "if value < loss * (1 - self._gain):", "if value < loss * (1 + self._gain):"),
        ("time is never out", "if moved is None or self.over():", "if moved is None:"),
    ),
    *_group(
        "learn/stacking.py",
        _STACKING,
        ("sureness has no bound", "return float(own + any_class) / (total + 1)", "return float(own) / total"),
        ("the slope forgets the weight", "weight[:, None] * (own +", "(own +"),
        ("the wish to stay does not hold", "pull = held / float(weight.sum())", "pull = 0.0"),
        ("the wish grows with the rows", "pull = held / float(weight.sum())", "pull = held"),
    ),
    *_group(
        "learn/trees.py",
        _TREES,
        ("equal means left out", "<= self.threshold[at]", "> self.threshold[at]"),
        ("of two classes one hears it", "zip(known, (-0.5, 0.5), strict=True)", "zip(known, (0.0, 0.5), strict=True)"),
        ("a class that is absent is likely", "np.full(n_classes, np.log(0.1 / len(target)))", "np.zeros(n_classes)"),
        ("rows of no weight teach", "rows = weight > 0", "rows = weight >= 0"),
        ("weights are forgotten", "None if equal else weight", "None"),
        ("trees of some columns ask the first", "torch.from_numpy(picked)[self.feature]", "self.feature"),
        (
            "the deepest question is not asked",
            "for _ in range(int(self.depth)):",
            "for _ in range(int(self.depth) - 1):",
        ),
    ),
    *_group(
        "learn/consulting.py",
        _EXPERTS,
        ("groups are torn", "None if groups is None else groups[rows], seed, task)", "None, seed, task)"),
        ("rows of no weight teach", "counts = np.flatnonzero(weight > 0)", "counts = np.arange(len(weight))"),
        ("trees always go on", "if i == 0 and not _adds(", "if False and not _adds("),
        (
            "trees answer rows that they saw",
            "answers[own] = asked(grown(rows.rest(i)), own)",
            "answers[own] = asked(grown(np.arange(len(known))), own)",
        ),
        (
            "a line answers rows that it saw",
            "coef, intercept = _logistic(scaled[rest], rows, rest, strength)",
            "coef, intercept = _logistic(scaled, rows, np.arange(len(scaled)), strength)",
        ),
        ("bells are not weighed", "bells = Bells.of(machine, places, heard)", "bells = Bells.of(machine, places, 1.0)"),
        ("time is never out", "if rows.labels is not None and not over():", "if rows.labels is not None:"),
    ),
    *_group(
        "learn/experts.py",
        _EXPERTS,
        ("widths of bells are forgotten", "seen = bell * torch.exp(-width * far)", "seen = bell * torch.exp(-far)"),
        (
            "trees speak at full voice",
            "said = said + self.share * self.trees(columns)",
            "said = said + self.trees(columns)",
        ),
    ),
    *_group(
        "learn/beginning.py",
        _EXPERTS,
        (
            "the line has seen the rows held out",
            "outputs = (added + ready.start[",
            "outputs = (added + 0 * ready.start[",
        ),
        ("who is better is not asked", "first=(0.0, 1.0), held=HESITATION)", "first=(0.0, 1.0), held=1e9)"),
        ("the score is that of the network", "            self.answers = shares[0] * own + shares[1] * others\n", ""),
        ("rows for judging teach", "teaches = weight if teaches is None else teaches", "teaches = weight"),
    ),
    *_group(
        "learn/model.py",
        _EXPERTS,
        (
            "shares are forgotten",
            "outputs = self.shares[0] * outputs + self.shares[1] * said",
            "outputs = outputs + said",
        ),
    ),
    *_group(
        "learn/predicting.py",
        _EXPERTS,
        ("experts are not read", "    if beside:\n", "    if False:\n"),
    ),
    *_group(
        "learn/features.py",
        "tests/learn/test_features.py",
        ("a cell that is not known is 0", "np.repeat(np.nan_to_num(mean), np.diff(offsets), axis=0)", "0.0"),
        ("a column that is not known is 0", "flat[:, :-1][np.tile(n == 0, 7)] = np.nan", "pass"),
    ),
    *_group(
        "explain/diagnosing.py",
        "tests/learn/test_findings.py",
        ("experts hide that nobody asks", 'else {"experts": False}\n        answer', "else {}\n        answer"),
    ),
]
