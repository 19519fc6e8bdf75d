"""The faults: what a hand could slip into the code, and the tests that must turn red.

One table a room. Each group names a file under src/intermodal and the tests to run; each row is a name, the text as
it stands, and the text with the fault. The text must stand in the file exactly once.
"""

from typing import NamedTuple


class Fault(NamedTuple):
    """One planted slip."""

    name: str
    file: str
    old: str
    new: str
    tests: str


def _group(file: str, tests: str, *rows: tuple[str, str, str]) -> list[Fault]:
    return [Fault(name, file, old, new, tests) for name, old, new in rows]


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
        ("mask polarity in the explicit path", "masked_fill(hidden, torch", "masked_fill(~hidden, torch"),
        ("scale of the wrong axis", "math.sqrt(q.shape[-1])", "math.sqrt(q.shape[-2])"),
        ("scale ignored in the fused path", "(q, k, v, scale=scale)", "(q, k, v)"),
        ("softmax over the queries", "scores.softmax(axis)", "scores.softmax(-3 - axis)"),
        ("weights after dropout", "Attended(output, weights if need_weights", "Attended(output, used if need_weights"),
        ("dropout without scaling", "F.dropout(weights, dropout) if", "F.dropout(weights, dropout) * (1 - dropout) if"),
        ("dropout only with weights", "need_weights or dropout > 0 or few", "need_weights or few"),
        ("empty rows keep what they saw (fused)", "return output.masked_fill(~some, 0.0)", "return output"),
        (
            "empty rows keep what they saw (explicit)",
            "            weights = weights.masked_fill(hidden, 0.0)\n",
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
        ("samples mixed up", "self.split(self.v_proj(value))", "self.split(self.v_proj(value)).flip(0)"),
        (
            "the bias of the output on empty rows",
            "output = output.masked_fill(~keep.any(-1).any(1).unsqueeze(-1), 0.0)",
            "pass",
        ),
        ("the bias of the output without keys", "output = output * 0.0", "pass"),
        ("masked NaN reaches the projections", "context = context.masked_fill(unseen, 0.0)", "pass"),
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
            "    return x.masked_fill(~present.reshape(",
            "    return x.masked_fill(False & ~present.reshape(",
        ),
        (
            "absent tokens are not blanked",
            "return x.masked_fill(~present.unsqueeze(-1), 0.0), present",
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
        ("NaN of an absent token reaches the mean", "tokens.masked_fill(~present.unsqueeze(-1), 0.0)", "tokens"),
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
        ("bias without an answer (tied)", ".masked_fill(count == 0, 0.0)", ""),
        (
            "bias without an answer (untied)",
            "attention.out_proj(answer) * some, some",
            "attention.out_proj(answer), some",
        ),
        (
            "weights of tokens that are absent",
            "return weights.masked_fill(~present[:, None, :, None], 0.0)",
            "return weights",
        ),
        ("no residual around the attention", "x = x + self.dropout(received)", "x = self.dropout(received)"),
        ("no norm before the attention", "self._ask(self.norm_ask(x),", "self._ask(x,"),
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
        ("absent tokens are read", "x = x.masked_fill(~present.unsqueeze(-1), 0.0)", "pass"),
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

FAULTS = [*SPEC, *ATTENTION, *NN]
