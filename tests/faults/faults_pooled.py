"""Faults in pooling before projecting: the compiled call, the algebra around it, tokens that are computed when read."""

from fault import group as _group

_POOLED = "tests/test_pooled.py"
_AVERAGING = "tests/nn/test_averaging.py"

FAULTS_POOLED = [
    *_group(
        "kernel/pooled.py",
        _POOLED,
        ("a context of another width is read", "        and w.shape[1] == n\n", ""),
        ("a short bias is read on", " and b.shape[0] == w.shape[0]", ""),
        ("heads that do not divide the width", "    return width % by.n_heads == 0 and all(", "    return all("),
        ("rows of a weight that stand apart are read side by side", "        and w.is_contiguous()\n", ""),
        ("too many tokens are served", "        and 0 < k <= MOST\n", ""),
        ("too wide tokens are served", "        and n * x + k * y <= HELD\n", ""),
        ("the scale of the other direction", "(d**-0.5, each)", "(d**-1.0, each)"),
        (
            "the share of a query is forgotten",
            "self.share = share if isinstance(share, Tensor) else None",
            "self.share = None",
        ),
        ("the mask of the first sample for all", "if keep is None or len(keep) == 1 else keep.stride(0)", ""),
        (
            "the steps of a query are taken for those of its context",
            "context.stride(0), context.stride(1)",
            "query.stride(0), context.stride(1)",
        ),
        (
            "gradients of gradients count a context that asks itself twice",
            "(needs[0], False, *needs[2:])",
            "(needs[0], needs[0], *needs[2:])",
        ),
        ("a gradient that was not contiguous", "gradient.contiguous()", "gradient"),
    ),
    *_group(
        "nn/averaging.py",
        _AVERAGING,
        ("hooks are passed by", " and bare(attention, *parts)", ""),
        ("a part of another class is passed by", "all(type(part) is nn.Linear for part in parts) and ", ""),
        ("dropout is passed by", " or (attention.training and attention.dropout > 0)", ""),
        ("lower precision is passed by", ' or torch.is_autocast_enabled("cpu")', ""),
        ("the type of the weights is passed by", " or query.dtype != pairs[0][0].dtype", ""),
        ("the batch of the context is passed by", "query.shape[0] != context.shape[0] or ", ""),
        (
            "an absent query counts",
            "    return present.to(query.dtype) / n\n",
            "    return query.new_ones(query.shape[:2]) / n\n",
        ),
        (
            "the mean over all queries",
            "present.sum(1, keepdim=True).clamp(min=1) if n is None",
            "query.shape[1] if n is None",
        ),
        (
            "the bias of the output where nobody is seen",
            "        cover = cover * present.any(1, keepdim=True)\n",
            "        pass\n",
        ),
        ("values without their bias", "torch.addcmul(z, cover, v_proj.bias)", "z"),
        (
            "the mask is forgotten where tokens are many",
            "    keep = None if present is None else present[:, None, None]\n",
            "    keep = None\n",
        ),
        (
            "the mask is forgotten where tokens are few",
            "pooled.pool(query, context, by, context_present, share",
            "pooled.pool(query, context, by, None, share",
        ),
    ),
    *_group(
        "nn/later.py",
        _AVERAGING,
        ("changes that torch counts are not seen", "same = _versions(self._given) == self._versions", "same = True"),
        ("changes that torch does not count are not seen", "same = torch.allclose(", "torch.allclose("),
        ("tokens without gradients where somebody reads without", ", torch.set_grad_enabled(self._grad)", ""),
        ("tokens of inference with gradients", "torch.inference_mode(self._inference)", "torch.inference_mode(False)"),
        (
            "a copy keeps the way to the tokens",
            "return dict, (dict(self),)",
            "return Later, (self._names, self._pooled, self._whole, self._given)",
        ),
        ("any name has tokens", "        if name not in self._names:\n            raise KeyError(name)\n", ""),
        (
            "all is computed at once",
            "self._tokens: Mapping[str, Tensor] | None = None",
            "self._tokens: Mapping[str, Tensor] | None = self._computed()",
        ),
    ),
    *_group(
        "nn/linear.py",
        f"{_AVERAGING} tests/test_product.py",
        ("another forward in its place is passed by", '            or "forward" in m.__dict__\n', ""),
        ("hooks before are passed by", "            or m._forward_pre_hooks\n", ""),
        ("hooks backward are passed by", "            or m._backward_hooks\n", ""),
        ("hooks of all modules are passed by", "everywhere._global_forward_hooks\n        or ", ""),
        ("whatever took the place of a layer is read as one", "type(layer) is not nn.Linear or ", ""),
        ("the hooks of a layer are passed by", " or not bare(layer)", ""),
    ),
    *_group(
        "nn/textbook.py",
        f"{_AVERAGING} tests/nn/test_textbook.py",
        (
            "both ask, each with a mean of its own",
            "a_present, b_present, n_averaged=n, need",
            "a_present, b_present, need",
        ),
        ("the residual is forgotten", "pooled = pooled + mean_present(query, query_present)", "pass"),
        (
            "the weights of absent queries",
            '{Edge("query", "context"): _only(weights, query_present)}\n        return Fused(pooled, Later',
            '{Edge("query", "context"): weights}\n        return Fused(pooled, Later',
        ),
    ),
]
