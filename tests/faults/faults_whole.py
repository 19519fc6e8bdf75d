"""The faults of the one call that explains: what it gathers, which samples it shows, and how it lays them out."""

from fault import group

_WHOLE = "tests/explain/test_whole_explanation.py"

FAULTS_WHOLE = [
    *group(
        "explain/explaining.py",
        _WHOLE,
        ("the second rule is the first", "removal=SECOND, of=of", "removal=game.removal, of=of"),
        (
            "there is nothing to agree with",
            "agreement(looked_at, worth.moved,",
            "agreement(None, worth.moved,",
        ),
        ("attention is no ranking", 'scores["attention"] = np', 'scores["looks"] = np'),
        (
            "the fingerprint is that of the names",
            "name.encode() + value.detach()",
            "name.encode() + 0 * value.detach()",
        ),
        ("who has no target is wrong", "some = rows if len(rows) else np", "some = np"),
        ("a loss with gaps", 'if of == "loss" and len(rows) < len(feed):', "if False:"),
        ("progress counts from one", "done = iter(range(6))", "done = iter(range(1, 7))"),
    ),
    *group(
        "explain/trace_replay.py",
        "tests/explain/test_trace_replay.py",
        ("scores are not rounded", "k.double().mT).to(kind)", "k.double().mT)"),
        ("the factor is forgotten", "(scores * factor).masked_fill", "scores.masked_fill"),
        ("hidden keys are seen", "masked_fill(~keep, -torch.inf)", "masked_fill(keep & ~keep, -torch.inf)"),
        (
            "nobody to look at is not a number",
            "masked_fill(~keep.any(-1, keepdim=True), 1.0)",
            "masked_fill(~keep.any(-1, keepdim=True), 0.0)",
        ),
        ("infinity passes", "if not bool(scores.isfinite().all()):", "if False:"),
        ("the error against itself", "np.abs(found - trace.weights)", "np.abs(found - found)"),
    ),
    *group(
        "data/alongside.py",
        _WHOLE,
        ("a target with gaps is known", "reshape(len(y), -1).any(axis=1)", "reshape(len(y), -1).all(axis=1)"),
        ("None is known", "v is None or v != v for v", "v != v for v"),
    ),
    *group(
        "explain/targets.py",
        _WHOLE,
        ("labels of another model", 'Outcome(model, "loss", y[rows], len(rows))', "len(rows)"),
    ),
    *group(
        "explain/showing.py",
        _WHOLE,
        ("the loss of another class", "[place[label] for label in y.tolist()]]", "[0 for label in y.tolist()]]"),
        ("the loss has the wrong sign", "return np.asarray(-np.log(", "return np.asarray(np.log("),
        ("seconds of another sequence", "seconds=seconds.get(context),", "seconds=seconds.get(query),"),
        ("time in tokens for all", "seconds=seconds.get(context),", "seconds=None,"),
        (
            "the mass of the first samples",
            "attention_of(module, feed, rows),",
            "attention_of(module, feed, range(len(rows))),",
        ),
        ("all are shown and something is left out", "if len(chosen) == n:", "if len(chosen) > n:"),
    ),
    *group(
        "explain/reporting.py",
        _WHOLE,
        ("values of another sample", '"values": _known(w.values[row].reshape', '"values": _known(w.values[0].reshape'),
        ("present is missing", "[not there for there in e.game.present", "[there for there in e.game.present"),
        (
            "interactions of the first class",
            "largest = e.shapley.full.argmax(1)",
            "largest = 0 * e.shapley.full.argmax(1)",
        ),
        ("interactions of nothing", "largest = e.shapley.full.argmax(1)", "largest = e.shapley.empty.argmax(1)"),
        ("missing counts who is there", "[int(n) for n in (~there).sum(0)]", "[int(n) for n in there.sum(0)]"),
        (
            "heads are called by layer",
            "for m in range(a.n_members)\n        for h in range(heads)",
            "for h in range(heads)\n        for m in range(a.n_members)",
        ),
        ("a sentence leads nowhere", 'say("complete", exact, MOVED,', 'say("complete", exact, "",'),
        (
            "leaving out is signed",
            "moved_by(left_out_of(e.game).values).mean(0)",
            "left_out_of(e.game).values.sum(2).mean(0)",
        ),
    ),
    *group(
        "explain/by_hand.py",
        "tests/explain/test_by_hand.py",
        ("the head before", "(t[0, head] for t in", "(t[0, head - 1] for t in"),
        ("keys are values", "(asking.q, asking.k, asking.v)", "(asking.q, asking.v, asking.v)"),
        ("who is absent is looked at", "else asking.keep[0, 0, 0]", "else asking.keep[0, 0, 0] | True"),
        ("the layer before", "edge=edge, layer=layer)\n    q", "edge=edge, layer=layer - 1)\n    q"),
        ("the first edge whatever was asked", "if edge in (None, one) and", "if"),
        ("tokens count from zero", 'f"{name} {i + 1}"', 'f"{name} {i}"'),
    ),
    *group(
        "cli/explaining.py",
        "tests/cli/test_explaining.py",
        (
            "all rows are called test",
            "rows, part = rows_of_part(samples, split)",
            "rows, part = rows_of_part(samples, None)",
        ),
        ("no limit on the rows", "permutation(rows)[:most]", "permutation(rows)"),
        ("the rule is forgotten", '"removal": removal', '"removal": None'),
        ("the limit of the report is forgotten", "max_mb=max_mb)", "max_mb=25)"),
        ("seconds below zero", "not 0 < lasting[name]", "not -9 < lasting[name]"),
    ),
]
