"""Lines by stream: whose rows they are fitted on, and what each row is told."""

import numpy as np
import torch

from intermodal.data.samples import Samples
from intermodal.find.moment_lines import fit_lines
from intermodal.find.text_line import TextLine


def made(n: int = 24) -> tuple[list[str], Samples, np.ndarray, list[np.ndarray]]:
    rng = np.random.default_rng(0)
    videos, texts, spans = [], [], []
    for _ in range(n):
        frames, sign, start = 0.3 * rng.normal(size=(9, 3)), int(rng.integers(3)), int(rng.integers(1, 6))
        frames[start : start + 3, sign] += 3
        videos.append(frames)
        texts.append(f"the {('red', 'green', 'blue')[sign]} light")
        spans.append(np.array([[start, start + 3.0]]))
    sounds = [None, *rng.normal(size=(n - 1, 4, 2))]
    return texts, Samples({"v": videos, "s": sounds, "where": rng.normal(size=(n, 7))}), np.arange(n), spans


def test_rows_to_learn_from_are_told_what_others_videos_say_and_new_rows_what_all_do() -> None:
    texts, samples, videos, spans = made()
    rows = np.arange(3, 20)
    lines, directions = fit_lines(texts, samples, videos, spans, rows)
    assert list(lines) == ["v", "s"] and directions["v"].shape == (24, 3) and directions["s"].shape == (24, 2)
    films = np.split(samples.modality("v").values, 24)
    line, crossed = TextLine.fit([texts[i] for i in rows], films, videos[rows], [spans[i] for i in rows])
    np.testing.assert_allclose(directions["v"][rows], crossed)
    rest = [0, 1, 2, 20, 21, 22, 23]
    np.testing.assert_allclose(directions["v"][rest], line.directions([texts[i] for i in rest]))
    assert abs(directions["v"][rows] - lines["v"].directions([texts[i] for i in rows])).max() > 1e-6
    assert [int(d.argmax()) for d in directions["v"][rest]] == [
        ("red", "green", "blue").index(texts[i].split()[1]) for i in rest
    ]


def test_there_is_no_line_without_texts_nor_for_a_stream_that_nobody_learns_from() -> None:
    texts, samples, videos, spans = made()
    assert fit_lines([], samples, videos, spans, np.arange(24)) == ({}, {})
    lines, _ = fit_lines(texts, samples, videos, spans, np.array([0]))
    assert list(lines) == ["v"]


def test_groups_keep_their_videos_together() -> None:
    texts, samples, videos, spans = made()
    _, apart = fit_lines(texts, samples, videos, spans, videos)
    _, together = fit_lines(texts, samples, videos, spans, videos, groups=np.arange(24) // 6)
    assert not torch.equal(torch.from_numpy(apart["v"]), torch.from_numpy(together["v"]))
