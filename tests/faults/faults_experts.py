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
            "scaled if kept is None else blank(scaled, kept.unsqueeze(-1))",
            "scaled",
        ),
        ("rows of no weight are measured", "share = (weight * there[name])", "share = (0 * weight + there[name])"),
        ("shapes stand in for the rest", "blocks[name][number] - self.mean", "blocks[name][0].mean() - self.mean"),
        ("two blocks have one name", '        while label in self.names:\n            label += "\'"\n', ""),
        ("a constant column is blown up", "torch.where(scale > 1e-6, scale, torch.inf)", "scale.clamp(min=1e-6)"),
    ),
    *_group(
        "learn/shapes.py",
        "tests/learn/test_shapes.py",
        ("what is absent is a point", "order = (~there).to(torch.uint8)", "order = (there & False).to(torch.uint8)"),
        ("the last point is never reached", "* (n - 1).clamp(min=0)", "* (n - 2).clamp(min=0)"),
        ("where it stands is what is told", "wave -= wave.mean(2, keepdims=True)", "wave = wave + 0"),
        ("beyond its end it is zero", 'mode="replicate"', 'mode="constant"'),
        ("every wave has one distance", "dilation=distance", "dilation=1"),
        ("waves look at every channel", "np.where(rank < most,", "np.where(rank < width,"),
        ("rows without it teach", "some = or_all(there, values).any(1)", "some = torch.ones(len(values)).bool()"),
        ("the cut is zero", "sigmoid(EDGE * (said - self.cut[:, None]))", "sigmoid(EDGE * said)"),
        ("first and last of eight are one", "(side * said).unflatten", "(EDGE * said).unflatten"),
        ("nothing says something", " * or_all(there, values).any(1, keepdim=True)", ""),
    ),
    *_group(
        "nn/encoders.py",
        "tests/nn/test_encoders.py tests/learn/test_centred.py",
        ("the level stays in", "x, level = x - mean, self.level(mean)", "level = self.level(mean)"),
        ("the level is lost", "tokens = tokens + level", "tokens = tokens"),
        ("the level is always seen", "return said * (drawn >= FORGOTTEN)", "return said"),
        ("the level is forgotten in answers too", "        if not self.training:\n            return said\n", ""),
        (
            "the level draws from elsewhere",
            "if self.source is None else self.source.chances(*shape)",
            "if True else said",
        ),
        ("the level is loud at first", "nn.init.zeros_(self.weight)", "nn.init.normal_(self.weight)"),
    ),
    *_group(
        "learn/building.py",
        "tests/learn/test_centred.py",
        ("short sequences are centred", "if medians[n] < SHORTEST else", "if medians[n] < 2 else"),
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
        (
            "bells are not weighed",
            "Bells.of(machines, places, heard.tolist())",
            "Bells.of(machines, places, [1.0] * 3)",
        ),
        ("machines search alike", "_searched(rows, cut, seed + number)", "_searched(rows, cut, seed)"),
        ("the first machine speaks for all", "heard = np.array(sharp) / len(machines)", "heard = np.eye(3)[0] * sharp"),
        ("vectors and words have shapes", "np.median(modality.lengths[rows]) < SHORTEST", "False"),
        ("time is never out", "if rows.labels is not None and not over():", "if rows.labels is not None:"),
    ),
    *_group(
        "learn/racing.py",
        _EXPERTS,
        ("trees always go on", "if i == 0 and not always and not _adds(", "if False and not _adds("),
        (
            "trees answer rows that they saw",
            "answers[own] = asked(grown(rows.rest(i)), own)",
            "answers[own] = asked(grown(np.arange(len(known))), own)",
        ),
    ),
    *_group(
        "learn/lines.py",
        _EXPERTS,
        (
            "a line answers rows that it saw",
            "coef, intercept = _logistic(scaled[rest], rows, rest, strength)",
            "coef, intercept = _logistic(scaled, rows, np.arange(len(scaled)), strength)",
        ),
    ),
    *_group(
        "learn/experts.py",
        f"{_EXPERTS} {_KERNELS}",
        ("widths of bells are forgotten", "bell * torch.exp(-width * distance)", "bell * torch.exp(-distance)"),
        (
            "all machines ask as the first",
            "(self.weights.tolist(), self.dual",
            "(self.weights[:1].tolist() * 3, self.dual",
        ),
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
