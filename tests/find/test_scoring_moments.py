"""Scores of moments: by hand, against plain loops, and against the COCO referee."""

import contextlib
import io
from types import SimpleNamespace

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from sklearn.metrics import roc_auc_score

from intermodal.errors import InputError
from intermodal.find.scoring_moments import PRECISION_AT, iou, moment_difference, moment_scores, spans_of


def made(n=53, most_true=3, most_said=7, seed=0):
    """Queries with one to three true windows and none to seven predicted ones, many of them near the truth."""
    rng = np.random.default_rng(seed)
    truth, predicted, scores = [], [], []
    for _ in range(n):
        t = np.sort(rng.choice(60, size=(rng.integers(1, most_true + 1), 2)), axis=1)
        t[:, 1] += 1
        k = int(rng.integers(0, most_said + 1))
        near = t[rng.integers(len(t), size=k)] + rng.integers(-4, 5, size=(k, 2))
        near[:, 1] = np.maximum(near[:, 1], near[:, 0] + 1)
        truth.append(t.astype(float))
        predicted.append(near.astype(float))
        scores.append(rng.permutation(k) / 7)
    return predicted, truth, scores


def overlap(a, b):
    shared = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    return shared / (a[1] - a[0] + b[1] - b[0] - shared)


def test_iou_is_the_shared_part_of_each_pair_and_zero_apart():
    a, b = [[0, 10], [3, 5], [20, 23]], [[5, 15], [4, 5]]
    expected = [[overlap(x, y) for y in b] for x in a]
    np.testing.assert_allclose(iou(a, b), expected)
    assert iou(a, b).tolist()[0][0] == 5 / 15 and iou(a, b)[2].tolist() == [0, 0]
    assert iou([], b).shape == (0, 2) and iou(a, []).shape == (3, 0)


def test_an_overlap_of_exactly_the_threshold_is_a_hit():
    for t in (0.3, 0.5, 0.7):
        found = moment_scores([[[0, 10 * t]]], [[[0, 10]]])
        assert found[f"R1@{t}"] == found[f"R5@{t}"] == 1
        missed = moment_scores([[[0, 10 * t - 0.001]]], [[[0, 10]]])
        assert missed[f"R1@{t}"] == missed[f"R5@{t}"] == 0
    # 0.7 of the span in another unit comes out one bit short
    assert moment_scores([[[0.1, 0.1 + 0.7 * 0.3]]], [[[0.1, 0.4]]])["R1@0.7"] == 1
    # and tenths of a second in 32 bits seven digits short: 24.3 to 27.35 is half of 24.3 to 30.4
    half = np.array([[24.3, 27.35]]), np.array([[24.3, 30.4]], dtype=np.float32)
    assert iou(*half)[0, 0] < 0.5 - 1e-9 and moment_scores([half[0]], [half[1]])["R1@0.5"] == 1


def test_windows_are_ranked_by_score_before_anything():
    windows, truth = [[40, 50], [0, 9], [20, 30]], [[[0, 10]]]
    last = moment_scores([windows], truth, scores=[[0.9, 0.1, 0.5]])
    first = moment_scores([windows], truth, scores=[[-3, -1, -2]])
    assert (last["R1@0.5"], last["R5@0.5"], last["mAP@0.5"], last["mIoU"]) == (0, 1, pytest.approx(1 / 3), 0)
    assert (first["R1@0.5"], first["R5@0.5"], first["mAP@0.5"], first["mIoU"]) == (1, 1, 1, 0.9)


def test_only_the_best_windows_by_score_count():
    windows = [[40, 50]] * 9 + [[60, 70], [0, 10]]
    scores = [[*range(9, 0, -1), 0, 10]]
    assert moment_scores([windows], [[[0, 10], [60, 70]]], scores=scores)["mAP@0.5"] == 0.5  # the eleventh is cut
    assert moment_scores([windows], [[[0, 10], [60, 70]]], scores=scores, top=11)["mAP@0.5"] == pytest.approx(
        (1 + 2 / 11) / 2
    )
    five = moment_scores([windows], [[[0, 10]]], scores=[list(range(11, 0, -1))])
    assert five["R5@0.3"] == 0  # the right one is the last
    assert moment_scores([windows], [[[0, 10]]], scores=[[1] * 6 + [0.5] * 4 + [1.5]], top=1)["R1@0.7"] == 1


