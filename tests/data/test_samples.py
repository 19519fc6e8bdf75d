"""Samples: what they accept, what they refuse and in which words, and that slicing is what a loop would do."""

from __future__ import annotations

import pickle
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score, train_test_split

from intermodal.data.modality import Modality
from intermodal.data.packing import pack
from intermodal.data.samples import Samples, rows_of
from intermodal.errors import DataError, DataWarning

NAN, INF = float("nan"), float("inf")


def items(modality: Modality) -> list:
    """Read a modality back by the plainest loop: one nested list, or None, per sample."""
    found = []
    for i in range(len(modality)):
        if not modality.present[i]:
            found.append(None)
        elif modality.offsets is None:
            found.append(modality.values[i].tolist())
        else:
            found.append(modality.values[modality.offsets[i] : modality.offsets[i + 1]].tolist())
    return found


def three() -> Samples:
    return Samples(
        {"text": [[1, 2], [3, 4], None], "audio": [[[5], [6], [7]], None, [[8], [9]]]},
        y=["yes", "no", "yes"],
        groups=[7, 7, 5],
        split=["train", "val", "test"],
        ids=["a", "b", "c"],
        target="answer",
    )


# What is accepted


@pytest.mark.parametrize(
    "content",
    [
        np.array([[1.0, 2.0], [NAN, NAN], [3.0, 4.0]]),
        [[1.0, 2.0], None, [3.0, 4.0]],
        [np.array([1.0, 2.0]), np.array([NAN, NAN]), np.array([3.0, 4.0])],
        [torch.tensor([1.0, 2.0]), None, torch.tensor([3.0, 4.0])],
        [[1.0, 2.0], [], [3.0, 4.0]],
        [[1.0, 2.0], NAN, [3.0, 4.0]],
        torch.tensor([[1.0, 2.0], [NAN, NAN], [3.0, 4.0]], requires_grad=True),
        torch.tensor([[1.0, 2.0], [NAN, NAN], [3.0, 4.0]], dtype=torch.bfloat16),
        np.array([[1, 2], [None, None], [3, 4]], dtype=object),
        np.ma.masked_array([[1, 2], [9, 9], [3, 4]], mask=[[0, 0], [1, 1], [0, 0]]),
        np.array([[1, 2], [NAN, NAN], [3, 4]], dtype=np.float16),
        np.array([[1, 2], [NAN, NAN], [3, 4]], dtype=">f8"),
    ],
)
def test_a_vector_reads_the_same_in_every_spelling(content):
    packed = Samples({"text": content}).modality("text")
    assert packed.kind == "vector" and packed.width == 2 and packed.offsets is None
    assert items(packed) == [[1.0, 2.0], None, [3.0, 4.0]]
    assert packed.values[1].tolist() == [0.0, 0.0]
    assert packed.values.dtype in (np.float32, np.float64) and packed.values.dtype.isnative


def ragged_object() -> np.ndarray:
    array = np.empty(3, dtype=object)
    array[:] = [np.array([[1.0], [2.0]]), None, np.array([[3.0]])]
    return array


@pytest.mark.parametrize(
    "content",
    [
        [[[1.0], [2.0]], None, [[3.0]]],
        [np.array([[1.0], [2.0]]), np.zeros((0, 1)), np.array([[3.0]])],
        [torch.tensor([[1.0], [2.0]]), None, torch.tensor([[3.0]])],
        [[[1.0], [2.0]], [], [[3.0]]],
        ragged_object(),
        np.array([[[1.0], [2.0]], [[NAN], [NAN]], [[3.0], [NAN]]]),
        pack("audio", [[[1.0], [2.0]], None, [[3.0]]]),
    ],
)
def test_a_sequence_reads_the_same_in_every_spelling(content):
    packed = Samples({"audio": content}).modality("audio")
    assert packed.kind == "sequence" and packed.offsets.tolist() == [0, 2, 2, 3]
    assert items(packed) == [[[1.0], [2.0]], None, [[3.0]]]
    assert packed.token_present is None


