"""The faults: what a hand could slip into the code, and the tests that must turn red.

One table a room. Each group names a file under src/intermodal and the tests to run; each row is a name, the text as
it stands, and the text with the fault. The text must stand in the file exactly once.
"""

from fault import group as _group

SPEC = [
    *_group(
        "spec.py",
        "tests/test_spec.py",
        ("an arrow points the other way", '{"->": [forth], "<-": [back]', '{"->": [back], "<-": [forth]'),
        ("* pairs with itself", "if EACH in (edge.query, edge.context) and", "if False and"),
        (
            "two orders of a joined side differ",
            "return side if isinstance(side, str) else frozenset(side)",
            "return side",
        ),
        (
            "two orders of edges differ",
            "return frozenset(self.edges) == frozenset(other.edges)",
            "return self.edges == other.edges",
        ),
        ("a name is not quoted", 'if name == "*" or _PLAIN.fullmatch(name):', "if True:"),
        (
            "the caret counts letters, not columns",
            'return sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in text)',
            "return len(text)",
        ),
        ("a repeated edge is kept twice", "tuple(dict.fromkeys(self.edges))", "tuple(self.edges)"),
    ),
]

ATTENTION = [
    *_group(
        "attention.py",
        "tests/test_attention.py",
        ("mask polarity in the fused path", "attn_mask=keep | ~some", "attn_mask=~keep | ~some"),
        ("mask polarity in the explicit path", "masked_fill(~kept, torch", "masked_fill(kept, torch"),
        ("scale of the wrong axis", "math.sqrt(q.shape[-1])", "math.sqrt(q.shape[-2])"),
        ("scale ignored in the fused path", "(q, k, v, scale=scale)", "(q, k, v)"),
        ("softmax over the queries", "scores.softmax(axis)", "scores.softmax(-3 - axis)"),
        ("weights after dropout", "Attended(output, weights if need_weights", "Attended(output, used if need_weights"),
        ("dropout without scaling", "F.dropout(weights, dropout) if", "F.dropout(weights, dropout) * (1 - dropout) if"),
        ("dropout only with weights", "need_weights or dropout > 0 or short", "need_weights or short"),
        ("empty rows keep what they saw (fused)", "return output * some", "return output"),
        (
            "empty rows keep what they saw (explicit)",
            "            weights = weights * keep.any(-1, keepdim=True).transpose(-1, axis)\n",
            "            pass\n",
        ),
        ("masked NaN is not blanked", "unseen = ~keep.any(-2)", "unseen = keep.any(-2) & False"),
        (
            "NaN is wiped where it is seen",
            "output = output.masked_fill(poisoned, math.nan)",
            "output = output.nan_to_num()",
        ),
        (
            "NaN of one query reaches another",
            "    if keep.shape[-2] == 1:\n        return k, v, None\n",
            "    return k, v, None\n",
        ),
        (
            "a broken query that sees nothing is not blanked",
            "q = q.masked_fill(~keep.any(-1, keepdim=True), 0.0)",
            "q = q.clone()",
        ),
        (
            "keys of a group are tiled, not repeated",
            "k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)",
            "k.repeat(1, group, 1, 1), v.repeat(1, group, 1, 1)",
        ),
        ("scores in half precision", "dtype = torch.promote_types(q.dtype, torch.float32)", "dtype = q.dtype"),
        ("autocast reaches the weights", "enabled=False", "enabled=torch.is_autocast_enabled('cpu')"),
        ("(B, K) read as (Q, K)", '"(B, K)": keep[:, None, None]', '"(B, K)": keep[None, None]'),
        ("(B, Q, K) read as (H, Q, K)", '"(B, Q, K)": keep[:, None]', '"(B, Q, K)": keep[None]'),
        ("two readings, one taken", "if len(fitting) == 2 and keep.shape[0] > 1:", "if False:"),
        ("a float mask is taken", "if keep.dtype != torch.bool:", "if False:"),
        ("one key column broadcasts", "return keep.shape[-1] == shape[-1] and all(", "return all("),
        ("the causal mask starts at the first key", "ones.tril(n_keys - n_queries)", "ones.tril()"),
        ("a square tensor with unequal widths", "    if d != e:", "    if False:"),
        (
            "a square tensor under a causal mask",
            "    if keep.shape[1] == 1:  # a product",
            "    if False:  # a product",
        ),
    ),
]

