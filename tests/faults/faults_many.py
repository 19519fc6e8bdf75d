"""Planted faults: steps of training in one compiled call, and many models at once."""

from fault import Fault
from fault import group as _group

_COMPILED = "tests/learn/test_compiled.py"
_MANY = "tests/learn/test_side_by_side.py"

FAULTS_MANY: list[Fault] = [
    *_group(
        "kernel/step_attention.inc",
        _COMPILED,
        ("answers are summed, not averaged", "w->mixed[r] > 0 ? 1 / w->mixed[r] : 0", "w->mixed[r] > 0"),
        ("a side that asks twice counts once", "times[found++] = side[w->slot[r]]", "times[found++] = 1"),
        ("scores are not scaled", "s = (s + t) * scale;", "s = s + t;"),
        (
            "the softmax forgets its mean on the way back",
            "(load(t + j * LANES) - mean) * scale",
            "load(t + j * LANES) * scale",
        ),
        ("values get the gradient of one answer", "pv = p[j * LANES + i] * times[first + i]", "pv = p[j * LANES + i]"),
    ),
    *_group(
        "kernel/step_lanes.inc",
        _COMPILED,
        ("gelu has the slope of the sigmoid", "+ u * 0.39894228040143268f * exponential(u * u * -0.5f)", ""),
        ("what stays is not scaled up", "& (I)all(by.scale))", "& (I)all(1.0f))"),
        ("words are mixed once", "    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;      \\\n", ""),
    ),
    *_group(
        "kernel/step_model.inc",
        _COMPILED,
        ("all may be hidden", "there[m] = !left && lucks[m] == best;", "there[m] = 0;"),
        ("a second piece draws as the first", "+ (w->first + b) * w->M;", "+ b * w->M;"),
        ("a missing modality counts in the mean", "modalities += tokens > 0;", "modalities++;"),
        ("places of a second piece are those of the first", "(k * w->whole + w->first) * w->S", "k * w->whole * w->S"),
    ),
    *_group(
        "kernel/step_pass.inc",
        _COMPILED,
        ("who got no answer gets a bias", "if (w->mixed[i] == 0) memset(w->one + i * d, 0, 4 * d);", ";"),
        ("the bias learns from rows without an answer", "counts && counts[r] == 0 ? 0 : 1", "1"),
        ("a gradient forgets the scale of its member", "                g *= load(w->p + at);\n", ""),
        ("weights are forgotten", "double by = weight[row] / (double)w->K", "double by = 1 / (double)w->K"),
        ("the straight line is forgotten", "out[o] += start[row * w->O + o];", ";"),
        ("the norm forgets its mean on the way back", "load(scale + c) - a - n * b)", "load(scale + c) - n * b)"),
        (
            "pieces do not add up",
            "product(dweight, k, dy, 1, n, x, k, NULL, 1,",
            "product(dweight, k, dy, 1, n, x, k, NULL, 0,",
        ),
        ("members share the noise of the head", "% w->B) * w->K + n / w->B, 1, dp)", "% w->B) * w->K, 1, dp)"),
    ),
    *_group(
        "kernel/step_update.inc",
        _COMPILED,
        ("gradients are not cut", "norm + 1e-6 > 1 ? 1 / (norm + 1e-6) : 1", "1"),
        ("everything decays", "if (i < decay) w *=", "w *="),
        ("moments are not corrected", "(float)(lr / first)", "(float)lr"),
        ("the noise of the second step is that of the first", "s[DROP_AT] += ", "(void)0; long unused = "),
    ),
    *_group(
        "learn/compiled.py",
        _COMPILED,
        ("noise begins anew with each call", "noise.drop_at += ", "noise.drop_at += 0 * "),
        ("hooks are passed by", "and bare(*model.modules())", "and True"),
        ("the model keeps views", "            p.data = p.data.clone()\n", "            pass\n"),
        ("the last weights are kept", "self.mean if self._best is None else self._best", "self.mean"),
        ("what is kept goes on", "self._best = self.mean.clone()", "self._best = self.mean"),
        (
            "nobody looks whether a softmax is constant",
            "            self.model.eval()(x, present)\n",
            "            pass\n",
        ),
    ),
    *_group(
        "learn/anatomy.py",
        _COMPILED,
        ("a pool with weights is averaged", "            and isinstance(pool, Pool)\n", ""),
        (
            "edges with projections of their own are served",
            "            and all(layer.tie for layer in self.layers)\n",
            "",
        ),
        ("context is who asks", "name in group[0].context_names", "name in group[0].query_names"),
    ),
    *_group(
        "nn/dropping.py",
        "tests/nn/test_dropping.py",
        ("the sign is dragged along", ".bitwise_and_((1 << (64 - shift)) - 1)", ""),
        ("every call draws the same", "        self.drop_at += n\n", ""),
    ),
    *_group(
        "learn/beginning.py",
        _MANY,
        ("what is shared warns once", "        for said in self._said:\n", "        for said in []:\n"),
        ("who wants to be called trains aside", " and self.callback is None", ""),
        ("nobody hears that all shall stop", "if stop is not None and stop.is_set():", "if False:"),
    ),
    *_group(
        "learn/side_by_side.py",
        _MANY,
        ("trials come as they end", "[found[i] for i in sorted(found)]", "list(found.values())"),
        ("the user's threads are not asked", "min(own, torch.get_num_threads())", "own"),
        ("one trains at a time", "ThreadPoolExecutor(workers,", "ThreadPoolExecutor(1,"),
    ),
    *_group(
        "learn/trials.py",
        _MANY,
        ("an error of a thread is lost", "            self._broken = error\n", "            pass\n"),
        ("groups are forgotten when a fit begins", "None if groups is None else groups[train], shared", "None, shared"),
    ),
    *_group(
        "learn/compare.py",
        _MANY,
        ("all folds share", "            shared = Shared()\n", ""),
        ("rows take each other's trials", "trials[j :: len(makers)]", "trials[j * len(which) : (j + 1) * len(which)]"),
    ),
]
