"""Scaling equals a loop over cells, and a modality that changed since training is named."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermodal.data.packing import pack
from intermodal.data.samples import Modality, Samples
from intermodal.errors import DataError
from intermodal.learn.preprocess import LIMIT, Preprocessor, Scaling, apply_scaling, fit_scaling


def by_hand(cells: list[tuple[float, float]]) -> tuple[float, float]:
    """Weighted mean and standard deviation of (value, weight), cell by cell; NaN cells are left out."""
    cells = [(v, w) for v, w in cells if v == v]
    total = sum(w for _, w in cells)
    mean = sum(v * w for v, w in cells) / total
    spread = (sum(w * (v - mean) ** 2 for v, w in cells) / total) ** 0.5
    return mean, spread


def table(n: int = 11, width: int = 3, seed: int = 0) -> tuple[Modality, np.ndarray]:
    """A vector modality with holes: NaN cells, a missing row; and weights, one of them zero."""
    rng = np.random.default_rng(seed)
    values = rng.normal(3.0, 2.0, size=(n, width))
    values[2, 1] = values[5, 0] = np.nan
    rows: list[np.ndarray | None] = [None if i == 4 else values[i] for i in range(n)]
    weight = rng.uniform(0.2, 3.0, n)
    weight[7] = 0.0
    return pack("a", rows, nan="impute"), weight


def sequences(seed: int = 1) -> Modality:
    """Sequences of 3, 0, 2 and 5 tokens, one of whose tokens is missing and one cell is NaN."""
    rng = np.random.default_rng(seed)
    values = [rng.normal(-1.0, 4.0, size=(t, 2)) for t in (3, 2, 5)]
    values[0][1] = np.nan
    values[2][4, 1] = np.nan
    return pack("b", [values[0], None, values[1], values[2]], nan="impute")


def test_a_vector_is_measured_by_its_cells_and_weights() -> None:
    modality, weight = table()
    scaling = fit_scaling(modality, weight)
    for j in range(3):
        there = [i for i in range(11) if modality.present[i]]
        mean, scale = by_hand([(float(modality.values[i, j]), weight[i]) for i in there])
        assert scaling.mean[j] == pytest.approx(mean, rel=1e-12)
        assert scaling.scale[j] == pytest.approx(scale, rel=1e-12)


def test_a_sequence_is_measured_by_the_tokens_that_are_there_each_with_the_weight_of_its_sample() -> None:
    modality, weight = sequences(), np.array([2.0, 5.0, 0.5, 3.0])
    scaling = fit_scaling(modality, weight)
    assert modality.offsets is not None and modality.token_present is not None
    for j in range(2):
        cells = [
            (float(modality.values[t, j]), weight[i])
            for i in range(4)
            for t in range(modality.offsets[i], modality.offsets[i + 1])
            if modality.token_present[t]
        ]
        assert len(cells) == 9
        mean, scale = by_hand(cells)
        assert scaling.mean[j] == pytest.approx(mean, rel=1e-12)
        assert scaling.scale[j] == pytest.approx(scale, rel=1e-12)


@given(st.integers(1, 3), st.integers(0, 100))
def test_a_weight_of_two_is_the_row_twice(extra: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values, weight = rng.normal(size=(7, 2)), rng.integers(0, 3, 7).astype(float)
    weight[0] = extra
    weighted = fit_scaling(pack("a", values), weight)
    repeated = fit_scaling(pack("a", np.repeat(values, weight.astype(int), axis=0)))
    assert np.allclose(weighted.mean, repeated.mean, atol=1e-12)
    assert np.allclose(weighted.scale, repeated.scale, atol=1e-12)


def test_scaling_is_the_formula_and_a_nan_cell_becomes_the_mean() -> None:
    modality, weight = table()
    scaling = fit_scaling(modality, weight)
    scaled = apply_scaling(modality, scaling)
    assert scaled.values.dtype == np.float32
    for i in range(11):
        for j in range(3):
            value = float(modality.values[i, j])
            wanted = (value - scaling.mean[j]) / scaling.scale[j] if modality.present[i] and value == value else 0.0
            assert scaled.values[i, j] == pytest.approx(wanted, abs=1e-6)
    assert np.array_equal(scaled.present, modality.present)


def test_missing_tokens_hold_zeros_after_scaling() -> None:
    modality = sequences()
    scaled = apply_scaling(modality, fit_scaling(modality))
    assert modality.token_present is not None
    assert scaled.values[1].tolist() == [0.0, 0.0] and not modality.token_present[1]
    assert (np.abs(scaled.values[[0, 2, 3, 4]]).sum(1) > 0).all()
    assert np.array_equal(scaled.offsets, modality.offsets)  # type: ignore[arg-type]


@pytest.mark.parametrize("constant", [0.0, 0.1, -1e6, 1e30, 123456.789])
def test_a_constant_column_becomes_zeros(constant: float) -> None:
    values = np.column_stack([np.full(13, constant), np.arange(13.0)])
    modality = pack("a", values)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scaled = apply_scaling(modality, fit_scaling(modality, np.linspace(0.1, 2.3, 13)))
    assert (scaled.values[:, 0] == 0).all()
    assert np.abs(scaled.values[:, 1]).max() > 1


def test_a_column_that_was_constant_in_training_stays_zero_because_nothing_was_learned_of_it() -> None:
    scaling = fit_scaling(pack("a", np.array([[5.0, 1.0], [5.0, 3.0]])))
    assert apply_scaling(pack("a", np.array([[7.0, 3.0], [-1e9, 1.0]])), scaling).values.tolist() == [[0, 1], [0, -1]]


def test_a_narrow_column_is_no_constant() -> None:
    modality = pack("a", 1e-12 * np.array([[1.0], [2.0], [3.0]]))
    scaled = apply_scaling(modality, fit_scaling(modality))
    assert scaled.values[:, 0] == pytest.approx([-(1.5**0.5), 0.0, 1.5**0.5], rel=1e-5)


def test_a_column_that_is_nan_everywhere_becomes_zeros() -> None:
    modality = pack("a", np.array([[np.nan, 1.0], [np.nan, 3.0]]), nan="impute")
    scaling = fit_scaling(modality)
    assert apply_scaling(modality, scaling).values.tolist() == [[0.0, -1.0], [0.0, 1.0]]
    assert apply_scaling(pack("a", np.array([[9.0, 3.0]])), scaling).values.tolist() == [[0.0, 1.0]]


def test_a_wild_cell_is_cut() -> None:
    scaling = Scaling("vector", np.zeros(1), np.ones(1))
    scaled = apply_scaling(pack("a", np.array([[1e30], [-1e30], [LIMIT - 1]])), scaling)
    assert scaled.values[:, 0].tolist() == [LIMIT, -LIMIT, LIMIT - 1]


# --- what changed since training ------------------------------------------------------------------


def columned(columns: str, rows: list[list[float]]) -> Modality:
    return pack("t", np.array(rows), columns=columns.split())


def test_columns_are_aligned_by_name_whatever_their_order() -> None:
    scaling = fit_scaling(columned("age dose sex=F", [[1.0, 10.0, 0.0], [3.0, 30.0, 1.0]]))
    straight = apply_scaling(columned("age dose sex=F", [[2.0, 30.0, 1.0]]), scaling)
    shuffled = apply_scaling(columned("sex=F age dose", [[1.0, 2.0, 30.0]]), scaling)
    assert straight.values.tolist() == shuffled.values.tolist() == [[0.0, 1.0, 1.0]]
    assert shuffled.columns == ("age", "dose", "sex=F")


def test_an_unknown_category_is_no_category_and_one_that_is_absent_is_zero() -> None:
    scaling = fit_scaling(columned("age sex=F sex=M", [[1.0, 1.0, 0.0], [3.0, 0.0, 1.0]]))
    scaled = apply_scaling(columned("age sex=F sex=X", [[1.0, 0.0, 1.0], [3.0, 1.0, 0.0]]), scaling)
    assert scaled.width == 3
    assert scaled.values.tolist() == [[-1.0, -1.0, -1.0], [1.0, 1.0, -1.0]]


def test_a_column_of_numbers_that_is_gone_is_an_error() -> None:
    scaling = fit_scaling(columned("age dose", [[1.0, 10.0], [3.0, 30.0]]))
    with pytest.raises(DataError) as error:
        apply_scaling(columned("age does", [[1.0, 10.0]]), scaling)
    assert str(error.value) == '"t" has the columns of training, however: "dose" is missing; did you mean "does"?'


def test_another_width_or_kind_is_an_error() -> None:
    scaling = fit_scaling(pack("a", np.ones((2, 3))))
    with pytest.raises(DataError) as error:
        apply_scaling(pack("a", np.ones((2, 5))), scaling)
    assert str(error.value) == '"a" has 3 columns as in training, however: it has 5'
    with pytest.raises(DataError) as error:
        apply_scaling(pack("a", np.ones((2, 7, 3))), scaling)
    assert str(error.value) == '"a" is a vector as in training, however: it came as a sequence'


def test_a_modality_that_the_model_never_saw_is_an_error_and_an_absent_one_stays_absent() -> None:
    fitted = Preprocessor.fit(Samples({"text": np.arange(6.0).reshape(3, 2), "video": np.ones((3, 5))}))
    with pytest.raises(DataError) as error:
        fitted.apply(Samples({"txt": np.ones((2, 2))}))
    assert str(error.value) == (
        'the samples hold modalities that the model was fitted on, however: "txt"; did you mean "text"?'
    )
    assert fitted.apply(Samples({"video": np.ones((2, 5))})).names == ("video",)


def test_modalities_come_in_the_order_of_training_with_all_that_stands_beside_them() -> None:
    fitted = Preprocessor.fit(Samples({"a": np.arange(6.0).reshape(3, 2), "b": np.arange(3.0)[:, None]}))
    samples = Samples(
        {"b": np.arange(3.0)[:, None], "a": np.arange(6.0).reshape(3, 2)},
        y=[5, 6, 7],
        groups=["g", "h", "g"],
        split=["train", "valid", "test"],
        ids=["i", "j", "k"],
        target="mood",
    )
    scaled = fitted.apply(samples)
    assert scaled.names == ("a", "b") and scaled.target == "mood"
    for part in ("y", "groups", "split", "ids"):
        assert np.array_equal(getattr(scaled, part), getattr(samples, part))
