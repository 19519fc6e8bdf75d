"""Faults in the mass of attention, the map of modalities, the timeline, and the choice of samples."""

from fault import group as _group

_ATTEND = "tests/test_attention.py"
_NETWORK = "tests/nn/test_network.py"
_MAP = "tests/explain/test_attention_maps.py"
_TIMING = "tests/explain/test_timing.py"
_CHOOSING = "tests/explain/test_choosing.py"

FAULTS_MASS = [
    *_group(
        "attention.py",
        _ATTEND,
        (
            "a segment is read as the one before",
            "segments.unsqueeze(-1) == some)",
            "segments.unsqueeze(-1) == some - 1)",
        ),
        (
            "keys of no segment count for the first",
            "(segments.unsqueeze(-1) == some)",
            "(segments.clamp(min=0).unsqueeze(-1) == some)",
        ),
        ("only the first piece of the segments", "return torch.cat(masses, -1)", "return masses[0]"),
        ("the mass in half precision", "    q, k = q.to(wide), k.to(wide)\n", "    wide = q.dtype\n"),
        ("the mass without a mask", "member, keep=keep, scale=scale)", "member, scale=scale)"),
        ("the mass with a scale of its own", "member, keep=keep, scale=scale)", "member, keep=keep)"),
        (
            "the segments of the first sample for all",
            "return segments.reshape(-1, n_keys) if",
            "return segments.reshape(-1, n_keys)[:1] if",
        ),
        (
            "a broken key is hidden from the mass",
            "return masses if poisoned is None else",
            "return masses if True else",
        ),
        (
            "the mass from the weights",
            "member, keep=keep, scale=scale).output",
            "member, keep=keep, scale=scale, need_weights=True).output",
        ),
        ("a segment too many passes", "if low < -1 or high >= n_segments:", "if low < -1 or high > n_segments:"),
        ("segments of floats pass", "if segments.is_floating_point() or", "if"),
        ("a broken query is lost among few keys", "max(q.shape[3], FEWEST)", "max(q.shape[3], 0)"),
    ),
    *_group(
        "nn/layer.py",
        _NETWORK,
        ("the mass changes the answer", "need_weights=need_weights is True)", "need_weights=bool(need_weights))"),
        ("the mass looks at absent keys", "len(widths), keep=keep)", "len(widths))"),
        ("every key belongs to the first modality", "torch.full((width,), i, device", "torch.full((width,), 0, device"),
        (
            "an edge asks with the projection of another",
            "self._heads(self.edges.index(edge), *sides)",
            "self._heads(0, *sides)",
        ),
        (
            "an edge asks without a norm",
            "_sides(self._project(self.norm_ask(x)), asking",
            "_sides(self._project(x), asking",
        ),
        (
            "an edge asks its own side",
            "_in_order(edge.query_names, places), _in_order(edge.context_names, places)",
            "_in_order(edge.query_names, places), _in_order(edge.query_names, places)",
        ),
    ),
    *_group(
        "nn/network.py",
        _NETWORK,
        ("another wish is taken for yes", "if need_weights not in (True, False, *MANY):", "if False:"),
        (
            "the mass of the last layer alone",
            '"mass" if need_weights == "mass" else',
            '"mass" if need_weights == "mass" and i == len(self.layers) else',
        ),
        (
            "what an edge asks with stops a layer early",
            "self.layers[: layer % n + 1]",
            "self.layers[: max(1, layer % n)]",
        ),
        (
            "members ask with one scale",
            "        tokens, there = self._members(tokens, there)\n        *before",
            "        there = None if there is None else there.repeat(self.n_members, 1)\n"
            "        tokens = tokens.repeat(self.n_members, 1, 1)\n        *before",
        ),
        ("an edge sees all there is", "None if there is None else _only(there, edge.context_names, places)", "None"),
        (
            "places of an edge are those of the whole",
            "within[name] = slice(at, at + place.stop - place.start)",
            "within[name] = place",
        ),
    ),
    *_group(
        "explain/attention_maps.py",
        _MAP,
        (
            "asking and asked are swapped",
            "mass[:, depth, :, at[asking], at[asked]] += share",
            "mass[:, depth, :, at[asked], at[asking]] += share",
        ),
        ("layers are added into the first", "mass[:, depth, :, at[asking]", "mass[:, 0, :, at[asking]"),
        ("absent tokens count as asking", "(block.sum(-1) != 0).sum(2).clamp(min=1)", "(block.sum(-1) > -1).sum(2)"),
        (
            "edges of who had nothing to ask count",
            "return (seen != 0).any(1).double()",
            "return torch.ones(len(seen), dtype=torch.float64)",
        ),
        ("edges are added up", "mass / edges.clamp(min=1)[:, None, None, :, None]", "mass"),
        ("a sample that is no number does not ask", "return (seen != 0).any(1)", "return (seen > 0).any(1)"),
        (
            "a row that is no number in part",
            "mass.isnan().any(-1, keepdim=True), torch.nan)",
            "mass.isnan(), torch.nan)",
        ),
        (
            "who asks nobody has zeros in single samples",
            "mass.masked_fill(~asked[:, None, None, :, None], torch.nan).numpy()",
            "mass.numpy()",
        ),
        (
            "samples that did not ask count",
            "head_by_head.add(mass.numpy(), asked[:, None, None].numpy())",
            "head_by_head.add(mass.numpy(), asked[:, None, None].numpy() | True)",
        ),
        (
            "the deviation over heads too",
            "over_heads.add(mass.mean((1, 2)).numpy(), asked",
            "over_heads.add(mass[:, 0, 0].numpy(), asked",
        ),
        ("the last batch alone lacks anything", "lacking += lacks", "lacking = lacks"),
        ("the weights of all layers are built", 'need_weights="mass")\n', 'need_weights="layers")\n'),
        (
            "columns in the order of writing",
            "columns = [n for n in widths if n in edge.context_names]",
            "columns = [n for n in edge.context_names[::-1] if n in widths]",
        ),
        ("tokens read from the axis of members", "tokens.shape[-2] for", "tokens.shape[1] for"),
    ),
    *_group(
        "explain/tallying.py",
        _MAP,
        ("who asks nobody has zeros", "np.where(self._count > 0, self._mean, np.nan)", "self._mean"),
        ("the last batch weighs as much as all before", "share = n / np.maximum(n + old, 1)", "share = 0.5"),
        ("the spread between batches is lost", " + np.square(apart) * old * share", ""),
        (
            "the variance for the deviation",
            "np.sqrt(self._squares / np.maximum(self._count, 1))",
            "self._squares / np.maximum(self._count, 1)",
        ),
        ("broken samples are counted by number", "np.isnan(each).any(-1) & has", "np.isnan(each).sum(-1) * has"),
    ),
    *_group(
        "explain/opening.py",
        _MAP,
        ("a model in training is read as it trains", "        model.eval()\n", "        pass\n"),
        ("every part trains afterwards", "part.training = mode", "part.training = True"),
        ("present is forgotten", "for given in (self.x, self.present))", "for given in (self.x, {}))"),
        (
            "who stands in is not missing",
            "~present[name].reshape(batch, -1).any(1)",
            "present[name].reshape(batch, -1).any(1)",
        ),
        (
            "one absent token is a missing modality",
            "~present[name].reshape(batch, -1).any(1)",
            "~present[name].reshape(batch, -1).all(1)",
        ),
        ("an empty sequence is there", "or (x[name].ndim == 3 and x[name].shape[1] == 0)", "or False"),
    ),
    *_group(
        "explain/timing.py",
        _TIMING,
        (
            "the first token that asks is the first of the edge",
            "asking.q[:, :, asking.query[query]], asking.k",
            "asking.q[:, :, : asking.query[query].stop - asking.query[query].start], asking.k",
        ),
        (
            "columns from the start of the edge",
            "weights[..., where.start : where.start + len(times)]",
            "weights[..., : len(times)]",
        ),
        (
            "bins from the start of the edge",
            "segments[where.start : where.start + len(times)] =",
            "segments[: len(times)] =",
        ),
        ("the mask is forgotten", "one.k, keep=one.keep, need_weights=True)", "one.k, need_weights=True)"),
        ("the mask is forgotten in bins", "len(stretches), keep=one.keep)", "len(stretches))"),
        ("an absent word looks", " * asks.there[:, None]", ""),
        ("the first head for the mean", ".cpu().double().mean(0).numpy()", ".cpu().double()[0].numpy()"),
        (
            "the head before",
            "q, k = q[:, head : head + 1], k[:, head : head + 1]",
            "q, k = q[:, head - 1 :][:, :1], k[:, head - 1 :][:, :1]",
        ),
        ("the peak over the words", "self.weights[at].argmax()", "self.weights[:, at].argmax()"),
        (
            "the peak ends instead of beginning",
            "return float(self.times[column, 0]), float",
            "return float(self.times[column, 1]), float",
        ),
        ("the least first", "key=lambda spot: -self.weights[spot])", "key=lambda spot: self.weights[spot])"),
        ("the even share of all columns", "* (self.tokens > 0).sum()))", "* len(self.tokens)))"),
        ("the even share of this context alone", "n_keys = one.k.shape[2] if", "n_keys = len(times) if"),
        ("an absent context stands in", "if gone:", "if False:"),
        ("the edge that asks the most", "return min(through, key", "return max(through, key"),
        ("numbers that are none are drawn", "if not np.isfinite(seen).all():", "if False:"),
        (
            "the labels of joined words are those of the first",
            "labels[start:end])) for start",
            "labels[start : start + 1])) for start",
        ),
    ),
    *_group(
        "explain/seconds.py",
        _TIMING,
        ("runs counted from the start of the padding", "first = int(known.argmax()) if stride > 1 else 0", "first = 0"),
        (
            "columns start with the first that is there",
            "first = int(known.argmax()) if stride > 1 else 0",
            "first = int(known.argmax())",
        ),
        ("a joined column ends with its first token", "np.maximum.reduceat(spans[:, 1], first)", "spans[first, 1]"),
        ("a joined column is there when its first token is", "np.add.reduceat(known, starts) > 0", "known[starts]"),
        ("the last token has no length", "starts[-1] + last)", "starts[-1])"),
        (
            "a bin is chosen by the start",
            "np.searchsorted(edges, times.mean(1), side",
            "np.searchsorted(edges, times[:, 0], side",
        ),
        ("a bin too far", 'side="right") - 1', 'side="right")'),
        ("the last end is the longest", "times[:, 1].max()", "times[:, 1].min()"),
        ("time goes back", "    if len(back):\n", "    if False:\n"),
        (
            "seconds of tokens are counted from one",
            "(np.arange(t)[:, None] + np.array([0.0, 1.0])) * seconds",
            "(np.arange(t)[:, None] + np.array([1.0, 2.0])) * seconds",
        ),
    ),
    *_group(
        "explain/choosing.py",
        _CHOOSING,
        ("the lowest loss", "np.argsort(-loss, kind", "np.argsort(loss, kind"),
        ("the most like the mean", 'np.argsort(-distance, kind="stable") if', 'np.argsort(distance, kind="stable") if'),
        ("the seed is forgotten", "default_rng(seed)", "default_rng(0)"),
        ("a sample is drawn twice", "replace=False", "replace=True"),
        (
            "the second reason is lost",
            "picked.setdefault(int(row), []).append(BROKEN if broken else reason)",
            "picked.setdefault(int(row), [BROKEN if broken else reason])",
        ),
        ("rows that did not ask count", "rows = asked & known", "rows = torch.ones_like(asked) & known"),
        ("the signs cancel", "(mass - usual).abs().sum(-1)", "(mass - usual).sum(-1).abs()"),
        (
            "what is not a number is like the mean",
            "far.masked_fill(mass.isnan().flatten(1).any(1), torch.inf)",
            "far.nan_to_num()",
        ),
        ("distances of the first batch alone", "        start += len(far)\n", ""),
    ),
]