def test_lengths_and_presence_of_a_padded_block_are_honoured():
    block = np.arange(30.0).reshape(3, 5, 2)
    packed = pack("video", block, lengths=[5, 0, 2])
    assert packed.lengths.tolist() == [5, 0, 2] and packed.present.tolist() == [True, False, True]
    assert packed.values[-1].tolist() == block[2, 1].tolist()
    assert pack("video", block, present=[True, False, True]).lengths.tolist() == [5, 0, 5]
    by_token = pack("video", block[:1], present=np.array([[False, True, False, True, False]]))
    assert by_token.lengths.tolist() == [4] and by_token.token_present.tolist() == [False, True, False, True]


def test_what_stands_in_padding_and_in_missing_samples_is_never_looked_at():
    block = np.array([[[1.0], [INF]], [[NAN], [INF]]])
    packed = pack("video", block, lengths=[1, 0])
    assert items(packed) == [[[1.0]], None]
    assert items(pack("text", np.array([[1.0], [INF]]), present=[1, 0])) == [[1.0], None]


def test_a_token_wholly_nan_is_absent_and_holds_zero():
    packed = pack("audio", [[[1.0, 2.0], [NAN, NAN], [3.0, 4.0]], [[NAN, NAN]]])
    assert packed.token_present.tolist() == [True, False, True]
    assert packed.values.tolist() == [[1.0, 2.0], [0.0, 0.0], [3.0, 4.0]]
    assert packed.present.tolist() == [True, False] and packed.lengths.tolist() == [3, 0]


@pytest.mark.parametrize(
    ("dtype", "kept"),
    [("f2", "f4"), ("f4", "f4"), ("f8", "f8"), ("i1", "f4"), ("u2", "f4"), ("?", "f4"), ("i8", "f4")],
)
def test_numbers_become_float32_and_float64_stays(dtype, kept):
    assert pack("text", np.ones((3, 2), dtype=dtype)).values.dtype == np.dtype(kept)


def test_whole_numbers_too_large_for_float32_stay_exact():
    big = np.array([[2**24 + 1], [-5]])
    assert pack("text", big).values.tolist() == big.tolist()


def test_a_nan_in_a_vector_stays_where_the_user_chose_so():
    samples = Samples({"text": [[1.0, NAN], [NAN, NAN], [2.0, 3.0]]}, nan="impute")
    assert samples.has_nan and samples.modality("text").present.tolist() == [True, False, True]
    assert np.isnan(samples.modality("text").values).tolist() == [[False, True], [False, False], [False, False]]
    assert not three().has_nan


def test_a_plain_array_is_the_modality_table():
    assert Samples.of(np.ones((5, 3))).shape == (5, 1)
    assert Samples.of(torch.ones(5, 3)).names == ("table",)
    assert Samples.of([[1, 2], [3, 4]]).modality("table").width == 2
    samples = three()
    assert Samples.of(samples) is samples
    assert Samples.of({"text": np.ones((5, 3))}).names == ("text",)


def test_a_modality_none_for_all_is_left_out_with_a_warning():
    with pytest.warns(DataWarning, match='^modality "audio" is None for every sample and is left out$'):
        samples = Samples({"text": np.ones((2, 3)), "audio": [None, None]})
    assert samples.names == ("text",)


def test_y_keeps_nan_and_texts_become_texts():
    x = {"text": np.ones((3, 2))}
    assert np.isnan(Samples(x, y=[1.0, NAN, 0.0]).y).tolist() == [False, True, False]
    assert np.isnan(Samples(x, y=[1, None, 0]).y).tolist() == [False, True, False]
    assert Samples(x, y=np.array(["a", "b", "a"], dtype=object)).y.dtype.kind == "U"
    assert Samples(x, y=torch.tensor([1, 2, 3])).y.tolist() == [1, 2, 3]
    assert Samples(x, y=np.ones((3, 5))).y.shape == (3, 5)
    assert Samples(x, y=np.array([True, False, True], dtype=object)).y.dtype == bool


# What is refused, in these words


class Strange:
    """Of no use as data."""


def sparse():
    from scipy.sparse import csr_array

    return csr_array(np.eye(3))


