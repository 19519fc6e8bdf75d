"""`search` finds clips by words, clips by clips and texts by clips, and shows what it finds as data."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from intermodal.cli import main
from intermodal.find import journal
from intermodal.find.digit_scenes import digit_clips
from intermodal.find.retriever import FusionRetriever

N = 23
MADE = digit_clips(N, frames=12, seed=3)
HOSTILE = "[bold red]x[/]\x1b[31m"
IDS = [HOSTILE if i == 4 else f"clip {i}" for i in range(N)]
VIDEO = [MADE.samples[[i]].modality("video").values.tolist() for i in range(N)]


@pytest.fixture(scope="module")
def retriever():
    made = digit_clips(40, frames=12)
    options = {"d_model": 8, "d_embed": 11, "n_heads": 2, "max_epochs": 2, "reranker": True, "top_k": 7}
    return FusionRetriever(**options).fit(made.samples, made.texts)


@pytest.fixture(scope="module")
def room(tmp_path_factory, retriever):
    """A model, the clips, an index of them and one of their texts."""
    at = tmp_path_factory.mktemp("room")
    retriever.save(at / "model")
    columns = {"id": IDS, "video": VIDEO, "caption": MADE.texts, "film": [f"f{i // 3}" for i in range(N)]}
    columns |= {"year": [2000 + i % 5 for i in range(N)], "good": [i % 2 == 0 for i in range(N)]}
    columns["note"] = [HOSTILE if i % 2 else None for i in range(N)]
    pyarrow.parquet.write_table(pa.table(columns), at / "clips.parquet")
    meta = [word for key in ("film", "year", "good", "note") for word in ("--meta", key)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "SYNC", "OFF")
        given = [str(at / "model"), str(at / "clips.parquet")]
        assert main(["index", *given, "-o", str(at / "clips.index"), *meta]) == 0
        assert main(["index", *given, "-o", str(at / "texts.index"), "--text", "caption"]) == 0
    return at


@pytest.fixture
def search(typed, room):
    return lambda *words, index="clips.index": typed("search", room / "model", room / index, *words)


def ids(said):
    assert said.code == 0, said.err
    return [hit["id"] for hit in said.json["hits"]]


def ranked(retriever, query, k, **more):
    return [IDS[i] for i in retriever.rank([query], MADE.samples, k=k, **more).rows[0]]


def test_words_find_the_clips_that_the_model_ranks_first(search, retriever):
    query = MADE.texts[7]
    assert ids(search(query, "-k", 5, "--json")) == ranked(retriever, query, 5)
    assert ids(search(query, "-k", 5, "--no-rerank", "--json")) == ranked(retriever, query, 5, rerank=False)
    assert len(ids(search(query, "--json"))) == 10
    assert len(ids(search(query, "-k", 99, "--json"))) == N


def test_json_holds_ranks_ids_scores_and_metadata(search, retriever, room):
    told = search(MADE.texts[7], "-k", 3, "--no-rerank", "--json").json
    scores = retriever.embed_queries([MADE.texts[7]]) @ retriever.embed_clips(MADE.samples).T
    best = np.argsort(-scores[0])[:3]
    assert {**told, "hits": None} == {
        "model": str(room / "model"), "index": str(room / "clips.index"), "query": MADE.texts[7], "like": None,
        "holds": "clips", "n": N, "hits": None,
    }  # fmt: skip
    assert [hit["rank"] for hit in told["hits"]] == [1, 2, 3]
    np.testing.assert_allclose([hit["score"] for hit in told["hits"]], scores[0, best], atol=1e-5)
    for hit, i in zip(told["hits"], best, strict=True):
        expected = {
            "film": f"f{i // 3}",
            "year": 2000 + i % 5,
            "good": i % 2 == 0,
            **({"note": HOSTILE} if i % 2 else {}),
        }
        assert hit["metadata"] == expected


@pytest.mark.parametrize(
    ("words", "fits"),
    [
        (["year=2001"], lambda i: i % 5 == 1),
        (["year=2001", "year=2003"], lambda i: i % 5 in (1, 3)),
        (["year>=2001", "year<=2003"], lambda i: 1 <= i % 5 <= 3),
        (["film=f2", "good=true"], lambda i: i // 3 == 2 and i % 2 == 0),
        (["good=False"], lambda i: i % 2 == 1),
        (["film>=f3"], lambda i: i // 3 >= 3),
        ([f"note={HOSTILE}"], lambda i: i % 2 == 1),
        (["year=1999"], lambda i: False),
    ],
)
def test_a_filter_leaves_the_clips_that_say_so(search, words, fits):
    given = [word for pair in words for word in ("--where", pair)]
    found = ids(search(MADE.texts[7], "-k", 99, *given, "--json"))
    assert sorted(found) == sorted(IDS[i] for i in range(N) if fits(i))


def test_of_a_film_the_best_clip_alone_is_shown(search):
    told = search(MADE.texts[7], "-k", 99, "--group", "film", "--json").json
    films = [hit["metadata"]["film"] for hit in told["hits"]]
    assert sorted(films) == sorted({f"f{i // 3}" for i in range(N)})


def test_a_clip_finds_clips_like_it_and_not_itself(search, room, retriever):
    scores = retriever.embed_clips(MADE.samples[[7]]) @ retriever.embed_clips(MADE.samples).T
    order = [IDS[i] for i in np.argsort(-scores[0])]
    assert order[0] == "clip 7"
    clips = room / "clips.parquet"
    assert ids(search("--like", clips, "--id", "clip 7", "-k", 4, "--json")) == order[1:5]
    assert ids(search("--like", clips, "--row", 7, "-k", 4, "--json")) == order[1:5]


def test_a_clip_finds_the_texts_that_say_it(search, room, retriever):
    rows = retriever.rank(MADE.texts, MADE.samples[[7]], k=4, side="queries").rows[0]
    said = search("--like", room / "clips.parquet", "--row", 7, "-k", 4, "--json", index="texts.index")
    assert ids(said) == [IDS[i] for i in rows]
    assert said.json["holds"] == "queries"
    assert [hit["metadata"]["caption"] for hit in said.json["hits"]] == [MADE.texts[i] for i in rows]


def test_a_terminal_sees_a_table_in_which_names_are_data(search):
    out = search(MADE.texts[4], "-k", 23, "--no-rerank").out
    assert f"── The best 23 of {N}" in out
    assert "rank  id" in out
    assert "[bold red]x[/]␛[31m" in out
    assert "\x1b" not in out
    assert "true" in out


def test_nothing_found_is_said(search):
    out = search(MADE.texts[4], "--where", "year=1").out
    assert "── Nothing was found" in out
    assert "None of 23 is asked for." in out


REFUSED = [
    ([], "a search has a query in words, or a clip with --like, however: both or none of them are there"),
    (["a four", "--like", "clips"], "a search has a query in words, or a clip with --like, however: both or none"),
    (["a four", "-k", "0"], "Invalid value for '-k' / '--top': "),
    (["a four", "--where", "yaer=3"], 'a filter names a key of the metadata, however: "yaer"; did you mean "year"?'),
    (["a four", "--where", "year=late"], '"year" is a number in this index, however: "late"'),
    (["a four", "--where", "year=nan"], "a filter asks for texts, finite numbers or truth values, however: "),
    (["a four", "--where", "good=1"], '"good" is true or false in this index, however: "1"'),
    (["a four", "--where", "year"], '--where is KEY=VALUE, KEY>=VALUE or KEY<=VALUE, however: "year"'),
    (["a four", "--where", "=3"], '--where is KEY=VALUE, KEY>=VALUE or KEY<=VALUE, however: "=3"'),
    (["a four", "--where", "year=1", "--where", "year>=2"],
     '--where gives a key values or a range, however: "year" has both'),
    (["a four", "--where", "year>=3", "--where", "year<=2"], "the min of a range is not above its max, however: "),
    (["a four", "--group", "flim"], 'group is a key of the metadata, however: "flim"; did you mean "film"?'),
    (["zzz"], 'a query holds a word that the model was fitted on, however: none of "zzz" is'),
    ([""], "a query holds a word, however: ''"),
    (["--like", "CLIPS"], "--like needs the clip that asks: one of --row and --id, however: both or none are there"),
    (["--like", "CLIPS", "--row", "99"], "--row is below the number of clips, 23, however: 99"),
    (["--like", "CLIPS", "--id", "clip 77"], '--id is the id of a clip, however: "clip 77"; did you mean'),
]  # fmt: skip


@pytest.mark.parametrize(("words", "sentence"), REFUSED)
def test_bad_input_is_one_sentence(search, room, words, sentence):
    clips = str(room / "clips.parquet")
    said = search(*(clips if word == "CLIPS" else word for word in words))
    assert said.code == 2
    assert said.err.startswith("error: " + sentence.replace("CLIPS", clips)), said.err
    assert said.err.count("\n") == 1


def test_another_model_no_index_and_a_damaged_one_are_refused(typed, room, tmp_path):
    made = digit_clips(20, frames=12, seed=1)
    other = FusionRetriever(d_model=8, d_embed=13, n_heads=2, max_epochs=1, reranker=False).fit(
        made.samples, made.texts
    )
    other.save(tmp_path / "other")
    said = typed("search", "other", room / "clips.index", "a four")
    assert said.code == 2
    assert "the model makes vectors of 13" in said.err
    said = typed("search", room / "model", "nowhere", "a four")
    assert (said.code, said.err) == (
        2, 'error: an index is a folder that `intermodal index` wrote, however: "nowhere" is none\n'
    )  # fmt: skip
    said = typed("search", room / "clips.index", room / "clips.index", "a four")
    assert said.code == 2
    whole = (room / "clips.index" / "clips.db").read_bytes()
    (tmp_path / "half.index").mkdir()
    for name in ("acknowledged", "writer.lock"):
        (tmp_path / "half.index" / name).write_bytes((room / "clips.index" / name).read_bytes())
    (tmp_path / "half.index" / "clips.db").write_bytes(whole[: len(whole) // 2])
    said = typed("search", room / "model", "half.index", "a four", "--json")
    assert said.code == 2
    assert said.json["error"]["message"].startswith('an index is whole, however: "half.index/clips.db" is damaged (')
