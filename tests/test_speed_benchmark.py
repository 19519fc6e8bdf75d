"""The benchmark of speed: what it computes from times, that it compares like with like, and what it draws."""

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))  # as `python benchmarks/speed.py` has it
import speed  # noqa: E402
import speed_growth  # noqa: E402
import speed_memory  # noqa: E402
import speed_page  # noqa: E402
import speed_picture  # noqa: E402
import speed_shapes  # noqa: E402
import speed_turns  # noqa: E402

sys.path.remove(str(BENCHMARKS))

SMALL = speed_shapes.Shape(3, 5, 14, 2)


def _row(factor: float, *names: str) -> dict:
    """One shape, in which each way takes `factor` times as long as the one before."""
    times = {name: [factor**i] * 3 for i, name in enumerate(("floor", "ours", *names))}
    spent = {name: [t[0], t[0] * 1.5] for name, t in times.items()}
    found = {"shape": list(SMALL), "turns": 2, "ways": speed_turns.compared(spent, "ours", "floor")}
    return found | {"bytes": dict.fromkeys(spent, 2**20)}


def _kept(*names: str) -> dict:
    about = {"commit": "abc", "torch": "2.0+cpu", "busy": False}
    return {kind: about | {"found": [_row(2.0, *names), _row(8.0, *names)]} for kind in ("forward", "step")}


def test_an_exponent_is_the_power_of_a_power_law() -> None:
    assert speed_turns.exponent([2, 4, 8], [3 * n**1.7 for n in (2, 4, 8)]) == pytest.approx(1.7)


def test_a_ratio_is_taken_within_a_turn() -> None:
    spent = {"a": [2.0, 20.0, 200.0], "b": [1.0, 10.0, 100.0]}
    assert speed_turns.ratios(spent, "a", "b") == [2.0, 2.0, 2.0]


def test_a_geometric_mean_of_a_ratio_and_its_inverse_is_one() -> None:
    assert speed_turns.geometric_mean([8.0, 1 / 8, 1.0]) == pytest.approx(1.0)


def test_everybody_runs_once_a_turn_and_the_order_changes() -> None:
    orders = [speed_turns.in_order("abc", turn) for turn in range(6)]
    assert all(sorted(order) == ["a", "b", "c"] for order in orders)
    assert len({tuple(order) for order in orders}) == 6


def test_turns_follow_the_budget_and_never_fall_below_the_fewest() -> None:
    calls = {"a": 0, "b": 0}

    def run(name: str) -> None:
        calls[name] += 1

    spent = speed_turns.in_turns({n: lambda n=n: run(n) for n in calls}, 0, fewest=3, least=0)
    assert [len(times) for times in spent.values()] == [3, 3]
    assert calls == {"a": 5, "b": 5}  # two to look how long it takes, three turns


def test_a_step_gives_the_gradient_of_the_square_sum_anew() -> None:
    module = torch.nn.Linear(3, 2)
    x = torch.randn(5, 3)
    run = speed_turns.step(lambda: module(x), module)
    run(), run()
    (expected,) = torch.autograd.grad(module(x).square().sum(), module.weight)
    torch.testing.assert_close(module.weight.grad, expected)


def test_every_way_gives_one_answer() -> None:
    speed_shapes.check(speed_shapes.ways(SMALL), torch.randn(SMALL.batch, SMALL.tokens, SMALL.width))


@pytest.mark.parametrize("name", ["ours", "module", "hand"])
def test_an_answer_that_differs_is_named(name: str) -> None:
    found = speed_shapes.ways(SMALL)
    with torch.no_grad():
        next(found[name].module.parameters()).mul_(1.5)
    with pytest.raises(AssertionError, match=r"^\w+: Tensor-likes are not close"):
        speed_shapes.check(found, torch.randn(SMALL.batch, SMALL.tokens, SMALL.width))


def test_forwards_run_in_the_mode_that_they_name() -> None:
    found = speed_shapes.ways(SMALL)
    speed_shapes.forwards(found, torch.randn(1, 1, 1))
    assert {name for name, way in found.items() if way.module.training} == {"training"}
    steps = speed_shapes.steps(found, torch.randn(1, 1, 1))
    assert "training" not in steps
    assert all(way.module.training for way in found.values())


def test_the_peak_counts_what_is_held_at_one_time() -> None:
    def run() -> None:
        a = torch.ones(1000, 250)
        b = a * 2
        del a
        c = b * 3
        del b, c

    assert speed_memory.allocated(run) == pytest.approx(2_000_000, rel=0.01)


def test_the_arithmetic_of_tokens_is_linear_then_quadratic() -> None:
    adds = [speed_growth.textbook_adds(1, n) for n in (1, 2, 10**6, 2 * 10**6)]
    assert adds[1] / adds[0] == pytest.approx(2, rel=0.02)
    assert adds[3] / adds[2] == pytest.approx(4, rel=0.02)


def test_the_page_says_the_geometric_mean_over_the_shapes() -> None:
    text = speed_page.page(_kept("module"))
    assert "| **geometric mean** |  |  | **4.00** | **4.00** |" in text
    assert "was busy" not in text


def test_the_page_says_what_the_floor_would_take_by_the_quicker_library() -> None:
    text = speed_page.page(_kept("quick", "module"))
    assert "| **geometric mean** |  |  | **4.00** | **16.00** | **16.00** |" in text


def test_the_page_warns_of_a_busy_machine_and_says_what_is_absent() -> None:
    kept = _kept("module")
    kept["step"]["busy"] = True
    text = speed_page.page(kept)
    assert "**The machine was busy when this was measured (step): read the quartiles.**" in text
    assert text.count("| not installed |") == 4


def test_ours_stands_at_its_ratio_to_the_floor_in_words_and_in_the_picture() -> None:
    drawn = ET.fromstring(speed_picture.picture(_kept("module", "hand")))
    space = "{http://www.w3.org/2000/svg}"
    assert drawn.get("aria-labelledby") == "t d" and drawn.get("role") == "img"
    assert "3, 5, 14, 2: ours 8.0, nn.MultiheadAttention 64.0" in drawn.find(f"{space}desc").text
    said = [t.text for t in drawn.iter(f"{space}title")]
    assert said.count("ours: 8.00 times the floor") == 2  # forward and step


def test_doublings_are_equally_long_from_edge_to_edge() -> None:
    places = [speed_picture.place(2**i, (1, 8)) for i in range(4)]
    assert places == pytest.approx([speed_picture.PANEL * i / 3 for i in range(4)])


def test_a_way_below_the_floor_stands_in_the_panel() -> None:
    kept = _kept("module")
    for row in kept["forward"]["found"]:
        row["ways"]["ours"]["floor"] = [0.4, 0.4, 0.4]
    drawn = ET.fromstring(speed_picture.picture(kept))
    ours = [float(c.get("cx")) for c in drawn.iter() if c.get("class") == "ours"][1:3]  # the first is the legend's
    assert all(x > speed_picture.LEFT for x in ours)


def test_what_is_kept_has_five_digits_and_a_line_for_each_part() -> None:
    text = speed.lines({"a": {"ms": [0.123456789, 3]}, "b": {"commit": "abc"}})
    assert text == '{\n"a": {"ms": [0.12346, 3]},\n"b": {"commit": "abc"}\n}\n'