REFUSED = [
    (
        {"text": np.ones((7, 2)), "audio": np.ones((5, 3))},
        'all modalities must have the same number of samples, however: "text" has 7, "audio" has 5',
    ),
    ({}, "samples must have at least one modality, however: there is none"),
    ({"text": [None, None]}, "samples must have at least one modality, however: all are None for every sample"),
    ({"text": np.ones((0, 3))}, "there must be at least one sample, however: there is none"),
    ({3: np.ones((5, 2))}, "a modality must be named by a text, however: the name is 3"),
    (
        {"age": np.ones(5)},
        'modality "age" must be an array (N, D) or (N, T, D), however: its shape is (5,); write age.reshape(-1, 1)',
    ),
    (
        {"age": [1, 2, 3]},
        'modality "age" must be an array (N, D) or (N, T, D), however: its shape is (3,); write age.reshape(-1, 1)',
    ),
    (
        {"video": np.ones((2, 3, 5, 7))},
        'modality "video" must be an array (N, D) or (N, T, D), however: its shape is (2, 3, 5, 7)',
    ),
    (
        {"text": np.ones((3, 2), dtype=complex)},
        'modality "text" must hold real numbers, however: its dtype is complex128',
    ),
    ({"text": np.array([["a"], ["b"]])}, 'modality "text" must hold real numbers, however: its dtype is <U1'),
    (
        {"text": np.array([["a", 1], ["b", 2]], dtype=object)},
        'modality "text" must hold real numbers, however: its dtype is object; '
        "encode texts and categories as numbers, or pass a DataFrame",
    ),
    (
        {"text": ["hello", "you"]},
        'modality "text" must be an array (N, D) or (N, T, D), however: its shape is (2,); write text.reshape(-1, 1)',
    ),
    (
        {"text": "hello"},
        'modality "text" must be an array (N, D) or (N, T, D) or a list with one array per sample, '
        "however: it is of type str",
    ),
    (
        {"text": Strange()},
        'modality "text" must be an array (N, D) or (N, T, D) or a list with one array per sample, '
        "however: it is of type Strange",
    ),
    ({"text": sparse()}, 'modality "text" must be a dense array, however: it is sparse; write text.toarray()'),
    ({"text": np.ones((3, 0))}, 'modality "text" must have at least one column, however: an array of shape (3, 0)'),
    (
        {"text": [[1, 2], None, [3, 4, 5]]},
        'the samples of modality "text" must agree in axes and width, however: '
        "sample 0 has the shape (2,), sample 2 has (3,)",
    ),
    (
        {"text": [[[1, 2]], [3, 4]]},
        'the samples of modality "text" must agree in axes and width, however: '
        "sample 0 has the shape (1, 2), sample 1 has (2,)",
    ),
    (
        {"text": [[[1, 2]], [[3, 4], [5]]]},
        'each sample of modality "text" must be an array (D,) or (T, D) of numbers, however: '
        "sample 1 is ragged or holds something else",
    ),
    (
        {"text": [np.ones((2, 3, 5))]},
        'each sample of modality "text" must be an array (D,) or (T, D), however: sample 0 has the shape (2, 3, 5)',
    ),
    (
        {"text": [np.ones(2, dtype=complex)]},
        'modality "text" must hold real numbers, however: sample 0 has the dtype complex128',
    ),
    (
        {"text": [[], None]},
        'modality "text" must be there for at least one sample, however: all are None or empty',
    ),
    (
        {"text": [[1.0, 2.0], [3.0, NAN]]},
        'a vector must be wholly NaN (missing) or free of NaN, however: sample 1 of modality "text" holds NaN '
        'in column 1; choose nan="impute" to have such places filled',
    ),
    (
        {"audio": [[[1.0, 2.0]], None, [[3.0, 4.0], [NAN, 5.0]]]},
        "a vector must be wholly NaN (missing) or free of NaN, however: token 1 of sample 2 of modality "
        '"audio" holds NaN in column 0; choose nan="impute" to have such places filled',
    ),
    (
        {"text": np.array([[1.0, 2.0], [-INF, 3.0]])},
        'values must be finite, however: sample 1 of modality "text" holds -inf in column 0',
    ),
]