NN = [
    *_group(
        "nn/attention.py",
        "tests/nn/test_attention.py",
        (
            "heads cut the wrong way",
            "self.n_heads, self.d_head).transpose(1, 2)",
            "self.d_head, self.n_heads).movedim(-1, 1)",
        ),
        ("heads joined the wrong way", "heads.transpose(1, 2).flatten(-2)", "heads.permute(0, 2, 3, 1).flatten(-2)"),
        ("samples mixed up", "(self.v_proj, value))", "(self.v_proj, value.flip(0)))"),
        (
            "the bias of the output on empty rows",
            "output = output * keep.any(-1).any(1).unsqueeze(-1)",
            "pass",
        ),
        ("the bias of the output without keys", "output = output * 0.0", "pass"),
        ("masked NaN reaches the projections", "context = blank(context, ~unseen)", "pass"),
        ("a broken query that asks is hidden", "if query is context and keep.shape[-2] == 1:", "if query is context:"),
        ("the value is taken from the context", "value = context if value is None else value", "value = context"),
        ("dropout in prediction", "self.dropout if self.training else 0.0", "self.dropout"),
        ("one key is told every time", "        self._checked_one_key = True\n", ""),
        ("one key is told of two", "int(keep.sum(-1).max()) == 1", "int(keep.sum(-1).min()) <= 1"),
        ("the query is not checked", 'check_tokens("query", query, self.q_proj.in_features)', "pass"),
        ("biases of torch are left behind", "proj.bias.copy_(b)", "pass"),
        (
            "q and k of torch are swapped",
            "weights = module.in_proj_weight.chunk(3)",
            "weights = module.in_proj_weight.chunk(3)[1::-1] + module.in_proj_weight.chunk(3)[2:]",
        ),
    ),
    *_group(
        "attention.py",
        "tests/nn/test_attention.py",
        ("scale by d_model", "1 / math.sqrt(q.shape[-1])", "1 / math.sqrt(q.shape[-1] * q.shape[1])"),
    ),
    *_group(
        "nn/textbook.py",
        "tests/nn/test_textbook.py",
        (
            "an absent query has a say in the pool",
            "    return blank(x, present.reshape(",
            "    return blank(x, True | present.reshape(",
        ),
        (
            "absent tokens are not blanked",
            "return blank(x, present.unsqueeze(-1)), present",
            "return x, present",
        ),
        (
            "repeat instead of repeat_interleave",
            "context_present.repeat_interleave(self.n_tokens, dim=1)",
            "context_present.repeat(1, self.n_tokens)",
        ),
        ("the residual is always there", "query + output if self.residual else output", "query + output"),
        ("the two directions are swapped", "{first: from_b, second: from_a}", "{first: from_a, second: from_b}"),
        (
            "the masks of the two are swapped",
            "self.a_asks_b(a, b, keep=_keys(b_present)",
            "self.a_asks_b(a, b, keep=_keys(a_present)",
        ),
    ),
    *_group(
        "nn/fused.py",
        "tests/nn/test_textbook.py",
        ("the mean counts the padding", "present.sum(1, keepdim=True).clamp(min=1)", "present.shape[1]"),
    ),
    *_group(
        "nn/fused.py",
        "tests/nn/test_pooling.py",
        ("NaN of an absent token reaches the mean", "blank(tokens, present.unsqueeze(-1))", "tokens"),
    ),
    *_group(
        "nn/layer.py",
        "tests/nn/test_network.py",
        (
            "answers go to the wrong tokens",
            "zip(asking, torch.split(answer",
            "zip(reversed(asking), torch.split(answer",
        ),
        ("keys of the wrong modality", "(asking, asked, asked), strict", "(asking, asked, asking), strict"),
        ("sum of answers instead of the mean", "means.append(total / count.clamp(min=1))", "means.append(total)"),
        (
            "an answer counts where nobody is there",
            "there.any(1)[:, None, None].to(q.dtype)",
            "q.new_ones(len(q), 1, 1)",
        ),
        ("bias without an answer (tied)", " * (count > 0)", ""),
        (
            "bias without an answer (untied)",
            "project(attention.out_proj, answer) * some, some",
            "project(attention.out_proj, answer), some",
        ),
        (
            "weights of tokens that are absent",
            "return weights.masked_fill(~present[:, None, :, None], 0.0)",
            "return weights",
        ),
        ("no residual around the attention", "x = x + self.dropout(received)", "x = self.dropout(received)"),
        ("no norm before the attention", "self._ask(self._project(self.norm_ask(x)),", "self._ask(self._project(x),"),
        (
            "contexts grouped by one name",
            "groups.setdefault(frozenset(edge.context_names), [])",
            "groups.setdefault(frozenset(edge.context_names[:1]), [])",
        ),
        ("runs joined across a gap", "runs[-1].stop == place.start", "runs[-1].stop <= place.start"),
        (
            "names in the order of writing",
            "[name for name in places if name in names]",
            "[name for name in names if name in places]",
        ),
    ),
    *_group(
        "nn/network.py",
        "tests/nn/test_network.py",
        (
            "edges in the order of writing",
            "edges = sorted(self.spec.edges, key=_spelling)",
            "edges = list(self.spec.edges)",
        ),
        (
            "edges sorted by query alone",
            "return tuple(sorted(edge.query_names)), tuple(sorted(edge.context_names))",
            "return tuple(sorted(edge.query_names)), ()",
        ),
        (
            "members read sample by sample",
            "weights.reshape(self.n_members, batch, *weights.shape[1:])\n        return members.transpose(0, 1)",
            "weights.reshape(batch, self.n_members, *weights.shape[1:])\n        return members",
        ),
        (
            "masks of members interleaved",
            "there.repeat(self.n_members, 1)",
            "there.repeat_interleave(self.n_members, 0)",
        ),
        (
            "pooled members swapped",
            "pooled.reshape(self.n_members, batch, self.d_pooled).transpose(0, 1)",
            "pooled.reshape(batch, self.n_members, self.d_pooled)",
        ),
        ("all modalities may be hidden", "hidden &= ~(stays & (hidden | ~has).all(1, keepdim=True))", "pass"),
        (
            "modalities are hidden in prediction",
            "if self.training and self.modality_dropout > 0:",
            "if self.modality_dropout > 0:",
        ),
        ("a hidden modality comes back", "{n: p & ~hidden[:, i : i + 1]", "{n: p | ~hidden[:, i : i + 1]"),
        ("the learned token of another modality", "self.absent[i].to(", "self.absent[0].to("),
        ("weights of the first layer", "(layers[-1] if layers else {})", "(layers[0] if layers else {})"),
        ("one key is not told", "        if alone:\n", "        if False:\n"),
        ("one key is told of the longest sample", ".sum(0).max())", ".sum(0).min())"),
        ("an empty sequence counts", "if tokens[name].shape[1] == 0:", "if False:"),
    ),
    *_group(
        "nn/pooling.py",
        "tests/nn/test_network.py",
        (
            "a missing modality counts in the mean",
            "        if present is not None:\n            there",
            "        if False:\n            there",
        ),
        ("concat in the order of x", "[means.get(name, nothing) for name in self.names]", "list(means.values())"),
        ("the pool looks at absent tokens", "present[:, None, None]", "present[:, None, None] | True"),
    ),
    *_group(
        "nn/encoders.py",
        "tests/nn/test_encoders.py",
        ("positions counted from 0 with padding on the left", "place = place - _first(present).unsqueeze(1)", "pass"),
        ("absent tokens are read", "x = blank(x, present.unsqueeze(-1))", "pass"),
        (
            "a convolution reads the bias of absent tokens",
            "self._over_time(_blank(tokens, present), present)",
            "self._over_time(tokens, present)",
        ),
        ("a GRU starts in the padding", "left = (place + first)", "left = (place + first * 0)"),
        (
            "a GRU is not put back",
            "read.gather(1, (place - first).clamp(min=0)",
            "read.gather(1, (place - first * 0).clamp(min=0)",
        ),
        (
            "a GRU reads the padding at the end",
            "lengths = (n - present.flip(1).to(torch.int8).argmax(1) - first.squeeze(1))",
            "lengths = (n - first.squeeze(1))",
        ),
        (
            "runs counted from 0 with padding on the left",
            "run = place.clamp(min=0) // stride",
            "run = (place - place[:, :1]) // stride",
        ),
        ("a run is a sum", "return total / count.clamp(min=1).unsqueeze(-1), count > 0", "return total, count > 0"),
        (
            "tokens of a vector interleaved",
            "unflatten(-1, (self.n_tokens, -1))",
            "unflatten(-1, (-1, self.n_tokens)).mT",
        ),
    ),
]

