"""Attention beside worth: where they agree, where they do not, and where nothing can be said."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from intermodal.errors import InputError
from intermodal.explain.agreeing import agreement
from intermodal.explain.attention_maps import attention_map
from intermodal.explain.looking import EVEN, attention_shares, may_choose
from intermodal.learn.estimators import FusionRegressor
from intermodal.spec import Spec

NAMES = ("text", "audio", "noise")


def test_both_put_the_same_first() -> None:
    found = agreement(np.array([0.6, 0.3, 0.1]), np.array([5.0, 3.0, 2.0]), names=NAMES)
    assert found.agrees is True and found.same_first is True and found.spearman == 1.0 and found.unused == ()
    assert found.worth.tolist() == [0.5, 0.3, 0.2]
    assert found.text == 'attention and worth agree here: both put "text" first; rank correlation 1.00'


def test_a_disagreement_names_both_firsts_and_what_is_unused() -> None:
    found = agreement(np.array([0.3, 0.2, 0.5]), np.array([0.6, 0.39, 0.01]), names=NAMES)
    assert found.agrees is False and found.unused == ("noise",)
    assert found.text == (
        'attention and worth disagree here: attention looks most at "noise" (50%), yet "text" is worth most (60%); '
        '"noise" got 50% of the attention and 1% of the worth: attended but unused; rank correlation -0.50'
    )


def test_the_same_first_and_something_unused_is_a_disagreement() -> None:
    found = agreement(np.array([0.6, 0.1, 0.3]), np.array([0.6, 0.38, 0.02]), names=NAMES)
    assert found.same_first is True and found.agrees is False
    assert found.text.startswith('attention and worth disagree here: "noise" got 30% of the attention and 2%')


@pytest.mark.parametrize(
    ("attention", "worth", "unused"),
    [
        ([0.5, 0.2, 0.3], [0.6, 0.29, 0.11], ()),  # less than three times
        ([0.5, 0.2, 0.3], [0.6, 0.31, 0.09], ("noise",)),
        ([0.6, 0.36, 0.04], [0.6, 0.4, 0.0], ()),  # hardly looked at
        ([0.6, 0.34, 0.06], [0.6, 0.4, 0.0], ("noise",)),
    ],
)
def test_unused_is_three_times_the_worth_and_looked_at(attention: Any, worth: Any, unused: Any) -> None:
    assert agreement(np.array(attention), np.array(worth), names=NAMES).unused == unused


def test_samples_are_averaged_by_their_size_and_those_without_attention_left_out() -> None:
    attention = np.array([[0.8, 0.1, 0.1], [0.4, 0.5, 0.1], [np.nan] * 3])
    worth = np.stack([[[3.0, -3.0], [-1.0, 1.0], [0.0, 0.0]]] * 2 + [[[-1.0, 1.0], [2.0, -2.0], [0.0, 0.0]]])
    found = agreement(attention, worth, names=NAMES)
    assert found.attention == pytest.approx([0.6, 0.3, 0.1])
    assert found.worth == pytest.approx(np.array([7, 4, 0]) / 11)
    assert found.spearman == pytest.approx(stats.spearmanr([0.6, 0.3, 0.1], [7, 4, 0]).statistic)


def test_nearly_even_attention_puts_nobody_first() -> None:
    found = agreement(np.array([0.35, 0.33, 0.32]), np.array([0.2, 0.5, 0.3]), names=NAMES)
    assert found.agrees is None and found.same_first is None
    assert found.text == (
        "attention is shared out from 32% to 35% and worth from 20% to 50%: too evenly to be compared"
    )
    six = np.array([0.19, 0.14, 0.17, 0.17, 0.16, 0.17])  # a model of six views whose attention is not needed
    assert agreement(six, np.array([0.17, 0.27, 0.1, 0.19, 0.12, 0.15]), names=tuple("abcdef")).agrees is None
    assert agreement(np.array([0.45, 0.33, 0.22]), np.array([0.2, 0.5, 0.3]), names=NAMES).same_first is False


def test_what_cannot_be_compared_is_said_in_words() -> None:
    assert agreement(None, np.ones(3), names=NAMES).text == EVEN
    assert agreement(np.full((2, 3), np.nan), np.ones(3), names=NAMES).text == EVEN
    constant = agreement(np.array([0.5, 0.3, 0.2]), np.zeros((5, 3)), names=NAMES)
    assert constant.worth is None and constant.agrees is None
    assert constant.text == "no modality moves the prediction, so there is no worth to compare attention with"
    alone = agreement(np.ones(1), np.ones(1), names=("a",))
    assert alone.text == "there is a single modality, so attention and worth have nothing to agree about"
    assert alone.agrees is None


def test_shapes_that_do_not_fit_the_names_are_refused() -> None:
    with pytest.raises(InputError) as error:
        agreement(np.ones(2), np.ones(3), names=NAMES)
    assert str(error.value) == "attention has one share for each of 3 modalities, however: (2,)"
    with pytest.raises(InputError) as error:
        agreement(None, np.ones((5, 2)), names=NAMES)
    assert str(error.value) == "worth has one share for each of 3 modalities, however: (2,)"


# --- shares of attention, sample by sample --------------------------------------------------------

N = 31
QUICK: dict[str, Any] = {"d_model": 8, "n_heads": 2, "n_members": 2, "max_epochs": 2, "n_layers": 2, "experts": False}


def fitted(fusion: str) -> tuple[Any, dict[str, Any]]:
    rng = np.random.default_rng(0)
    X = {
        "text": rng.normal(size=(N, 3)),
        "video": [None if i % 5 == 2 else rng.normal(size=(1 + i % 3, 2)) for i in range(N)],
        "audio": rng.normal(size=(N, 2)),
    }
    return FusionRegressor(fusion, **QUICK).fit(X, X["text"][:, 0]), X


def test_the_shares_of_each_sample_add_up_to_one_and_a_missing_modality_gets_none() -> None:
    model, X = fitted("self")
    shares = attention_shares(model, X, batch_size=7)
    assert shares.shape == (N, 3) and np.allclose(shares.sum(1), 1.0)
    gone = np.array([v is None for v in X["video"]])
    assert (shares[gone, 1] == 0).all() and (shares[~gone, 1] > 0).all()
    assert np.allclose(shares, attention_shares(model, X), atol=1e-12)


def test_the_shares_are_the_mean_of_the_map_over_those_who_asked() -> None:
    model, X = fitted("self")
    there = np.flatnonzero([v is not None for v in X["video"]])
    some = {n: [v[i] for i in there] for n, v in X.items()}
    wanted = attention_map(*model.prepared(some)).mean.mean(0)
    assert attention_shares(model, some).mean(0) == pytest.approx(wanted)


def test_only_who_could_choose_counts() -> None:
    model, X = fitted("text -> [video audio], video <-> audio")
    shares = attention_shares(model, X)
    rows = attention_map(*model.prepared(X)).mean
    assert shares.mean(0) == pytest.approx(rows[0])
    assert (shares[:, 0] == 0).all()
    assert may_choose(("text", "video", "audio"), Spec.parse("text -> [video audio], video <-> audio", X)) == ["text"]


@pytest.mark.parametrize("fusion", ["cross", "none", "text -> text"])
def test_nobody_who_can_choose_has_no_shares(fusion: str) -> None:
    model, X = fitted(fusion)
    assert attention_shares(model, X) is None


def test_a_sample_in_which_nobody_asks_has_no_shares() -> None:
    model, X = fitted("text -> [video audio]")
    X = X | {"text": [None if i == 4 else row for i, row in enumerate(X["text"])]}
    shares = attention_shares(model, X)
    assert np.isnan(shares[4]).all() and not np.isnan(shares[[3, 5]]).any()
