"""Faults of the recommender."""

from fault import group as _group

_PARTS = "tests/find/test_recommend_parts.py"
_WHOLE = "tests/find/test_recommend.py"

FAULTS_RECOMMEND = [
    *_group(
        "find/likes.py",
        _PARTS,
        (
            "a clip named twice is liked twice",
            "pairs = np.unique(np.stack([owner, at]), axis=1)",
            "pairs = np.stack([owner, at])",
        ),
        ("the last clip is outside", "array >= n_clips", "array >= n_clips - 1"),
        ("rows count from the end", "(array < 0) | ", ""),
        (
            "a gain that is no number",
            "if not np.isfinite(gains.data).all() or (gains.data < 0).any():",
            "if (gains.data < 0).any():",
        ),
        ("zeros are stored as likes", "    gains.eliminate_zeros()\n", ""),
        ("bools are rows", 'array.dtype.kind not in "iu":', 'array.dtype.kind not in "biu":'),
    ),
    *_group(
        "find/recommend_users.py",
        _PARTS,
        (
            "the earliest count, not the latest",
            "return [r[-most:] for r in rows], scaled, marks",
            "return [r[:most] for r in rows], scaled, marks",
        ),
        ("ratings slip from their clips", "scaled = [(g[-most:] - marks.mean)", "scaled = [(g[:most] - marks.mean)"),
        ("ratings are scaled anew", "marks = Marks.of(given) if marks is None else marks", "marks = Marks.of(given)"),
        (
            "an unrated clip has the lowest mark",
            "np.where(known, marks, 0.0), known], 1)",
            "np.where(known, marks, -9.0), known], 1)",
        ),
        (
            "all clips are rated",
            "np.where(known, marks, 0.0), known], 1)",
            "np.where(known, marks, 0.0), known | True], 1)",
        ),
        ("padding is a clip", "there = np.arange(longest) <", "there = np.arange(longest) <="),
        (
            "forgotten clips leave their ratings",
            "ratings = [r[keep] for r, keep",
            "ratings = [r[: keep.sum()] for r, keep",
        ),
        ("nobody is unknown", "return ~(written | past)", "return ~(written | past | True)"),
        ("an infinite rating", "if np.isinf(array).any():", "if False:"),
    ),
    *_group(
        "find/recommend_network.py",
        _PARTS,
        (
            "a liked clip is a negative of another",
            "scores.masked_fill((gains > 0) | ~counts, lowest)",
            "scores.masked_fill(~counts, lowest)",
        ),
        (
            "the past is a negative",
            "scores.masked_fill((gains > 0) | ~counts, lowest)",
            "scores.masked_fill(gains > 0, lowest)",
        ),
        ("the past is a right answer", "    gains = gains * counts\n", ""),
        ("gains are all the same", "    gains = gains * counts\n", "    gains = (gains > 0) * counts * 1.0\n"),
        ("users without a like count", "(total > 0).sum().clamp(min=1)", "max(1, len(total))"),
        ("many likes count more", "/ total.clamp(min=1e-12)", "/ total.clamp(min=1e-12).mean()"),
    ),
    *_group(
        "find/recommend_network.py",
        "tests/find/test_recommend_network.py " + _WHOLE,
        ("ratings are not read", "torch.cat([vectors, batch.rated], -1)", "torch.cat([vectors, batch.rated * 0], -1)"),
        ("the past is not read", "torch.cat([vectors, batch.rated], -1)", "torch.cat([vectors * 0, batch.rated], -1)"),
        ("users are hidden in prediction", "if self.training and self.hide > 0:", "if self.hide > 0:"),
        (
            "who has no past gets the first clip for one",
            "mean_present(self.weigh(batch.rated) * vectors, there)",
            "(self.weigh(batch.rated) * vectors).mean(1)",
        ),
    ),
    *_group(
        "find/recommend_top.py",
        _PARTS,
        ("the worst come first", "left[np.argsort(-scores[left]", "left[np.argsort(scores[left]"),
        ("what is left out comes back", "np.flatnonzero(scores > -np.inf)", "np.arange(len(scores))"),
        (
            "one too few reach the list",
            "np.partition(scores[left], len(left) - k)[len(left) - k]",
            "np.partition(scores[left], len(left) - k + 1)[len(left) - k + 1]",
        ),
        ("the caller's scores are changed", "    scores = scores.copy()\n", ""),
    ),
    *_group(
        "find/recommend_scores.py",
        _PARTS,
        (
            "ties are luck for us",
            "recall = (sure + places * right / n) / total",
            "recall = (sure + min(places, right)) / total",
        ),
        ("a hit by chance is sure", "1.0 if sure else 1.0 - _none(n, right, places)", "1.0 if sure or right else 0.0"),
        ("who likes nothing counts", "return np.nan, np.nan", "return 0.0, 0.0"),
        ("recall of ten, not of all", "float(relevant.sum()) / total", "float(relevant.sum()) / len(scores)"),
        ("nine places", "K = 10\n", "K = 9\n"),
        ("coverage of the first user", "np.unique(np.concatenate(named))", "np.unique(named[0])"),
        ("ties cover the first rows", "np.take_along_axis(scores, order, 1), K).rows", "scores, K).rows"),
        (
            "the first lies behind the others",
            "_interval(first - values[NAMES[0]]",
            "_interval(values[NAMES[0]] - first",
        ),
    ),
    *_group(
        "find/popularity.py",
        _PARTS,
        ("a user counts twice", "csr_matrix(((marks + past) > 0).astype(np.float64))", "csr_matrix(marks + past)"),
        ("a new clip is the last of training", "np.where(at >= 0, self.likes[at], 0.0)", "self.likes[at]"),
        (
            "a clip is its own neighbour",
            "np.where(alike.indices[row] == first + i, 0.0, alike.data[row])",
            "alike.data[row] + 0.0",
        ),
        ("the past is read in the rows of today", "mine = before[history]", "mine = at[history % len(at)]"),
        (
            "products, not cosines",
            "diags_array(1 / np.where(norms > 0, norms, 1.0))",
            "diags_array(1 / np.where(norms > 0, 1.0, 1.0))",
        ),
        ("all neighbours are kept", "if len(values) > NEIGHBOURS else 0.0", "if len(values) > 10**9 else 0.0"),
        ("a print knows no texts", "digest.update(np.asarray(words, dtype=np.int64).tobytes())", "pass"),
        ("a print is the row's", "modality.values[ends[i] : ends[i + 1]]", "modality.values[: ends[i + 1]]"),
    ),
    *_group(
        "find/recommend_fitting.py",
        _PARTS,
        ("clips held out teach", "liked.multiply(known))  #", "liked)  #"),
        (
            "users held out teach",
            "np.array([u for u in halves.users if",
            "np.array([u for u in range(liked.shape[0]) if",
        ),
        (
            "test clips teach",
            'clips, held = np.flatnonzero(split == "train"), np.flatnonzero(split == "valid")',
            'clips, held = np.flatnonzero(split != "valid"), np.flatnonzero(split == "valid")',
        ),
        ("groups are torn", "groups=None if groups is None else groups[own])", "groups=None)"),
        (
            "nobody's likes are in the batch",
            "chosen = [rng.permutation(self._likes(u))[:each] for u in users]",
            "chosen = [self._likes(u)[:0] for u in users]",
        ),
        ("the past is not in the batch", "chosen += [self.users.histories[u] for u in users]", "chosen += []"),
        (
            "some users are never met",
            "users, order = order[: self.batch_users], order[self.batch_users :]",
            "users, order = order[: self.batch_users], order[:0]",
        ),
    ),
    *_group(
        "find/recommend_fitting.py",
        _WHOLE,
        (
            "the past is learned as an answer",
            "counts[i] = ~np.isin(clips, self.users.histories[user])",
            "counts[i] = True",
        ),
        (
            "pasts point to other clips",
            "np.searchsorted(clips, batch.clips).clip(max=len(clips) - 1)",
            "batch.clips % len(clips)",
        ),
    ),
    *_group(
        "find/recommend_mixing.py",
        _WHOLE,
        (
            "a new clip has no content",
            "return np.where(new, shown, self._mixed(shown, popular, together))",
            "return self._mixed(shown, popular, together)",
        ),
        ("content is chosen whatever helps", "if score > found:", "if found < 0:"),
    ),
    *_group(
        "find/recommend_saving.py",
        _WHOLE,
        ("how ratings are scaled is lost", 'Marks(*config["marks"])', "Marks(0.0, 1.0)"),
        ("what names weigh is lost", 'model.mix_ = Mix(*config["mix"])', "model.mix_ = Mix(1.0, 0.0, 0.0)"),
    ),
    *_group(
        "find/recommender.py",
        _WHOLE,
        ("the past comes back", "seen = histories if seen is None and past is None else seen", "seen = seen"),
        (
            "a past elsewhere is left out here",
            "seen = histories if seen is None and past is None else seen",
            "seen = histories if seen is None else seen",
        ),
        (
            "the past is among today's clips",
            "before = clips if past is None else self._clips(past)\n        return self._scores(",
            "before = clips\n        return self._scores(",
        ),
        (
            "names are luck",
            "POPULAR: np.tile(self.known_.popularity(clips), (len(users), 1)),",
            "POPULAR: np.zeros(relevant.shape),",
        ),
        ("who gets nothing does not count", "relevant &= there | ~there.any(1, keepdims=True)", "relevant &= there"),
        ("what was seen is an answer", "relevant &= there | ~there.any(1, keepdims=True)", "relevant &= True"),
        (
            "torch's luck is used up",
            "with torch.random.fork_rng(devices=[]), one_thread(device):",
            "with one_thread(device):",
        ),
        ("a broken fit leaves the old model", "            del self.network_  #", "            pass  #"),
        ("names count unasked", "            if self.ids:\n", "            if True:\n"),
    ),
]
