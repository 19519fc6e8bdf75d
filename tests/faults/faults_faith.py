"""Faults in what judges explanations: curves, random models, dealt attention, seeds, infidelity, agreement."""

from fault import group as _group

_CURVES = "tests/explain/test_curves.py"
_RANDOM = "tests/explain/test_randomising.py"
_DEALT = "tests/explain/test_shuffling.py"
_SEEDS = "tests/explain/test_steadiness.py"
_SHAKEN = "tests/explain/test_sensitivity.py"
_AGREED = "tests/explain/test_agreeing.py"
_PLANTED = "tests/explain/test_planted.py"

FAULTS_FAITH = [
    *_group(
        "explain/curves.py",
        _CURVES,
        ("deletion starts with the lowest", "u[there & ~s, rows]", "u[s, rows]"),
        (
            "the lowest score comes first",
            "best = np.where(left, scores, -np.inf)",
            "best = np.where(left, -scores, -np.inf)",
        ),
        ("ties go to the first", "lot = chance[s] / np.maximum(first.sum(1), 1)", "lot = chance[s]"),
        ("rounding breaks ties", "scores >= best - close", "scores >= best"),
        ("the area counts both ends whole", "(curve[:, 0] + curve[rows, n_players]) / 2", "0 * curve[:, 0]"),
        ("the area of a sample that lacks one is too small", "/ 2) / n_players)", "/ 2) / (curve.shape[1] - 1))"),
        ("the error is of unpaired areas", "areas[first] - self.insertion_areas[second])", "areas[first])"),
        ("one of the two curves is enough", "+ close and up > 2", "+ close or up > 2"),
        ("one standard error is enough", "down > 2 * down_error", "down > 1 * down_error"),
        ("a loss is a gain", 'v = -table.v if table.of == "loss" else table.v', "v = table.v"),
        ("the first class is followed", "v[-1].argmax(1)[None", "v[-1].argmin(1)[None"),
        ("farness, not nearness", "return -moved_by(v", "return moved_by(v"),
        ("the band forgets the number of samples", "/ len(sd) for sd", "for sd"),
        ("a sample with one modality is ranked", "table.present.sum(1) > 1", "table.present.sum(1) > 0"),
        (
            "shares of samples that lack one are not read at the same places",
            "np.linspace(0, 1, n + 1)",
            "np.linspace(0, n / most, n + 1)",
        ),
        ("NaN is a score", "if not np.isfinite(given[table.present]).all():", "if False:"),
    ),
    *_group(
        "explain/erasing.py",
        _CURVES,
        ("comprehensiveness with the sign turned", "whole - deletion[:, sizes]", "deletion[:, sizes] - whole"),
        ("sufficiency of what is left", "whole - insertion[:, sizes]", "whole - deletion[:, sizes]"),
        (
            "all that a sample has counts as a rationale",
            "present.sum(1)[:, None] > np",
            "present.sum(1)[:, None] >= np",
        ),
        ("sizes may repeat", "sorted(set(sizes))", "sorted(sizes)"),
    ),
    *_group(
        "explain/flipping.py",
        _CURVES,
        ("a high area is ahead", "here[b] - here[a]), mean", "here[a] - here[b]), mean"),
        ("agreeing pairs are flagged", "one[0] * other[0] >= 0", "one[0] * other[0] <= 0"),
        ("one rule is enough to be clear", "clear = all(", "clear = any("),
    ),
    *_group(
        "explain/ranks.py",
        _CURVES,
        ("those that tie take the lower rank", "(below + known.sum(-1, keepdims=True) - 1 - above) / 2", "below"),
        ("a missing modality is ranked", "ranked(np.where(there, x, np.nan).transpose", "ranked(x.transpose"),
        (
            "ranks are centred over who is missing too",
            "np.maximum(present.sum(1), 1)[:, None, None]",
            "present.shape[1]",
        ),
        ("the error of a population", "values.std(0, ddof=1)", "values.std(0)"),
    ),
    *_group(
        "explain/randomising.py",
        _RANDOM,
        ("the line stays", "*part.named_buffers(recurse=False)]", "]"),
        ("the layers go from the bottom up", "range(layers, 0, -1)", "range(1, layers + 1)"),
        (
            "each stage starts from the trained model",
            "            for i, stage in enumerate(stages):\n",
            "            for i, stage in enumerate(stages):\n                random, _ = copy_of(model, X)\n",
        ),
        ("every draw is the same", "torch.manual_seed(seed + draw)", "torch.manual_seed(seed)"),
        ("the scales of the members go with the head", '== ("network", "member_scale")', '== ("network", "")'),
        ("the user's luck is spent", "torch.random.fork_rng(devices=[]), torch.no_grad()", "torch.no_grad()"),
        ("labels stay in their order", "y[rng.permutation(len(y))]", "y"),
        ("an explanation that stays passes", "bool(value < self.limit)", "bool(value > self.limit)"),
        (
            "drawn around the old mean",
            "torch.randn_like(tensor) * tensor",
            "tensor.mean() + torch.randn_like(tensor) * tensor",
        ),
    ),
    *_group(
        "explain/standing.py", _DEALT, ("the model's own network is changed", "copy.deepcopy(module).eval()", "module")
    ),
    *_group(
        "explain/refitting.py",
        _RANDOM,
        ("the user hears of our fits", 'parameters["callback"] = None', "pass"),
        ("the changed parameter is dropped", "**(parameters | changed)", "**parameters"),
    ),
    *_group(
        "explain/shuffling.py",
        _DEALT,
        (
            "values go with their keys",
            "expand_as(k)), v, there, *wanted)",
            "expand_as(k)), v.gather(1, place.unsqueeze(-1).expand_as(v)), there, *wanted)",
        ),
        (
            "hidden keys are dealt too",
            "else there\n            keys.saw",
            "else torch.ones_like(there)\n            keys.saw",
        ),
        ("a weight may stay where it is", "(at + 1) % n.clamp(min=1)", "at % n.clamp(min=1)"),
        (
            "all samples get one deal",
            "luck = torch.rand(kept.shape, generator=generator)",
            "luck = torch.rand(kept.shape[1:], generator=generator).expand(kept.shape)",
        ),
        ("one key is not noticed", "most < 2, repeats)", "most < 1, repeats)"),
        ("only the last edge counts the keys", "torch.maximum(self.here, count)", "count"),
        ("the bias of the query stays", "attention.q_proj.bias.zero_()", "pass"),
        ("twice the distance", "return moved.sum(1) / 2, TVD", "return moved.sum(1), TVD"),
        ("numbers in their own unit", "moved if unit == UNITS else moved / spread", "moved"),
        ("a gain counts as a need", "self.drop > self.error", "abs(self.drop) > self.error"),
        ("the mean of the deals", "np.median(moved, 0), _distance", "np.mean(moved, 0), _distance"),
        (
            "the drop has the wrong sign",
            "mean_and_error(scores[0] - scores[1])",
            "mean_and_error(scores[1] - scores[0])",
        ),
    ),
    *_group(
        "explain/steadiness.py",
        _SEEDS,
        ("every seed is the first", "refitted(model, X, y, seed=seed)", "refitted(model, X, y, seed=chosen[0])"),
        ("a claim within the spread", '"claim": mean > std}', '"claim": mean > 0}'),
        (
            "the spread of one share",
            "std = float(difference.mean()), float(difference.std(ddof=1))",
            "std = float(difference.mean()), float(shares[:, i].std(ddof=1))",
        ),
        ("signed values cancel", "size = moved_by(values_of(table.v))", "size = values_of(table.v)"),
        ("other samples are ignored", "on = X if on is None else on", "on = X"),
    ),
    *_group(
        "explain/sensitivity.py",
        _SHAKEN,
        ("sets of what is missing count", "own = there & s == s", "own = there >= 0"),
        ("what remains is counted, not what goes", "v[there & ~s, np.arange(n)]", "v[there & s, np.arange(n)]"),
        ("the empty set counts", "for s in range(1, 1 << m):", "for s in range(1 << m):"),
        ("the shake goes one way", "(2 * luck - 1) * self._radius", "luck * self._radius"),
        ("the mean change, not the largest", "most = np.maximum(most, ", "most = np.minimum(most, "),
        ("absolute, not relative", "most / np.where(length > 0, length, 1.0)", "most"),
        ("the perturbation is added", "predict(x - moved)", "predict(x + moved)"),
    ),
    *_group(
        "explain/agreeing.py",
        _AGREED,
        ("signed worth cancels", "worth = moved_by(np.asarray(worth", "worth = (np.asarray(worth"),
        ("a hair of attention is told", " & (attention >= NOTICED)", ""),
        (
            "nearly even attention has a first",
            "np.ptp(attention) <= NEARLY_EVEN / len(names)",
            "np.ptp(attention) <= 0",
        ),
        (
            "an unused one does not spoil agreement",
            "return False if self.unused else self.same_first",
            "return self.same_first",
        ),
    ),
    *_group(
        "explain/looking.py",
        _AGREED,
        ("NaN rows are averaged", "shares[known].mean(0)", "np.nan_to_num(shares).mean(0)"),
        ("who cannot choose counts", "(asked & chooses).double()", "asked.double()"),
        ("an edge that asks one is a choice", "len(e.context_names) > 1", "len(e.context_names) > 0"),
    ),
    *_group(
        "explain/curves.py",
        _PLANTED,
        (
            "the decoy's ranking is turned round",
            '"Shapley": moved_by(',
            '"Shapley": -moved_by(',
        ),
    ),
]
