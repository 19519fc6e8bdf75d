"""`localize` says when it happens, in one video or in several, or that it does not."""

import json

import numpy as np
import pytest

from intermodal.cli import demo_moments, localizing
from intermodal.find.digit_films import digit_videos
from intermodal.find.loading import load
from intermodal.find.moments import MomentLocalizer

FPS = 2.0


@pytest.fixture(scope="session")
def localizer(tmp_path_factory):
    made = digit_videos("easy", 701, absent=0.2)
    finder = MomentLocalizer(d_model=32, n_layers=1, max_epochs=7)
    folder = tmp_path_factory.mktemp("moments") / "model"
    finder.fit(made.samples, made.queries, made.spans, fps=FPS).save(folder)
    return folder


@pytest.fixture(scope="session")
def tested():
    return digit_videos("easy", 11, part="test", seed=3)


@pytest.fixture(scope="session")
def videos(tested, localizer):
    path = localizer.parent / "videos.npz"
    frames = tested.samples.modality("video").values.reshape(11, 32, 64)
    np.savez(path, video=frames, id=np.array([f"film {i}" for i in range(11)]))
    return path


@pytest.fixture(scope="session")
def video(tested, localizer):
    path = localizer.parent / "video.npz"
    np.savez(path, video=tested.samples.modality("video").values[:32])
    return path


def overlap(a, b):
    return max(0, min(a[1], b[1]) - max(a[0], b[0])) / (max(a[1], b[1]) - min(a[0], b[0]))


def test_one_video_without_a_batch_axis_gives_the_right_seconds_and_a_picture(typed, localizer, video, tested):
    said = typed("localize", localizer, video, tested.queries[0])
    assert (said.code, said.err) == (0, "")
    [line] = [line for line in said.out.splitlines() if line.startswith("Seconds")]
    start, end = map(float, line.removeprefix("Seconds").split(" to "))
    assert overlap((start, end), tested.spans[0][0]) >= 0.5
    assert "── When it fits" in said.out and "├" in said.out and set("▅▆▇█") & set(said.out)
    assert f"{start:.2f}" in next(line for line in said.out.splitlines() if line.startswith("answer 1"))


def test_json_says_what_the_model_says(typed, localizer, videos, tested):
    query = tested.queries[4]
    told = typed("localize", localizer, videos, query, "--row", 4, "--json").json
    [found] = load(localizer).predict(tested.samples, [query], videos=[4], top=3)
    assert told["query"] == query
    [answer] = told["answers"]
    assert answer["video"] == "film 4"
    assert [[m["start"], m["end"]] for m in answer["moments"]] == found.spans.tolist()
    assert answer["happens"] == pytest.approx(found.happens)


def test_an_id_picks_the_same_video_as_its_row(typed, localizer, videos, tested):
    by_row, by_id = (
        typed("localize", localizer, videos, tested.queries[4], *which, "--json").json
        for which in (("--row", 4), ("--id", "film 4"))
    )
    assert by_row == by_id


def test_several_videos_are_listed_by_how_likely_it_happens_there(typed, localizer, videos, tested):
    told = typed("localize", localizer, videos, "when does a seven appear", "--json").json
    sure = [answer["happens"] for answer in told["answers"]]
    assert len(sure) == 11 and sure == sorted(sure, reverse=True)
    has_seven = [7 in tested.digits[int(answer["video"].split()[1])] for answer in told["answers"]]
    n = sum(has_seven)
    assert 0 < n < 11 and np.mean(has_seven[:n]) > np.mean(has_seven[n:])
    out = typed("localize", localizer, videos, "when does a seven appear").out
    assert "── The likeliest 5 of 11 videos" in out and f"Video    {told['answers'][0]['video']}" in out


def test_what_does_not_happen_is_said_so(typed, localizer, videos, tested):
    found = [load(localizer).predict(tested.samples, ["find the part with a two"], videos=[i])[0] for i in range(11)]
    absent = [i for i in range(11) if 2 not in tested.digits[i]]
    row = min(absent, key=lambda i: found[i].happens)
    assert found[row].happens < localizing.LIKELY
    out = typed("localize", localizer, videos, "find the part with a two", "--row", row).out
    assert "Answer   it does not happen" in out and "at best 1" in out