@pytest.mark.parametrize(("modalities", "sentence"), REFUSED)
def test_what_cannot_be_used_is_refused_in_one_sentence(modalities, sentence):
    with pytest.raises(DataError) as caught:
        Samples(modalities)
    assert str(caught.value) == sentence
    assert isinstance(caught.value, ValueError)


def test_infinity_is_refused_even_when_nan_is_imputed():
    with pytest.raises(DataError, match=re.escape('token 0 of sample 1 of modality "a" holds inf in column 1')):
        Samples({"a": [[[1.0, NAN]], [[2.0, INF]]]}, nan="impute")


def test_a_named_column_is_named_in_the_error():
    with pytest.raises(DataError, match='sample 0 of modality "clinical" holds NaN in column "age";'):
        pack("clinical", np.array([[NAN, 1.0]]), columns=["age", "weight"])


@pytest.mark.parametrize(
    ("beside", "sentence"),
    [
        ({"y": [1, 2]}, "y must hold one value per sample, however: its shape is (2,) for 3 samples"),
        ({"y": np.ones((3, 2, 1))}, "y must hold one value per sample, however: its shape is (3, 2, 1) for 3 samples"),
        ({"y": [[1], [2, 3], [4]]}, "y must hold one value per sample, however: it is ragged"),
        ({"groups": [1] * 4}, "groups must hold one value per sample, however: its shape is (4,) for 3 samples"),
        ({"ids": [[1]] * 3}, "ids must hold one value per sample, however: its shape is (3, 1) for 3 samples"),
        (
            {"split": ["train", "test", "later"]},
            'split must hold "train", "valid" or "test", however: it holds "later"',
        ),
        ({"nan": "drop"}, 'nan must be "error" or "impute", however: nan=\'drop\''),
    ],
)
def test_what_stands_beside_is_checked_too(beside, sentence):
    with pytest.raises(DataError) as caught:
        Samples({"text": np.ones((3, 2))}, **beside)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"lengths": [1, 2]}, 'lengths of modality "v" must be 3 whole numbers, however: dtype=int64, shape=(2,)'),
        ({"lengths": [1, 6, 2]}, 'lengths of modality "v" must lie between 0 and 5, however: sample 1 has 6'),
        (
            {"present": [1.0, 0.5, 0.0]},
            'present of modality "v" must be bool of shape (3,), however: dtype=float64, shape=(3,)',
        ),
        (
            {"present": np.ones((3, 4), bool)},
            'present of modality "v" must be bool of shape (3, 5), however: dtype=bool, shape=(3, 4)',
        ),
        ({"columns": ["a"]}, 'columns must name every column of modality "v", however: 1 names for 2 columns'),
    ],
)
def test_lengths_presence_and_columns_must_fit(arguments, sentence):
    with pytest.raises(DataError) as caught:
        pack("v", np.ones((3, 5, 2)), **arguments)
    assert str(caught.value) == sentence


def test_lengths_without_a_block_are_refused():
    with pytest.raises(DataError) as caught:
        pack("v", np.ones((3, 5)), lengths=[1, 2, 3])
    assert (
        str(caught.value)
        == 'lengths must come with an array (N, T, D), however: modality "v" is an array of shape (3, 5)'
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"width": 3}, 'the values of modality "a" must be (rows, width), however: shape=(3, 1), width=3'),
        ({"kind": "vector"}, 'a sequence must have offsets and a vector none, however: "a" is a vector'),
        (
            {"offsets": np.array([0, 2, 4])},
            'the offsets of modality "a" must rise from 0 to 3 in 3 steps, however: 3 offsets',
        ),
        (
            {"kind": "vector", "offsets": None},
            'present of modality "a" must hold 3 flags, however: it holds 2',
        ),
    ],
)
def test_a_modality_made_by_hand_is_checked(changes, sentence):
    fields = {
        "name": "a", "kind": "sequence", "width": 1, "values": np.ones((3, 1)),
        "offsets": np.array([0, 2, 3]), "present": np.array([True, True]),
    }  # fmt: skip
    assert len(Samples({"a": Modality(**fields)})) == 2
    with pytest.raises(DataError) as caught:
        Samples({"a": Modality(**(fields | changes))})
    assert str(caught.value) == sentence


