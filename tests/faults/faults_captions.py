"""Faults in captions: the decoder, its spec, the tokenizer, the searches, the lessons, the scores, the command."""

from fault import group as _group

_DECODER = "tests/nn/test_decoder.py"
_SEARCH = "tests/find/test_caption_decoding.py"
_TOKENS = "tests/find/test_caption_tokenizer.py"
_SCORES = "tests/find/test_scoring_captions.py"
_CAPTIONER = "tests/find/test_captioner.py"
_COMMAND = "tests/cli/test_captioning.py"

FAULTS_CAPTIONS = [
    *_group(
        "nn/decoder.py",
        _DECODER,
        (
            "a word sees the words after it",
            "keep = causal_keep(x.shape[1], device=x.device).unsqueeze(1)",
            "keep = causal_keep(x.shape[1], device=x.device).unsqueeze(1) | True",
        ),
        (
            "hypotheses and heads change places",
            "(t.transpose(1, 2).flatten(0, 1).unsqueeze(2)",
            "(t.flatten(0, 1).reshape(-1, t.shape[1], t.shape[3]).unsqueeze(2)",
        ),
        (
            "a step sees the words before it in the wrong order of values",
            "torch.cat([past[1], v], 2)",
            "torch.cat([v, past[1]], 2)",
        ),
        ("words look at absent tokens", "context.v, keep=context.keep,", "context.v,"),
        (
            "a context that is not there answers with its bias",
            "attention.out_proj(attention.merge(heads)) * context.some)",
            "attention.out_proj(attention.merge(heads)))",
        ),
        ("the sum of the contexts", "/ count.clamp(min=1), weights", ", weights"),
        ("the mean over all contexts", "/ count.clamp(min=1), weights", "/ len(memory), weights"),
        (
            "values from the keys' projection",
            "attention.split(attention.v_proj(tokens))",
            "attention.split(attention.k_proj(tokens))",
        ),
        ("no residual around the contexts", "x = x + self.dropout(answer)", "x = self.dropout(answer)"),
        ("the contexts are asked without a norm", "self._others(self.norm_ask(x),", "self._others(x,"),
        ("what is said comes without a norm", "torch.as_tensor(self.norm(x) @", "torch.as_tensor(x @"),
        ("what is said comes without a bias", "self.n_words].T + self.bias)", "self.n_words].T)"),
        (
            "a step stands at the place before",
            "positions(read[:, :1], start=at)",
            "positions(read[:, :1], start=max(0, at - 1))",
        ),
        ("hypotheses of a step stand in a row", "positions(read[:, :1], start=at)", "positions(read, start=at)"),
        ("words are read as they are said", "self.embed(words) * self.d_model**0.5", "self.embed(words)"),
        ("absent tokens are read", "return blank(joined, kept.unsqueeze(-1)), kept", "return joined, kept"),
        (
            "one key is warned of again and again",
            "            self._checked_one_key = True\n            alone",
            "            alone",
        ),
        ("the start is a word", "return self.n_words\n", "return self.n_words - 1\n"),
    ),
    *_group(
        "nn/captioning.py",
        _DECODER,
        ("a caption may be asked", "if CAPTION in edge.context_names:", "if False:"),
        (
            "contexts in the order of writing",
            "ordered = sorted(dict.fromkeys(asks), key=lambda edge: sorted(edge.context_names))",
            "ordered = dict.fromkeys(asks)",
        ),
        (
            "each modality is all as one",
            "        return names\n    return [names",
            "        return [names]\n    return [names",
        ),
        ("a clause that reaches nobody passes", "    if waiting:\n", "    if False:\n"),
        (
            "what is heard by way of another is left out",
            "heard.update(name for edge in reached for name in (*edge.query_names, *edge.context_names))",
            "heard.update(name for edge in reached for name in edge.query_names)",
        ),
        ("a missing vector is there", "{n: _by_token(there[n], tokens[n]) for n in there}", "{}"),
        (
            "nothing at all is one token of zeros",
            "torch.zeros(heard[name].shape[:-1], dtype=torch.bool",
            "torch.ones(heard[name].shape[:-1], dtype=torch.bool",
        ),
    ),
    *_group(
        "find/decoding.py",
        _SEARCH,
        ("the end may come too early", "    if forbid_end:\n", "    if False:\n"),
        (
            "greedy never asks whether the last word was the last",
            "for n in range(max_words + 1):\n        logits, past = decoder.step(words, memory, past)\n        value",
            "for n in range(max_words):\n        logits, past = decoder.step(words, memory, past)\n        value",
        ),
        (
            "the end does not count",
            "counts = alive & (ends | (n < max_words))",
            "counts = alive & ~ends & (n < max_words)",
        ),
        ("a word that is cut off counts", "counts = alive & (ends | (n < max_words))", "counts = alive"),
        ("what ended goes on", "alive = alive & ~ends\n", "alive = alive\n"),
        ("a cut caption is finished", "sum_, not cut)", "sum_, True)"),
        (
            "places are never used up",
            "slots = slots - ends.sum(1, keepdim=True)",
            "slots = slots - 0 * ends.sum(1, keepdim=True)",
        ),
        (
            "every sample has the words of the first",
            "torch.arange(b, device=device).unsqueeze(1) * w + parent",
            "0 * torch.arange(b, device=device).unsqueeze(1) + parent",
        ),
        (
            "the past of another hypothesis",
            "past = [(k[rows], v_[rows]) for k, v_ in past]",
            "past = [(k[rows.sort().values], v_[rows]) for k, v_ in past]",
        ),
        ("the length does not count", "/ (len(hypothesis.words) + 1) ** length_penalty", "/ 1.0"),
        (
            "the end is no word of the length",
            "/ (len(hypothesis.words) + 1) ** length_penalty",
            "/ max(1, len(hypothesis.words)) ** length_penalty",
        ),
        ("what ended stays open", "best.masked_fill(~open_ | ends, -math.inf)", "best.masked_fill(~open_, -math.inf)"),
        ("the search stops at the first end", "length_penalty) >= bound", "length_penalty) >= -math.inf"),
        ("the search bounds by the shortest", "(max_words + 1) ** length_penalty).tolist()", "1.0).tolist()"),
        ("the worst of the beam", "return max(found, key", "return min(found, key"),
        ("the worst is cut", "cut = totals.argmax(1).tolist()", "cut = totals.argmin(1).tolist()"),
        ("the mean leaves the end out", "max(1, len(self.words) + self.finished)", "max(1, len(self.words))"),
    ),
    *_group(
        "find/tokenizer.py",
        _TOKENS,
        ("a tokenizer that cuts", "    made.no_truncation()\n", ""),
        ("a tokenizer that pads", "    made.no_padding()\n", ""),
        (
            "special tokens have numbers",
            "for some in pieces for i in some} - hidden)",
            "for some in pieces for i in some})",
        ),
        ("numbers are one off", "[self.ids[n - 1] for n", "[self.ids[n - 2] for n"),
        (
            "the user's own tokenizer is changed",
            "made = library.Tokenizer.from_str(tokenizer.to_str())",
            "made = tokenizer",
        ),
        (
            "special tokens around every text",
            "ids = self.tokenizer.encode(text, add_special_tokens=False).ids",
            "ids = self.tokenizer.encode(text).ids",
        ),
        (
            "auto counts the texts",
            "len({word for text in texts for word in words_of(text)}) <= MOST_WORDS",
            "len(texts) <= MOST_WORDS",
        ),
        ("signs stand in one word", "{_BLANK}?[{_SIGNS}]|", ""),
        ("white space counts", "squeezed, normalizers.Strip()", "normalizers.Strip()"),
        ("words with the space before them", "now[len(before) :].strip() if", "now[len(before) :] if"),
    ),
    *_group(
        "find/scoring_captions.py",
        _SCORES,
        (
            "a word that no clip has weighs nothing",
            "math.log(max(1, clips_with[gram]))",
            "(math.log(clips_with[gram]) if clips_with[gram] else every)",
        ),
        (
            "words in every reference count again and again",
            "for gram in set().union(*own))",
            "for grams in own for gram in grams)",
        ),
        ("no clipping", "sum(min(weight, b.get(gram, 0.0)) * b.get", "sum(weight * b.get"),
        ("no penalty of length", "math.exp(-(longer**2)", "math.exp(-0 * (longer**2)"),
        ("length in n-grams", "if len(gram) == 1)", ")"),
        ("the sum over references", "10 * sum(each) / len(each)", "10 * sum(each)"),
        ("precision weighs more", "/ (recall + _BETA**2 * precision)", "/ (_BETA**2 * recall + precision)"),
        ("recall of the best precision", "recall = max(n / len(own)", "recall = min(n / len(own)"),
        (
            "word accuracy forgives words too many",
            "common(words, own) / max(len(words), len(own))",
            "common(words, own) / len(own)",
        ),
        ("the first reference alone", "for k in range(most)]", "for k in range(1)]"),
        ("smoothed BLEU", 'smooth_method="none"', 'smooth_method="add-k"'),
        (
            "CIDEr of one clip is said",
            "    if not any(cider_of_perfect > 0",
            "    if False and not any(cider_of_perfect > 0",
        ),
        (
            "cut captions count as whole",
            'sum(not getattr(caption, "finished", True)',
            'sum(getattr(caption, "finished", True) is None',
        ),
    ),
    *_group(
        "find/caption_lessons.py",
        _CAPTIONER,
        ("an unknown word is learned as said", "        follow[follow == self.tokenizer.unknown] = NO_WORD\n", ""),
        ("the end is not learned", "[*words, 0]", "[*words, NO_WORD]"),
        (
            "the clip of another caption",
            "self.feed.batch(self.captions.clips[which])",
            "self.feed.batch(self.captions.clips[which[::-1]])",
        ),
        ("one caption of a clip", "rng.integers(len(own))", "0 * rng.integers(len(own))"),
        ("the start is hidden", "hidden & (read != start)", "hidden"),
        ("nothing is hidden", "read = read.masked_fill(", "read = read if True else read.masked_fill("),
    ),
    *_group(
        "find/captioner.py",
        _CAPTIONER,
        ("rows for the test are learned", 'own = own[samples.split[own] != "test"]', "own = own[own >= 0]"),
        ("scaled by all rows", "Preprocessor.fit(samples[learn])", "Preprocessor.fit(samples)"),
        (
            "words of held-out rows are known",
            "CaptionTokenizer.fit(captions.of(learn).texts",
            "CaptionTokenizer.fit(captions.texts",
        ),
        (
            "the longest of all rows",
            "np.flatnonzero(np.isin(captions.clips, [*learn, *held]))",
            "np.arange(len(captions.texts))",
        ),
        ("long captions pass", "        if len(long):\n", "        if False:\n"),
        ("float32", "dtype = torch.float64 if device", "dtype = torch.float32 if device"),
        ("captions without a word pass", "        if not lengths[used].all():\n", "        if False:\n"),
        ("a NaN passes", 'if samples.has_nan and self.nan != "impute":', "if False:"),
        ("unknown words count as said", "np.where(counts == lessons.lengths + 1,", "np.where(counts > 0,"),
        ("the seed of torch", "            torch.manual_seed(self.seed)\n            network", "            network"),
        (
            "the random numbers of others",
            "with torch.random.fork_rng(devices=[]), one_thread(device):",
            "with one_thread(device):",
        ),
        ("half a model is left", "                delattr(self, name)", "                pass"),
        ("groups are torn apart", "groups=None if groups is None else groups[own]", "groups=None"),
        ("the search is always greedy", "if beam == 1", "if True"),
        (
            "the tokenizer that was brought is lost",
            "words.tokenizer if given is None else given",
            '"auto" if given is None else given',
        ),
    ),
    *_group(
        "find/caption_attention.py",
        _CAPTIONER,
        ("padding is shown", "weights[:, : int(modality.lengths[row])].numpy()", "weights.numpy()"),
        ("tokens of a vector apart", "weights.sum(1, keepdim=True).numpy()", "weights.numpy()"),
        ("a word more than was said", "w[i, : len(words)] for name", "w[i, : len(words) + 1] for name"),
        ("the heads are summed", "layer[edge].mean(1)", "layer[edge].sum(1)"),
    ),
    *_group(
        "cli/captioning.py",
        _COMMAND,
        ("a stretch without its end", "int(last or first) + 1)", "int(last or first) + (not dash))"),
        ("a row too far", "stretch[-1] >= n:", "stretch[-1] > n:"),
        (
            "rows of the file are those of the choice",
            'columns = {"row": np.array(rows)}',
            'columns = {"row": np.arange(len(rows))}',
        ),
        ("seconds are frames", "spans = [[k / (fps or 1),", "spans = [[k,"),
        ("a beam is not followed", "captioner.predict(samples, beam=beam,", "captioner.predict(samples, beam=1,"),
        ("limits are not kept", "need_attention=attention, **options)", "need_attention=attention)"),
        ("cut captions look whole", '("" if c.finished else " ...")', '""'),
    ),
]