def test_a_report_shows_who_was_looked_at_when(typed, localizer, video, tmp_path):
    said = typed("localize", localizer, video, "where is the seven", "-o", "why.html")
    assert said.code == 0 and "why.html" in said.err
    page = (tmp_path / "why.html").read_text()
    assert "Which word is looked at when" in page and 'class="curve"' in page
    assert typed("localize", localizer, video, "where is the seven", "-o", "why.json", "--json").code == 0
    tracks = json.loads((tmp_path / "why.json").read_text())["blocks"][-4:]
    assert [track["title"] for track in tracks] == ["1. where", "2. is", "3. the", "4. seven"]
    looks = np.array([track["values"] for track in tracks])
    [found] = load(localizer).predict({"video": [np.load(video)["video"]]}, ["where is the seven"])
    np.testing.assert_allclose(looks, found.timeline.attention, atol=1e-6)
    assert looks.shape == (4, 32) and (looks.sum(0) <= 1 + 1e-6).all()
    assert tracks[3]["spans"][0]["start"] == pytest.approx(found.spans[0, 0])


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["wann kommt sieben"], "a query holds a word that the model was fitted on, however"),
        (["  ?! "], "a query holds a word"),
        (["a seven", "--row", 11], "--row is below the number of videos, 11, however: 11"),
        (["a seven", "--id", "film 40"], '--id is the id of a video, however: "film 40"; did you mean "film 4'),
        (["a seven", "-o", "why.docx"], "the output must end in one of"),
    ],
)
def test_wrong_input_is_one_sentence_and_code_2(typed, localizer, videos, words, problem):
    said = typed("localize", localizer, videos, *words)
    assert said.code == 2 and said.out == ""
    assert said.err.startswith("error: ") and problem in said.err and said.err.count("\n") == 1


def test_a_model_of_another_kind_is_named(typed, model, videos):
    said = typed("localize", model, videos, "a seven")
    assert said.code == 2
    assert f'this needs a MomentLocalizer, however: "{model}" holds a FusionClassifier' in said.err


def test_a_localizer_is_refused_where_an_estimator_is_needed(typed, localizer, videos):
    said = typed("predict", localizer, videos)
    assert said.code == 2 and "holds a MomentLocalizer" in said.err


def test_a_file_without_ids_has_none_to_ask_for(typed, localizer, video):
    said = typed("localize", localizer, video, "a seven", "--id", "x")
    assert said.code == 2 and "--id needs ids in the data" in said.err


def test_a_clock_stands_beside_seconds_beyond_a_minute():
    assert localizing._when((4.5, 10.25)) == "4.50 to 10.25"
    assert localizing._when((59.0, 3723.25)) == "59.00 to 3723.25 (0:59 to 1:02:03)"


@pytest.mark.parametrize("seed", [0, 1])
def test_the_demo_asks_about_a_seven_that_is_there(seed):
    video, truth = demo_moments._with_a_seven(seed)
    again = digit_videos("easy", 50, part="test", seed=seed)
    frames = again.samples.modality("video").values.reshape(50, 32, 64)
    [row] = [i for i in range(50) if np.array_equal(frames[i], video)]
    assert 7 in again.digits[row][1:-1] and again.digits[row].count(7) == 1
    np.testing.assert_array_equal(again.spans[row], truth)


def test_a_stream_that_is_missing_is_told(typed, tmp_path):
    made = digit_videos("easy", 41)
    frames = made.samples.modality("video").values.reshape(41, 32, 64)
    finder = MomentLocalizer(d_model=16, n_layers=1, max_epochs=1)
    finder.fit({"video": frames, "sound": frames[:, :, :5]}, made.queries, made.spans, fps=FPS).save(tmp_path / "both")
    np.savez(tmp_path / "silent.npz", video=frames[:3])
    said = typed("localize", "both", "silent.npz", made.queries[0], "--row", 0)
    assert said.code == 0 and said.err.startswith('note: "sound" is not in the data and counts as missing')