LEARN = [
    *_group(
        "learn/preprocess.py",
        "tests/learn/test_preprocess.py",
        ("weights are forgotten", "cells = share[:, None] * known", "cells = known.astype(float)"),
        ("a token has the weight of another sample", "np.repeat(share, np.diff", "np.resize(share, np.diff"),
        ("rows that are missing count", "share, values = share[there], values[there]", "values = values"),
        ("NaN cells count as zeros", "known = np.isfinite(values)", "known = np.ones_like(values)"),
        ("the variance for the deviation", "scale = np.sqrt(spread)", "scale = spread"),
        ("a constant column is divided by one", "np.where(constant, np.inf, scale)", "np.where(constant, 1.0, scale)"),
        (
            "a narrow column is taken for a constant",
            "np.maximum(1e-30, np.abs(mean))",
            "np.maximum(1.0, np.abs(mean))",
        ),
        ("missing places hold the mean's negative", "scaled[~there] = 0.0", "pass"),
        ("wild cells are let in", "-LIMIT, LIMIT)", "-np.inf, np.inf)"),
        (
            "columns in the order of prediction",
            "return _by_column(modality, scaling.columns)",
            "return modality",
        ),
        ("a column that is gone is taken for zero", 'elif "=" not in column:', "elif False:"),
        ("another kind passes", "if modality.kind != scaling.kind:", "if False:"),
        ("groups are left behind", "groups=samples.groups,", "groups=None,"),
    ),
    *_group(
        "learn/feed.py",
        "tests/learn/test_feed.py",
        ("present of the whole, not of the rows", "{name: there[at] for", "{name: there[: len(at)] for"),
        ("what is wholly there is masked too", "if not bool(there.all())", "if True"),
        ("sequences lose their mask", "present |= padded.present", "pass"),
        ("an epoch in positions, not rows", "yield rows[picked]", "yield picked"),
        ("an epoch without a shuffle", "order = rng.permutation(rows)", "order = rows"),
        (
            "sequences are shuffled without their length",
            "if not self.sequences:\n            order",
            "if True:\n            order",
        ),
        (
            "the last piece is dropped",
            "yield from (rows[i : i + batch_size] for",
            "yield from (rows[i : i + batch_size][: batch_size - 1 or 1] for",
        ),
    ),
    *_group(
        "learn/losses.py",
        "tests/learn/test_losses.py",
        ("targets are tiled, not repeated", "target.repeat_interleave(k)", "target.repeat(k)"),
        ("the sum over outputs", ".square().mean(-1)", ".square().sum(-1)"),
        ("logits are averaged", "outputs.log_softmax(-1).exp().mean(1)", "outputs.mean(1).softmax(-1)"),
    ),
    *_group(
        "learn/loop.py",
        "tests/learn/test_loop.py",
        (
            "epoch 0 does not count",
            "        best = steps.held(valid_rows)\n        steps.keep()\n",
            "        steps.keep()\n",
        ),
        ("patience counts from the start", "epoch - best_epoch >= plan.patience", "epoch >= plan.patience"),
        ("patience is one epoch longer", "epoch - best_epoch >= plan.patience", "epoch - best_epoch > plan.patience"),
        ("a tie is a best", 'line["valid_loss"] < best', 'line["valid_loss"] <= best'),
        ("the best is not remembered", "            steps.keep()\n        history", "        history"),
        (
            "training on the rows held out",
            "feed.epoch(rows, plan",
            "feed.epoch(np.concatenate([rows, valid_rows]), plan",
        ),
        ("the history holds tensors", "all_weight = float(weight[rows].sum())", "all_weight = weight[rows].sum()"),
        (
            "an interrupt is swallowed",
            "            callback(line)\n",
            "            try:\n                callback(line)\n"
            "            except BaseException:\n                break\n",
        ),
    ),
    *_group(
        "learn/plan.py",
        "tests/learn/test_loop.py",
        ("the running mean starts at full decay", "min(self.plan.average, number / (number + 9))", "self.plan.average"),
        ("no warm-up", "min(1.0, number / self.an_epoch)", "1.0"),
    ),
    *_group(
        "learn/steps.py",
        "tests/learn/test_loop.py",
        ("the last weights are kept", "if self._best is None else self._best", ""),
        ("the running mean is not kept", "load_state_dict(self.average.state", "load_state_dict(self.model.state"),
        (
            "a reference instead of a copy is kept",
            "copy.deepcopy(self.average.state_dict())",
            "self.average.state_dict()",
        ),
        ("weights are forgotten in a step", "total = (losses * self.weight[at]).sum()", "total = losses.sum()"),
        ("weights are forgotten in validation", "(losses.double() * weight[at]).sum()", "losses.double().sum()"),
        ("the line is forgotten in a step", ".outputs + self.start[at].unsqueeze(1)", ".outputs"),
        ("gradients are not clipped", "torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)", "pass"),
        ("gradients add up over steps", "self.optimizer.zero_grad(set_to_none=True)", "pass"),
        ("biases decay", "[p for p in module.parameters() if p.ndim <= 1]", "[]"),
        ("the model ends in training", "self._best)\n        self.model.eval()", "self._best)"),
    ),
    *_group(
        "learn/model.py",
        "tests/learn/test_model.py",
        ("the line is left out", "outputs = outputs + self.line(x, present or {}).unsqueeze(1)", "pass"),
        ("the line reads missing places", "values = blank(values, there.unsqueeze(-1))", "pass"),
        (
            "the line sums the tokens",
            "mean_present(values, there) if values.ndim == 3",
            "values.sum(1) if values.ndim == 3",
        ),
        (
            "the line loses its place",
            "                pieces.append(next(iter(x.values())).new_zeros(len(next(iter(x.values()))), width))\n",
            "",
        ),
        (
            "all members speak with the first",
            '"bkd,kdo->bko", pooled, self.weight)',
            '"bkd,kdo->bko", pooled, self.weight[:1].expand_as(self.weight))',
        ),
        ("the head starts large", "-0.1 * d**-0.5, 0.1 * d**-0.5", "-(d**0.5), d**0.5"),
    ),
    *_group(
        "learn/straight.py",
        "tests/learn/test_straight.py",
        (
            "answers come from the fit that saw them",
            "        unseen[:, counts[part]] = columns[counts[part]] @ fold_coefs + fold_intercepts\n",
            "",
        ),
        ("groups are torn apart", "None if groups is None else groups[counts]", "None"),
        ("rows of weight zero are folded", "counts = np.flatnonzero(weight > 0)", "counts = np.arange(len(weight))"),
        ("the worst penalty", "chosen = int(np.argmin(errors))", "chosen = int(np.argmax(errors))"),
        ("errors without weights", "(weight @ (wanted - said) ** 2).sum()", "((wanted - said) ** 2).sum()"),
        (
            "the mean without weights",
            "means = weight[rows] @ columns[rows], weight[rows] @ wanted[rows]",
            "means = columns[rows].sum(0), wanted[rows].sum(0)",
        ),
        ("weights instead of their roots", "root = np.sqrt(weight[rows])[:, None]", "root = weight[rows][:, None]"),
        ("the same where columns outnumber rows", "root = np.sqrt(self.weight[rows])", "root = self.weight[rows]"),
        ("products of rows keep their mean", "(inner - to_mean[:, None] - to_mean + share @ to_mean)", "inner"),
        ("a part is left in", "for i, sums in enumerate(self.sums) if i != part]", "for sums in self.sums]"),
        (
            "a part is left in where columns outnumber rows",
            "enumerate(self.parts) if i != part",
            "enumerate(self.parts)",
        ),
        ("no intercept", "(y_mean - x_mean @ coefs)[:, None]", "(0 * y_mean - x_mean @ coefs)[:, None]"),
        ("a mean that counts missing tokens", "np.bincount(owner, there, minlength", "np.bincount(owner, minlength"),
        ("the sharpness leaves the intercept", "sharp * intercepts[chosen, 0]", "intercepts[chosen, 0]"),
        ("the dullest factor", "SHARPNESS[int(np.argmin(losses))]", "SHARPNESS[0]"),
        ("nine rows are folded", "if len(target) < 10:", "if len(target) < 9:"),
    ),
    *_group(
        "learn/holding.py",
        "tests/learn/test_holding.py",
        ("groups are torn apart", "    if groups is not None:\n        cutter", "    if False:\n        cutter"),
        ("classes are not stratified", "elif labels is not None and _stratifies(labels, away):", "elif False:"),
        ("a rare class breaks the cut", "counts.min() >= 2 and away", "away"),
        ("more classes than places break the cut", "away >= len(counts) and", ""),
        ("everything is held out", "units - 1)", "units)"),
        ("the share is rounded down", "int(np.ceil(share * units))", "max(1, int(share * units))"),
        ("the sides are swapped", "return np.sort(learn), np.sort(held)", "return np.sort(held), np.sort(learn)"),
        (
            "the seed is forgotten",
            "cutter = ShuffleSplit(1, test_size=away, random_state=seed)",
            "cutter = ShuffleSplit(1, test_size=away, random_state=0)",
        ),
        ("few rows are cut", "if n < FEWEST or", "if n < 2 or"),
    ),
    *_group(
        "learn/scoring.py",
        "tests/learn/test_scoring.py",
        ("macro F1 counts hits once", "np.mean(2 * hits / np.bincount(code))", "np.mean(hits / np.bincount(code))"),
        (
            "a class without a hit is left out",
            "minlength=len(classes))\n    return",
            "minlength=len(classes))\n    code = code[hits[code] > 0]\n    hits = hits[hits > 0]\n    return",
        ),
    ),
]