def test_figures_by_hand_with_two_true_windows():
    truth = [[[0, 10], [20, 30]]]
    windows, scores = [[20, 29], [40, 50], [1, 10]], [[3, 2, 1]]
    found = moment_scores([windows], truth, scores=scores)
    assert found["mIoU"] == 0.9 and found["R1@0.7"] == 1
    # Recall 1/2 at precision 1, recall 1 at precision 2/3; both overlap by .9, so hits up to t = .9
    at = (1 + 2 / 3) / 2
    assert found["mAP@0.5"] == pytest.approx(at) and found["mAP"] == pytest.approx(0.9 * at)


def test_a_true_window_is_found_once_only():
    found = moment_scores([[[0, 10], [0, 10], [0, 9]]], [[[0, 10], [50, 60]]], scores=[[3, 2, 1]])
    assert found["mAP@0.5"] == 0.5


def test_precision_is_the_best_at_this_recall_or_a_higher_one():
    truth = [[[0, 10], [20, 30]]]
    windows = [[50, 60], [0, 10], [20, 30]]
    assert moment_scores([windows], truth, scores=[[3, 2, 1]])["mAP@0.5"] == pytest.approx(2 / 3)


def test_a_window_that_fits_two_true_ones_takes_the_nearer_and_leaves_the_other():
    truth = [[[0, 10], [0, 14]]]
    found = moment_scores([[[0, 13], [0, 10]]], truth, scores=[[2, 1]])
    assert found["mAP@0.5"] == 1
    # 0-13 is nearer to 0-14, which is taken; at .75 it takes 0-10 instead
    again = moment_scores([[[0, 14], [0, 13]]], truth, scores=[[2, 1]])
    assert again["mAP@0.75"] == 1


def test_recall_and_overlap_equal_a_plain_loop():
    predicted, truth, scores = made()
    found = moment_scores(predicted, truth, scores=scores)
    top = [sorted(zip(s, p.tolist(), strict=True), reverse=True) for s, p in zip(scores, predicted, strict=True)]
    best = [[max(overlap(w, t) for t in true) for _, w in ranked] for ranked, true in zip(top, truth, strict=True)]
    assert found["mIoU"] == pytest.approx(np.mean([b[0] if b else 0 for b in best]))
    for t in (0.3, 0.5, 0.7):
        assert found[f"R1@{t}"] == pytest.approx(np.mean([any(x >= t for x in b[:1]) for b in best]))
        assert found[f"R5@{t}"] == pytest.approx(np.mean([any(x >= t for x in b[:5]) for b in best]))
    assert 0.1 < found["R1@0.5"] < found["R5@0.5"] < 1  # the rows are worth comparing


def test_average_precision_equals_the_coco_referee():
    predicted, truth, scores = made(most_said=9, seed=1)
    found = moment_scores(predicted, truth, scores=scores)
    precision = coco(predicted, truth, scores)  # (thresholds,)
    assert found["mAP"] == pytest.approx(precision.mean(), abs=1e-9)
    assert found["mAP@0.5"] == pytest.approx(precision[0], abs=1e-9)
    assert found["mAP@0.75"] == pytest.approx(precision[5], abs=1e-9)


def coco(predicted, truth, scores):
    """Each query is an image with a class of its own; recall is read in the middle of each sixth."""
    images = [{"id": q, "width": 99, "height": 1} for q in range(1, len(truth) + 1)]
    kinds = [{"id": q, "name": str(q)} for q in range(1, len(truth) + 1)]

    def boxes(all_spans):
        for q, spans in enumerate(all_spans, 1):
            for i, (start, end) in enumerate(spans):
                box = [start, 0, end - start, 1]
                yield q, i, {"image_id": q, "category_id": q, "bbox": box, "area": end - start, "iscrowd": 0}

    true = [box | {"id": i} for i, (_, _, box) in enumerate(boxes(truth), 1)]
    said = [box | {"score": float(scores[q - 1][i])} for q, i, box in boxes(predicted)]
    with contextlib.redirect_stdout(io.StringIO()):
        referee = COCO()
        referee.dataset = {"images": images, "annotations": true, "categories": kinds, "info": {}}
        referee.createIndex()
        judged = COCOeval(referee, referee.loadRes(said), "bbox")
        judged.params.iouThrs = np.array(PRECISION_AT)
        judged.params.recThrs = (np.arange(6) + 0.5) / 6
        judged.evaluate()
        judged.accumulate()
    return judged.eval["precision"][..., 0, 2].mean(axis=(1, 2))  # thresholds, recalls, classes, areas, caps