def test_samples_of_something_else_is_refused():
    with pytest.raises(DataError) as caught:
        Samples.of("text")
    assert str(caught.value) == (
        "samples must be a mapping name -> array, a DataFrame, an Arrow table, Samples or a 2-D array, "
        "however: the type is str"
    )
    with pytest.raises(DataError) as caught:
        Samples([1, 2])
    assert str(caught.value) == (
        "modalities must be a mapping name -> array, however: the type is list; "
        "Samples.of(X) takes DataFrames and plain arrays"
    )


def test_an_unknown_modality_gets_a_suggestion():
    with pytest.raises(DataError) as caught:
        three().modality("audoi")
    assert (
        str(caught.value) == "name must be a modality of these samples, however: name='audoi'; did you mean \"audio\"?"
    )


# Slicing


@st.composite
def samples_and_rows(draw):
    n = draw(st.integers(1, 11))
    lengths = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n).filter(any))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    audio = [rng.normal(size=(t, 2)) if t else None for t in lengths]
    for a in audio:
        if a is not None and len(a) > 1 and rng.random() < 0.5:
            a[rng.integers(len(a))] = NAN
    text = rng.normal(size=(n, 3))
    text[rng.random(n) < 0.3] = NAN
    samples = Samples({"text": text, "audio": audio}, y=np.arange(n), ids=[f"s{i}" for i in range(n)])
    index = st.integers(-n, n - 1)
    rows = draw(
        st.one_of(
            index,
            st.slices(n),
            st.lists(index, max_size=17),
            st.lists(st.booleans(), min_size=n, max_size=n).map(np.array),
        )
    )
    return samples, rows


@given(samples_and_rows())
@settings(max_examples=200, deadline=None)
def test_slicing_is_what_a_loop_over_samples_would_do(case):
    samples, rows = case
    chosen = np.atleast_1d(np.arange(len(samples))[np.asarray(rows, int) if isinstance(rows, list) else rows])
    cut = samples[rows]
    assert len(cut) == len(chosen) and cut.y.tolist() == chosen.tolist()
    assert cut.ids.tolist() == [f"s{i}" for i in chosen]
    for name in samples.names:
        whole, part = samples.modality(name), cut.modality(name)
        assert items(part) == [items(whole)[i] for i in chosen]
        if whole.token_present is not None:
            spans = [whole.token_present[whole.offsets[i] : whole.offsets[i + 1]] for i in chosen]
            assert part.token_present.tolist() == [flag for span in spans for flag in span]


def test_a_slice_copies_nothing():
    samples = Samples({"text": np.ones((7, 2)), "audio": np.ones((7, 3, 2))})
    cut = samples[2:5]
    for name in samples.names:
        assert np.shares_memory(cut.modality(name).values, samples.modality(name).values)


def test_nothing_in_samples_can_be_written_to():
    for samples in (three(), three()[[0, 2]], three()[1:]):
        for name in samples.names:
            m = samples.modality(name)
            for array in (m.values, m.present, m.offsets, m.token_present):
                assert array is None or not array.flags.writeable
        for array in (samples.y, samples.groups, samples.split, samples.ids):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = array[1]
        with pytest.raises(AttributeError):
            samples.y = None


def test_the_callers_own_array_stays_writable_and_unchanged():
    mine = np.array([[1.0, 2.0], [NAN, NAN]])
    Samples({"text": mine})
    mine[0, 0] = 5.0
    assert np.isnan(mine[1]).all()


