"""`intermodal demo`: the whole tour, on real data that come with the package."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from intermodal.cli import console, demo_moments, inspecting
from intermodal.cli.demo_files import DemoFiles, write_digits, write_video
from intermodal.cli.fitting import facts_of, fit_model, summary
from intermodal.cli.learning import learning_rows
from intermodal.cli.options import Json, Seed

if TYPE_CHECKING:
    from intermodal.data.samples import Samples
    from intermodal.learn.comparison import Comparison

N_COMPARED = 500
N_EXPLAINED = 100
N_DRAWS = 300
SHORT: dict[str, Any] = {"d_model": 32, "n_members": 2, "lr": 4e-3, "experts": False}
"""A small network that learns fast, alone: the demo is about attention, and shall end within a minute."""
COMPARE_EPOCHS, FIT_EPOCHS = 8, 12
_FUSIONS = ("none", "self", "cross")
_COLUMNS = 4
"""Of the table of scores, what a terminal gets to see; the report has all."""


def demo(
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FOLDER", help="Where the demo's files go.")] = Path(
        "intermodal-demo"
    ),
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Take the whole tour in a minute: 2000 handwritten digits, each seen in six ways.

    It inspects, compares fusions with and without attention beside honest baselines, fits one, scores it on rows that
    nothing has seen, shows who attended to whom and what each modality was worth, asks videos of digits when a seven
    appears, and leaves the data, the models and a report behind.

    \b
    $ intermodal demo
    5. Who asked whom, and what was it worth?
    ═════════════════════════════════════════
    ── What each modality was worth
    name  value    low   high  0.00                                0.36
    ────  ─────  ─────  ─────  ────────────────────────────────────────
    fou   0.207  0.191  0.224  │▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒├─█┤
    fac   0.322  0.306  0.340  │▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒├─█─┤
    """
    files = DemoFiles(out)
    files.check()
    files.folder.mkdir(parents=True, exist_ok=True)
    tour = _Tour(files, seed=seed, aloud=not json)
    tour.look()
    tour.compare()
    tour.fit()
    tour.evaluate()
    tour.explain()
    tour.find()
    tour.leave()
    if json:
        console.show_json(tour.found)