def test_the_thresholds_are_exact_decimals():
    assert PRECISION_AT == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


def test_a_query_without_a_predicted_window_scores_zero_everywhere():
    found = moment_scores([[], [[0, 10]]], [[[0, 10]], [[0, 10]]])
    assert {interval.mean for interval in found.figures.values()} == {0.5}
    nothing = moment_scores([[], []], [[[0, 10]], [[0, 10]]])
    assert {interval.mean for interval in nothing.figures.values()} == {0.0}


def test_queries_without_an_answer_are_counted_apart_and_change_no_figure():
    predicted, truth, scores = made(n=17)
    alone = moment_scores(predicted, truth, scores=scores, groups=np.arange(17) // 3)
    more = {"scores": [[0.9], *scores, []], "groups": [7, *np.arange(17) // 3, 0]}
    with_them = moment_scores([[[0, 1]], *predicted, []], [[], *truth, []], **more)
    assert with_them.unanswerable.n == 2 and with_them.answerable.sum() == 17
    assert with_them.figures == alone.figures
    assert with_them.unanswerable.auc is None and with_them.unanswerable.calibration_error is None


def test_where_no_query_has_an_answer_no_figure_is_made_up():
    found = moment_scores([[], [[1, 2]]], [[], []], happens=[0.25, 0.5])
    assert found.figures == {} and found.unanswerable.n == 2 and found.unanswerable.auc is None
    assert found.unanswerable.calibration_error == pytest.approx(0.375)
    assert "0 queries with an answer, 2 without" in str(found)


def test_the_probability_that_it_happens_is_judged_by_rank_and_by_calibration():
    happens = np.array([0.91, 0.93, 0.93, 0.15, 0.15, 1.0])
    truth = [[[0, 1]], [[0, 1]], [[0, 1]], [[0, 1]], [], []]
    found = moment_scores([[]] * 6, truth, happens=happens).unanswerable
    assert found.auc == roc_auc_score([1, 1, 1, 1, 0, 0], happens)
    # bins .9-1 with .91 .93 .93 1.0 (three of four happen), .1-.2 with two of .15 (one happens)
    assert found.calibration_error == pytest.approx((abs(0.91 + 0.93 + 0.93 + 1.0 - 3) + abs(0.3 - 1)) / 6)


def test_predictions_may_be_objects_with_spans_scores_and_happens():
    predicted, truth, scores = made(n=13)
    moments = [SimpleNamespace(spans=p, scores=s, happens=0.5) for p, s in zip(predicted, scores, strict=True)]
    a, b = moment_scores(moments, truth), moment_scores(predicted, truth, scores=scores, happens=[0.5] * 13)
    assert a.figures == b.figures and a.unanswerable == b.unanswerable
    assert a.unanswerable.calibration_error == 0.5


def test_intervals_draw_whole_videos_and_average_over_queries():
    rng = np.random.default_rng(3)
    hit = rng.random(41) < 0.5
    videos = rng.integers(11, size=41)
    predicted = [[[0, 10]] if h else [[20, 30]] for h in hit]
    truth = [[[0, 10]]] * 41
    found = moment_scores(predicted, truth, groups=videos, n_draws=400, seed=5).figures["R1@0.5"]
    names = np.unique(videos)
    draws = np.random.default_rng(5).integers(len(names), size=(400, len(names)))
    means = [np.mean(np.concatenate([hit[videos == names[g]] for g in drawn])) for drawn in draws]
    assert found.mean == pytest.approx(hit.mean())
    np.testing.assert_allclose([found.low, found.high], np.quantile(means, [0.025, 0.975]))


def test_one_video_asked_often_gives_a_wider_interval_than_its_queries_alone():
    predicted, truth, scores = made(n=43)
    together = moment_scores(predicted * 5, truth * 5, scores=scores * 5, groups=list(range(43)) * 5)
    alone = moment_scores(predicted * 5, truth * 5, scores=scores * 5)
    wide, narrow = together.figures["mIoU"], alone.figures["mIoU"]
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_the_difference_of_two_models_is_paired():
    predicted, truth, scores = made(n=29)
    a = moment_scores(predicted, truth, scores=scores, groups=np.arange(29) // 2)
    shifted = [[[s, e + 2] for s, e in p] for p in predicted]
    b = moment_scores(shifted, truth, scores=scores)
    gap = moment_difference(a, b, "mIoU")
    assert gap.mean == pytest.approx(a["mIoU"] - b["mIoU"])
    assert gap.high - gap.low < a.figures["mIoU"].high - a.figures["mIoU"].low
    same = moment_difference(a, a, "mAP")
    assert (same.mean, same.low, same.high) == (0, 0, 0)


def test_a_constant_score_ranks_in_the_order_given():
    found = moment_scores([[[20, 30], [0, 10]]], [[[0, 10]]], scores=[[0.5, 0.5]])
    assert found["R1@0.5"] == 0 and found["R5@0.5"] == 1


def test_the_table_says_all_figures_in_percent():
    text = str(moment_scores([[[0, 6]], []], [[[0, 10]], []], happens=[0.75, 0.5]))
    assert text.splitlines()[0] == "R1@0.3   100.0 [100.0, 100.0]"
    assert text.splitlines()[-1] == "1 queries with an answer, 1 without (told apart with an AUC of 1.000)"
    assert "mIoU      60.0 [60.0, 60.0]" in text and "mAP       30.0 [30.0, 30.0]" in text


ONE = [[[0.0, 1.0]]]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda: moment_scores([[[2, 2]]], ONE),
            "a window ends after it starts, however: window 0 in prediction for query 0 is 2.0 to 2.0",
        ),
        (
            lambda: moment_scores(ONE * 2, [*ONE, [[0, 1], [5, 4]]]),
            "a window ends after it starts, however: window 1 in truth of query 1 is 5.0 to 4.0",
        ),
        (
            lambda: moment_scores([[[0, np.nan]]], ONE),
            "a window has finite times, however: window 0 in prediction for query 0 is 0.0 to nan",
        ),
        (
            lambda: moment_scores(ONE, [[[0, np.inf]]]),
            "a window has finite times, however: window 0 in truth of query 0 is 0.0 to inf",
        ),
        (lambda: iou([0, 1], ONE[0]), "windows are (n, 2), start and end, however: a has the shape (2,)"),
        (lambda: spans_of([[0, 1, 2]], "b"), "windows are (n, 2), start and end, however: b has the shape (1, 3)"),
        (
            lambda: moment_scores([[[0, 1], [2, 3]]], ONE),
            "windows are ranked by scores, however: query 0 has 2 and no scores",
        ),
        (
            lambda: moment_scores([[[0, 1], [2, 3]]], ONE, scores=[[1, np.nan]]),
            "each window has a score, however: query 0 has 2 windows, 2 scores, 1 of them NaN",
        ),
        (
            lambda: moment_scores(ONE, ONE, scores=[[1, 2]]),
            "each window has a score, however: query 0 has 1 windows, 2 scores, 0 of them NaN",
        ),
        (
            lambda: moment_scores(ONE * 3, ONE * 2, groups=[0, 1]),
            "each query has its own, however: 2 in truth, 3 predicted, 2 groups",
        ),
        (lambda: moment_scores([], []), "there is a query, and a window of it counts, however: 0 queries, top=10"),
        (
            lambda: moment_scores(ONE, ONE, top=0),
            "there is a query, and a window of it counts, however: 1 queries, top=0",
        ),
        (
            lambda: moment_scores(ONE * 2, ONE * 2, happens=[1.0, 1.5]),
            "happens is a probability, however: 1.5 for query 1",
        ),
        (
            lambda: moment_difference(moment_scores(ONE, ONE), moment_scores(ONE, [[]]), "mIoU"),
            "two scores are compared on the same queries, however: 1 of 1 and 0 of 1 have an answer",
        ),
        (
            lambda: moment_difference(moment_scores(ONE, ONE), moment_scores(ONE, ONE), "R1"),
            "a figure is one of R1@0.3, R1@0.5, R1@0.7, R5@0.3, R5@0.5, R5@0.7, mIoU, mAP, mAP@0.5, mAP@0.75, "
            'however: "R1"',
        ),
    ],
)
def test_what_cannot_be_scored_is_refused_in_one_sentence(call, said):
    with pytest.raises(InputError) as raised:
        call()
    assert str(raised.value) == said
