"""The estimators keep contracts C10 to C13: learning, saving, missing modalities."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import NotFittedError

from intermodal.data.samples import Samples
from intermodal.errors import DataError, InputError
from intermodal.learn.estimators import FusionClassifier, FusionRegressor
from intermodal.learn.saving import load

QUICK = {"d_model": 16, "n_members": 2, "max_epochs": 5}


def mixed(n: int = 67, seed: int = 0) -> tuple[dict[str, object], np.ndarray]:
    """A vector, a ragged sequence and a modality that is missing for some; the class is in the vector."""
    rng = np.random.default_rng(seed)
    text = rng.normal(size=(n, 5))
    video = [rng.normal(size=(rng.integers(1, 8), 3)) for _ in range(n)]
    audio = [None if i % 4 == 1 else rng.normal(size=2) for i in range(n)]
    return {"text": text, "video": video, "audio": audio}, np.where(text[:, 0] > 0, "up", "down")


def linear_task(n: int, seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(n, 5)), rng.normal(size=(n, 3))
    return {"a": a, "b": b}, a[:, 0] - 2 * b[:, 1] + 0.5 * a[:, 3]


def xor_task(n: int, seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(n, 2)), rng.normal(size=(n, 3))
    return {"a": a, "b": b}, ((a[:, 0] > 0) ^ (b[:, 0] > 0)).astype(int)


# --- C10: gradients, saving, seeds ----------------------------------------------------------------


@pytest.mark.parametrize("fusion", ["self", "cross", "none", "text <-> video, audio -> text"])
@pytest.mark.parametrize("missing", ["mask", "token"])
def test_every_parameter_gets_a_gradient(fusion: str, missing: str) -> None:
    X, y = mixed()
    model = FusionClassifier(fusion, missing=missing, **QUICK | {"max_epochs": 1}).fit(X, y)
    module, feed = model.prepared(
        {**X, "text": [None, *X["text"][1:]], "video": [X["video"][0], None, *X["video"][2:]]}
    )
    module.train()
    module.network.modality_dropout = 0.0
    module(*feed.batch(np.arange(len(feed))), experts=False).outputs.square().sum().backward()
    without = [name for name, p in module.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert without == []
    idle = [n for n, p in module.named_parameters() if p.grad.abs().max() == 0 and "k_proj.bias" not in n]
    assert idle == []


@pytest.mark.parametrize("estimator", [FusionClassifier, FusionRegressor])
@pytest.mark.parametrize("fusion", ["self", "none"])
def test_a_saved_model_predicts_the_same(estimator: type, fusion: str, tmp_path) -> None:
    X, y = mixed()
    y = y if estimator is FusionClassifier else X["text"][:, :2]
    model = estimator(fusion, **QUICK).fit(X, y)
    again = load(model.save(tmp_path / "model"))
    assert np.array_equal(model.predict(X), again.predict(X))
    assert again.get_params() == model.get_params()
    assert again.spec_ == model.spec_ and again.names_ == model.names_ and again.history_ == model.history_
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == ["config.json", "model.safetensors"]
    if estimator is FusionClassifier:
        assert np.array_equal(model.predict_proba(X), again.predict_proba(X))
        assert again.classes_.dtype == model.classes_.dtype


@pytest.mark.parametrize("labels", [[3, 7], [True, False], ["a", "b"], [1.0, 2.0]])
def test_classes_come_back_as_they_were(labels: list, tmp_path) -> None:
    X, _ = mixed(20)
    y = np.array(labels)[np.arange(20) % 2]
    model = FusionClassifier(**QUICK | {"max_epochs": 1}).fit(X, y)
    again = load(model.save(tmp_path / "m"))
    assert again.predict(X).dtype == y.dtype and set(again.predict(X)) <= set(y)


def test_the_same_seed_gives_the_same_model_bit_for_bit() -> None:
    X, y = mixed()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one = FusionClassifier(seed=3, **QUICK).fit(X, y)
    assert torch.equal(torch.get_rng_state(), before), "fitting leaves the user's random state alone"
    torch.manual_seed(11)
    other = FusionClassifier(seed=3, **QUICK).fit(X, y)
    third = FusionClassifier(seed=4, **QUICK).fit(X, y)
    assert np.array_equal(one.predict_proba(X), other.predict_proba(X))
    assert not np.array_equal(one.predict_proba(X), third.predict_proba(X))


def test_two_spellings_of_a_fusion_fit_the_same_model() -> None:
    X, y = mixed()
    one = FusionClassifier("text <-> video, audio -> text", **QUICK).fit(X, y)
    other = FusionClassifier("text <- audio, video -> text, text -> video", **QUICK).fit(X, y)
    assert np.array_equal(one.predict_proba(X), other.predict_proba(X))


def test_fitting_leaves_the_users_threads_alone() -> None:
    X, y = mixed(20)
    before = torch.get_num_threads()
    FusionClassifier(**QUICK | {"max_epochs": 1}).fit(X, y).predict(X)
    assert torch.get_num_threads() == before


# --- C11: learning --------------------------------------------------------------------------------


def test_a_linear_task_is_learned() -> None:
    X, y = linear_task(400, seed=0)
    X_test, y_test = linear_task(300, seed=1)
    assert FusionRegressor(max_epochs=60, n_members=2).fit(X, y).score(X_test, y_test) > 0.97


@pytest.mark.parametrize("fusion", ["self", "cross"])
def test_xor_of_two_modalities_is_learned(fusion: str) -> None:
    X, y = xor_task(700, seed=0)
    X_test, y_test = xor_task(400, seed=1)
    model = FusionClassifier(fusion, max_epochs=60, n_members=2).fit(X, y)
    assert model.score(X_test, y_test) > 0.93
    assert (
        FusionClassifier(fusion, max_epochs=20, n_members=2).fit({"a": X["a"]}, y).score({"a": X_test["a"]}, y_test)
        < 0.6
    )


def test_beats_the_constant_predictor_on_sequences() -> None:
    rng = np.random.default_rng(0)
    video = [rng.normal(size=(rng.integers(3, 9), 4)) for _ in range(300)]
    y = np.array([v[:, 0].max() > 1.2 for v in video])
    model = FusionClassifier("self", max_epochs=40, n_members=2).fit({"video": video[:220]}, y[:220])
    assert model.score({"video": video[220:]}, y[220:]) > max(y[220:].mean(), 1 - y[220:].mean()) + 0.1


# --- C12: a modality that is not there ------------------------------------------------------------


@pytest.mark.parametrize("fusion", ["self", "cross", "none", "text -> video"])
def test_a_modality_left_out_is_as_if_missing(fusion: str) -> None:
    X, y = mixed()
    model = FusionClassifier(fusion, **QUICK).fit(X, y)
    left_out = model.predict_proba({"text": X["text"], "video": X["video"]})
    flagged = model.predict_proba({**X, "audio": np.full((len(y), 2), np.nan)})
    assert np.isfinite(left_out).all()
    np.testing.assert_allclose(left_out, flagged, rtol=0, atol=1e-9)


def test_predictions_do_not_depend_on_the_batch() -> None:
    X, y = mixed()
    model = FusionClassifier(**QUICK).fit(X, y)
    samples = Samples.of(X)
    alone = np.concatenate([model.predict_proba(samples[[i]]) for i in range(len(samples))])
    np.testing.assert_allclose(model.predict_proba(samples), alone, rtol=0, atol=1e-9)


def test_the_order_of_the_modalities_does_not_matter() -> None:
    X, y = mixed()
    model = FusionClassifier(**QUICK).fit(X, y)
    turned = dict(reversed(X.items()))
    assert np.array_equal(model.predict_proba(X), model.predict_proba(turned))


# --- what users do --------------------------------------------------------------------------------


def test_everything_may_come_with_the_samples() -> None:
    X, y = mixed()
    groups = np.arange(len(y)) // 5
    samples = Samples(X, y=y, groups=groups, target="mood")
    model = FusionClassifier(**QUICK).fit(samples)
    assert model.score(samples) == model.score(X, y)
    assert model.target_ == "mood"
    explicit = FusionClassifier(**QUICK).fit(X, y, groups=groups)
    assert np.array_equal(model.predict_proba(X), explicit.predict_proba(X))


def test_rows_marked_valid_stop_the_training() -> None:
    X, y = mixed()
    split = np.where(np.arange(len(y)) % 5 == 0, "valid", "train")
    learn, held = FusionClassifier()._hold_out(Samples(X, split=split), None, None, np.ones(len(y)))
    assert set(held) == set(np.flatnonzero(split == "valid")) and not set(learn) & set(held)


def test_held_out_rows_do_not_reach_the_scaling() -> None:
    X, y = linear_task(60, seed=0)
    split = np.where(np.arange(60) % 3 == 0, "valid", "train")
    wild = {"a": X["a"].copy(), "b": X["b"]}
    wild["a"][split == "valid"] *= 1000
    means = [
        FusionRegressor(**QUICK | {"max_epochs": 1}).fit(Samples(x, split=split), y).preprocessor_.scalings["a"].mean
        for x in (X, wild)
    ]
    assert np.array_equal(means[0], means[1])


def test_rows_marked_test_are_left_alone() -> None:
    X, y = mixed()
    split = np.where(np.arange(len(y)) % 3 == 0, "test", "train")
    wild = {**X, "text": np.where((split == "test")[:, None], 1e6, X["text"])}
    other = np.where(split == "test", "sideways", y)
    one = FusionClassifier(**QUICK).fit(Samples(X, split=split), y, groups=np.arange(len(y)))
    two = FusionClassifier(**QUICK).fit(Samples(wild, split=split), other, groups=np.arange(len(y)))
    assert np.array_equal(one.predict_proba(X), two.predict_proba(X))
    only_test = Samples(X, split=np.full(len(y), "test"))
    assert FusionClassifier(**QUICK).fit(only_test, y).n_parameters_ > 0


def test_a_fit_that_is_broken_off_leaves_no_model() -> None:
    X, y = mixed()

    def stop(line: dict) -> None:
        raise KeyboardInterrupt

    model = FusionClassifier(**QUICK).fit(X, y)
    with pytest.raises(KeyboardInterrupt):
        model.set_params(callback=stop).fit(X, y)
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_groups_are_held_out_whole() -> None:
    X, y = mixed()
    groups = np.arange(len(y)) // 7
    labels = (y == "up").astype(int)
    learn, held = FusionClassifier()._hold_out(Samples(X), labels, groups, np.ones(len(y)))
    assert len(held) and not set(groups[learn]) & set(groups[held])


def test_sample_weights_count() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    y = (np.arange(200) % 2).astype(int)
    heavy = FusionClassifier(**QUICK).fit(X, y, sample_weight=np.where(y == 1, 9.0, 1.0))
    assert heavy.predict_proba(X)[:, 1].mean() > 0.75


def test_balanced_classes_count_alike() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 3)), (np.arange(200) % 10 == 0).astype(int)
    plain = FusionClassifier(**QUICK).fit(X, y).predict_proba(X)[:, 1].mean()
    balanced = FusionClassifier(class_weight="balanced", **QUICK).fit(X, y).predict_proba(X)[:, 1].mean()
    assert plain < 0.3 < balanced


def test_a_frame_with_tables_and_text_columns() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "clinical.age": rng.normal(50, 9, 40),
            "clinical.sex": ["F", "M"] * 20,
            "scan": list(rng.normal(size=(40, 3))),
        }
    )
    y = (frame["clinical.sex"] == "F").to_numpy()
    model = FusionClassifier(d_model=16, n_members=1, max_epochs=40).fit(frame, y)
    assert model.score(frame, y) > 0.9
    only_women = frame[frame["clinical.sex"] == "F"]
    np.testing.assert_allclose(model.predict_proba(only_women), model.predict_proba(frame)[::2], atol=1e-9)


def test_nan_cells_are_imputed_when_asked() -> None:
    X, y = linear_task(60, seed=0)
    X["a"][3, 2] = np.nan
    with pytest.raises(DataError, match="nan"):
        FusionRegressor(**QUICK).fit(X, y)
    model = FusionRegressor(nan="impute", **QUICK).fit(X, y)
    filled = {**X, "a": np.where(np.isnan(X["a"]), model.preprocessor_.scalings["a"].mean, X["a"])}
    np.testing.assert_allclose(model.predict(X), model.predict(filled), rtol=1e-5)


def test_the_history_and_the_callback_tell_the_same() -> None:
    X, y = mixed()
    lines: list[dict] = []
    model = FusionClassifier(callback=lines.append, **QUICK).fit(X, y)
    assert lines == model.history_ and [line["epoch"] for line in lines] == [1, 2, 3, 4, 5]
    assert json.loads(json.dumps(lines)) == lines


def test_training_stops_when_patience_ends() -> None:
    rng = np.random.default_rng(0)
    X, y = {"a": rng.normal(size=(80, 3))}, np.arange(80) % 2
    model = FusionClassifier(d_model=16, n_members=1, max_epochs=300, patience=3).fit(X, y)
    best = max((line["epoch"] for line in model.history_ if line["best"]), default=0)
    assert len(model.history_) == best + 3


# --- bad input ------------------------------------------------------------------------------------


def test_every_wrong_parameter_is_said_at_once() -> None:
    X, y = mixed()
    with pytest.raises(InputError) as caught:
        FusionClassifier(d_model=0, dropout=1.0, nan="drop").fit(X, y)
    assert str(caught.value).splitlines() == [
        "d_model is a whole number above zero, however: d_model=0",
        "dropout lies in [0, 1), however: dropout=1.0",
        'nan is "error" or "impute", however: nan=\'drop\'',
    ]


BAD = [
    (lambda X, y: FusionClassifier("text -> vidoe").fit(X, y), 'did you mean "video"?'),
    (
        lambda X, y: FusionClassifier().fit(X, ["up"] * len(y)),
        "a classifier learns from at least two classes, however:",
    ),
    (lambda X, y: FusionClassifier().fit(X, y[:-1]), "y holds one target for each sample, however: len(y)=66"),
    (lambda X, y: FusionClassifier().fit(X), "fit needs a target, however: y is None and the samples carry none"),
    (lambda X, y: FusionClassifier(device="warp").fit(X, y), 'that torch can use here, however: device="warp"'),
    (lambda X, y: FusionRegressor().fit(X, y), "a regressor predicts numbers, however: y holds something else"),
    (lambda X, y: FusionRegressor(class_weight="balanced").fit(X, y), "class_weight is for classes, however:"),
    (lambda X, y: FusionClassifier().fit(X, y, groups=[1]), "groups name one group for each sample, however:"),
    (
        lambda X, y: FusionClassifier(**QUICK).fit(X, y).predict({"txt": X["text"]}),
        'the samples hold modalities that the model was fitted on, however: "txt"; did you mean "text"?',
    ),
    (
        lambda X, y: FusionClassifier(**QUICK).fit(X, y).predict({"text": X["text"][:, :4]}),
        '"text" has 5 columns as in training, however: it has 4',
    ),
    (
        lambda X, y: FusionClassifier(**QUICK).fit(X, y).predict({"text": np.ones((67, 3, 5))}),
        '"text" is a vector as in training, however: it came as a sequence',
    ),
]


@pytest.mark.parametrize(("do", "message"), BAD)
def test_bad_input_gets_one_clear_sentence(do, message: str) -> None:
    X, y = mixed()
    with pytest.raises(InputError) as caught:
        do(X, y)
    assert message in str(caught.value)


def test_a_model_is_not_overwritten_unasked(tmp_path) -> None:
    X, y = mixed()
    model = FusionClassifier(**QUICK | {"max_epochs": 1}).fit(X, y)
    model.save(tmp_path / "m")
    with pytest.raises(InputError, match="a model is saved to a new folder, however"):
        model.save(tmp_path / "m")
    model.save(tmp_path / "m", overwrite=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "precious.txt").write_text("mine")
    with pytest.raises(InputError, match="only a model is overwritten, however"):
        model.save(tmp_path / "other", overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m", "other"]
    assert (tmp_path / "other" / "precious.txt").read_text() == "mine"


def test_a_save_that_fails_leaves_nothing(tmp_path, monkeypatch) -> None:
    X, y = mixed()
    model = FusionClassifier(**QUICK | {"max_epochs": 1}).fit(X, y)

    def full(*args: object, **kwargs: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("intermodal.learn.folder.save_file", full)
    with pytest.raises(OSError, match="disk full"):
        model.save(tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("harm", ["truncate", "config", "format", "weights"])
def test_a_broken_model_is_refused(harm: str, tmp_path) -> None:
    X, y = mixed()
    folder = FusionClassifier(**QUICK | {"max_epochs": 1}).fit(X, y).save(tmp_path / "m")
    config, weights = folder / "config.json", folder / "model.safetensors"
    if harm == "truncate":
        weights.write_bytes(weights.read_bytes()[:100])
    elif harm == "weights":
        weights.unlink()
    elif harm == "config":
        config.write_text("{")
    else:
        config.write_text(config.read_text().replace('"format": 1', '"format": 99'))
    with pytest.raises(InputError, match="however"):
        load(folder)