class _Tour:
    """The stations of the demo, in order; each adds to what was found and to the report.

    Args:
        files: where to write.
        seed: of everything random.
        aloud: print every station when it is done.
    """

    def __init__(self, files: DemoFiles, *, seed: int, aloud: bool) -> None:
        self.files = files
        self.seed = seed
        self.aloud = aloud
        self.found: dict[str, Any] = {}
        self.blocks: list[dict[str, Any]] = []
        self.samples = self._digits()

    def _digits(self) -> Samples:
        """The digits, by way of a file: the tour goes where the user will go."""
        from intermodal.data.digits import load_digits6
        from intermodal.data.reading import read

        write_digits(load_digits6(), self.files.data)
        return read(self.files.data)

    def _part(self, name: str) -> Samples:
        assert self.samples.split is not None
        return self.samples[self.samples.split == name]

    def _tell(
        self, title: str, words: str, told: list[dict[str, Any]], kept: list[dict[str, Any]] | None = None
    ) -> None:
        """Print a station, and keep it (or a longer form of it) for the report."""
        if self.aloud:
            text = {"kind": "text", "text": words}
            console.show({"title": title, "blocks": [text, *told]}, follows=bool(self.blocks))
        self.blocks += [{"kind": "text", "title": title, "text": words}, *(told if kept is None else kept)]

    def look(self) -> None:
        """What is in the data."""
        from intermodal.data.inspecting import inspect

        self.found["inspected"] = inspect(self.samples)
        words = (
            "Dutch digits, 200 of each, described by six programs: outline, profiles, pixels, moments. "
            "Which of them does it take, and do they gain from asking each other?"
        )
        self._tell("1. What is in the data", words, inspecting.blocks(self.found["inspected"]))

    def compare(self) -> None:
        """Does attention help here?"""
        import numpy as np

        from intermodal.learn.compare import compare

        train = self._part("train")
        some = np.sort(np.random.default_rng(self.seed).permutation(len(train))[:N_COMPARED])
        with console.progress("comparing") as advance:
            self.result: Comparison = compare(
                train[some],
                fusions=_FUSIONS,
                n_splits=3,
                protocol="cv",
                seed=self.seed,
                progress=advance,
                max_epochs=COMPARE_EPOCHS,
                batch_size=32,
                **SHORT,
            )
        self.found["compared"] = self.result.to_dict()
        words = (
            f"{N_COMPARED} of the {len(train)} training rows, 3 folds, {COMPARE_EPOCHS} epochs, a small network "
            "with no experts beside it: a short run that shows how it is done, and no benchmark. The test rows stay "
            "unseen."
        )
        kept = self.result.to_report()["blocks"]
        left_out = ("What was compared", f"{self.result.setting.score.name}, 95 % intervals")
        told = [_narrow(block) for block in kept if block["title"] not in left_out]
        self._tell("2. Does attention help here?", words, told, kept)

    def fit(self) -> None:
        """Fit the winner; for the sake of the tour, one that attends."""
        chosen, why = self._chosen()
        rows = learning_rows(self.samples, "classification", share=0.15, seed=self.seed)
        options = {"seed": self.seed, "max_epochs": FIT_EPOCHS, "batch_size": 128, **SHORT}
        self.model = fit_model(rows, "classification", chosen, **options)
        self.model.save(self.files.model, overwrite=True)
        done = summary(self.model, rows, "classification")
        self.found["fitted"] = {"why": why, **done}
        self._tell(f"3. Fit {chosen}", why, [{"kind": "facts", "title": "Fitted", "items": facts_of(done)}])

    def _chosen(self) -> tuple[str, str]:
        """The fusion to go on with, and why."""
        best = self.result.best
        if any(row.attends and row.name == best for row in self.result.rows):
            return str(best), f'"{best}" is the row to take, so it is fitted on all training rows.'
        return "self", (
            f'By the rule above the row to take is "{best}", the simplest within one standard error of the best. The '
            'tour goes on with "self": there each modality chooses whom to look at, and that is worth a look.'
        )

    def evaluate(self) -> None:
        """How good is it on rows that nothing has seen?"""
        from intermodal.cli import scoring

        test = self._part("test")
        self.found["evaluated"] = scoring.score_model(self.model, test, self._part("train").y, n_draws=N_DRAWS)
        words = f"Neither the comparison nor the fit has seen these {len(test)} rows."
        self._tell("4. Score it on the test rows", words, scoring.blocks(self.found["evaluated"]))

    def explain(self) -> None:
        """Who attended to whom, and what was it worth?"""
        from intermodal.explain.explaining import explain
        from intermodal.learn.threads import one_thread

        test = self._part("test")
        with one_thread():
            explanation = explain(self.model, test[:: len(test) // N_EXPLAINED])
        worth = explanation.shapley
        self.found["explained"] = {
            "n": explanation.n_samples,
            "names": list(worth.names),
            "attention": explanation.attention.mean,
            "worth": worth.worth(),
            "completeness": worth.completeness,
            "warnings": explanation.warnings,
        }
        words = (
            f"Exact Shapley values: for each of {explanation.n_samples} test rows the model answered all "
            f"{worth.evaluations} subsets of the modalities."
        )
        kept = explanation.to_report()["blocks"]
        told = explanation.to_report(brief=True)["blocks"]
        self._tell("5. Who asked whom, and what was it worth?", words, told, kept)

    def find(self) -> None:
        """When does it happen? A question put to a video."""
        localizer = demo_moments.fit_localizer(self.seed)
        localizer.save(self.files.moments, overwrite=True)
        self.found["found"], blocks, video = demo_moments.ask(localizer, self.seed)
        write_video(video, self.files.video)
        self._tell("6. When does a seven appear?", demo_moments.in_words(self.found["found"]), blocks)

    def leave(self) -> None:
        """Write the report, and say how to go on."""
        from intermodal.report.writing import write

        names = ("data", "model", "moments", "video", "report")
        files = {name: getattr(self.files, name) for name in names}
        self.found["files"] = {name: str(path) for name, path in files.items()}
        self.found["next"] = self._next()
        subtitle = "2000 handwritten digits, each seen in six ways"
        write({"title": "The Intermodal demo", "subtitle": subtitle, "blocks": self.blocks}, self.files.report)
        told: list[dict[str, Any]] = [
            {"kind": "facts", "title": "Files", "items": [[k, v] for k, v in self.found["files"].items()]},
            {"kind": "commands", "title": "Next", "lines": self.found["next"]},
        ]
        self._tell("7. What is left behind", "The same commands take your own file.", told)

    def _next(self) -> list[str]:
        data, model, mine = str(self.files.data), str(self.files.model), str(self.files.folder / "mine")
        short = ["--epochs", "10", "--members", "2", "--no-experts"]
        commands = [
            ["inspect", data],
            ["compare", data, "--fusion", "none", "--fusion", "self", "--folds", "3", *short],
            ["fit", data, "--fusion", "pix <-> fou, mor -> pix", *short, "-o", mine],
            ["evaluate", mine, data],
            ["explain", model, data, "-o", str(self.files.folder / "why.html")],
            ["predict", model, data, "-o", str(self.files.folder / "predictions.csv")],
            ["localize", str(self.files.moments), str(self.files.video), demo_moments.QUERY],
        ]
        return [shlex.join(["intermodal", *command]) for command in commands]


def _narrow(block: dict[str, Any]) -> dict[str, Any]:
    """Return a table of scores with the columns that matter most."""
    if block["kind"] != "table":
        return block
    cut = {key: block[key][:_COLUMNS] for key in ("columns", "align")}
    return {**block, **cut, "rows": [row[:_COLUMNS] for row in block["rows"]]}