EXPLAIN = [
    *_group(
        "explain/shapley_values.py",
        "tests/explain/test_shapley_values.py",
        (
            "weights of a subset are even",
            "share = factorial(size) * factorial(n - size - 1) / factorial(n)",
            "share = 1 / (1 << n - 1)",
        ),
        (
            "weights of a pair are even",
            "share = factorial(size) * factorial(n - size - 2) / factorial(n - 1)",
            "share = 1 / (1 << n - 2)",
        ),
        ("a value is counted from above", "share * (v[s | 1 << i] - v[s])", "share * (v[s] - v[s | 1 << i])"),
        (
            "interactions round",
            "((v[s | 1 << i | 1 << j] - v[s | 1 << j]) - (v[s | 1 << i] - v[s]))",
            "(v[s | 1 << i | 1 << j] - v[s | 1 << i] - v[s | 1 << j] + v[s])",
        ),
        ("interactions on one side", "            index[:, j, i] = index[:, i, j]\n", ""),
        ("signed values are averaged", "return moved_by(self.values)", "return self.values"),
        ("a share of nothing", "if total > 0 else None", "if total > 0 else 0.0"),
        (
            "the interval of a single sample",
            "np.quantile(means, [0.025, 0.975], axis=0)",
            "np.quantile(size, [0.025, 0.975], axis=0)",
        ),
    ),
    *_group(
        "explain/ranks.py",
        "tests/explain/test_shapley_values.py",
        ("the worth of probabilities is doubled", "size.sum(2) / 2 if", "size.sum(2) if"),
        ("signed values are averaged", "size = np.abs(values)", "size = values"),
    ),
]

FAULTS = [*SPEC, *ATTENTION, *NN, *LEARN, *EXPLAIN]