@pytest.mark.parametrize(
    ("rows", "error", "sentence"),
    [
        (3, IndexError, "a position must be below 3, however: 3"),
        ([0, -4], IndexError, "a position must be below 3, however: -4"),
        ([True, False], DataError, "an array of bools must have one per sample, however: 2 for 3 samples"),
        (
            "audio",
            DataError,
            "samples are picked by position, however: 'audio'; for a modality write .modality(\"audio\")",
        ),
        (
            [0.5],
            DataError,
            "samples are picked by a position, a slice, or an array of positions or bools, however: "
            "dtype=float64, shape=(1,)",
        ),
    ],
)
def test_rows_that_are_not_there_are_refused(rows, error, sentence):
    with pytest.raises(error) as caught:
        rows_of(rows, 3)
    assert str(caught.value) == sentence


def test_iterating_ends_and_yields_single_samples():
    assert [s.y.tolist() for s in three()] == [["yes"], ["no"], ["yes"]]


def test_no_rows_give_no_samples():
    assert len(three()[[]]) == 0 and len(three()[:0]) == 0
    assert three()[[]].modality("audio").width == 1


def test_only_and_without_choose_modalities():
    samples = three()
    assert samples.only("audio", "text").names == ("audio", "text")
    assert samples.without("text").names == ("audio",)
    assert samples.only("audio").y is samples.y
    with pytest.raises(DataError, match=r"^at least one modality must remain, however: without\(\) was given all"):
        samples.without("text", "audio")
    with pytest.raises(DataError, match=r"^only\(\) must be given one or more different names, however: names="):
        samples.only("text", "text")


def test_with_y_replaces_y_and_leaves_the_rest():
    samples = three()
    other = samples.with_y([3.0, 2.0, 5.0], target="price")
    assert other.y.tolist() == [3.0, 2.0, 5.0] and other.target == "price" and other.groups is samples.groups
    assert samples.y.tolist() == ["yes", "no", "yes"] and samples.with_y(None).y is None


def test_the_repr_says_what_is_there():
    assert repr(three()) == (
        'Samples(3 samples, 2 modalities, y "answer": 2 values, 2 groups, 1 train, 1 valid, 1 test)\n'
        "  text   vector of 2, 1 of 3 missing\n"
        "  audio  sequence of 2 to 3 x 1, 1 of 3 missing"
    )


def test_samples_survive_pickling():
    samples = pickle.loads(pickle.dumps(three()))
    assert items(samples.modality("audio")) == [[[5.0], [6.0], [7.0]], None, [[8.0], [9.0]]]


def test_samples_are_not_silently_made_into_an_array():
    with pytest.raises(TypeError, match=r"^samples with several modalities are not one array"):
        np.asarray(three())


# scikit-learn


class Nearest(ClassifierMixin, BaseEstimator):
    """Say the class whose mean of the text vector is nearest; enough to prove that the rows arrive together."""

    def __init__(self, shift: float = 0.0):
        self.shift = shift

    def fit(self, X, y):
        assert isinstance(X, Samples) and np.array_equal(X.y, y)
        self.classes_ = np.unique(y)
        values = X.modality("text").values
        self.means_ = np.stack([values[y == c].mean(axis=0) + self.shift for c in self.classes_])
        return self

    def predict(self, X):
        apart = X.modality("text").values[:, None] - self.means_
        return self.classes_[(apart**2).sum(axis=2).argmin(axis=1)]


def test_samples_work_as_x_in_scikit_learn():
    rng = np.random.default_rng(3)
    y = np.arange(59) % 3
    samples = Samples(
        {"text": rng.normal(size=(59, 5)) * 0.1 + y[:, None], "audio": [np.ones((i % 7, 2)) for i in range(59)]}, y=y
    )
    assert cross_val_score(Nearest(), samples, y, cv=5).min() == 1.0
    assert cross_val_score(Nearest(), samples, y, groups=np.arange(59) // 3, cv=GroupKFold(3)).min() == 1.0
    train, test, y_train, y_test = train_test_split(samples, y, random_state=0, stratify=y)
    assert np.array_equal(train.y, y_train) and np.array_equal(test.y, y_test) and len(test) == 15
    assert GridSearchCV(Nearest(), {"shift": [0.0, 50.0]}).fit(samples, y).best_params_ == {"shift": 0.0}
