"""The arithmetic of the page equals Python's, for whatever is typed."""

from __future__ import annotations

import math

import numpy as np

# The function stands inside the page's one script; the page shows it as window.intermodal.attendRow.
RUN = """(cases) => cases.map((one) => {
    const made = window.intermodal.attendRow(...one);
    return [made.weights, made.output];
})"""


def attended(q, keys, values, keep, scaled):
    scores = [sum(a * b for a, b in zip(q, key, strict=True)) / (math.sqrt(len(q)) if scaled else 1) for key in keys]
    kept = [s for s, k in zip(scores, keep, strict=True) if k]
    exps = [math.exp(s - max(kept)) if k else 0.0 for s, k in zip(scores, keep, strict=True)]
    total = math.fsum(exps)
    weights = [e / total if total else 0.0 for e in exps]
    return weights, [math.fsum(w * v[i] for w, v in zip(weights, values, strict=True)) for i in range(len(values[0]))]


def test_a_thousand_rows_equal_python(opened, pages):
    rng = np.random.default_rng(11)
    cases = []
    for index in range(1000):
        d, k, e = rng.integers(1, 6), rng.integers(1, 8), rng.integers(1, 4)
        keep = rng.random(k) < 0.7
        if index % 50 == 0:
            keep[:] = False
        size = 10.0 ** rng.integers(-1, 2)
        numbers = [rng.normal(size=shape).round(3) * size for shape in (d, (k, d), (k, e))]
        cases.append([*(array.tolist() for array in numbers), keep.tolist(), bool(index % 2)])
    # A hidden key that would win by far must not take the others' digits with it.
    cases.append([[10.0], [[100.0], [1.0], [0.5]], [[1.0], [2.0], [3.0]], [False, True, True], False])
    made = opened({"title": "t", "blocks": [pages.trace()]}).evaluate(RUN, cases)
    assert any(len(case[1]) == 1 for case in cases) and any(not any(case[3]) for case in cases)
    for case, (weights, output) in zip(cases, made, strict=True):
        true_weights, true_output = attended(*case)
        assert np.abs(np.array(weights) - true_weights).max() < 1e-12
        assert np.abs(np.array(output) - true_output).max() < 1e-12 * max(1, np.abs(case[2]).max())


def walk(page):
    view = page.locator('[data-view="trace"]')
    for _ in range(5):
        view.get_by_role("button", name="Next step").click()
    return view


def numbers(view, row):
    return [c.strip() for c in view.locator("table.work tbody tr").nth(row).locator("td").all_inner_texts()]


def test_the_worked_example_step_by_step(opened, pages):
    page = opened({"title": "t", "blocks": [pages.trace()]})
    view = page.locator('[data-view="trace"]')
    assert numbers(view, 0) == ["8.0000", "", "", "", "", ""]
    assert "1 · 2 + 2 · 3 = 8.0000" in view.locator(".formula").inner_text()
    walk(page)
    assert numbers(view, 0) == ["8.0000", "5.6569", "0.0000", "1.0000", "0.9930", "9.9296, 0.0000"]
    assert numbers(view, 1) == ["1.0000", "0.7071", "-4.9497", "0.0071", "0.0070", "0.0000, 0.0704"]
    assert "the output is 9.9296, 0.0704" in view.locator(".formula").inner_text()
    assert page.evaluate("document.activeElement.textContent") == "Back"
    for _ in range(5):
        view.get_by_role("button", name="Back").click()
    assert numbers(view, 0)[1:] == [""] * 5
    assert page.evaluate("document.activeElement.textContent") == "Next step"


def test_scale_keys_and_numbers_can_be_changed_and_set_back(opened, pages):
    page = opened({"title": "t", "blocks": [pages.trace()]})
    view = walk(page)
    scale = view.get_by_role("checkbox", name="divide by √2")
    scale.uncheck()
    assert numbers(view, 0)[4] == "0.9991" and "9.9909, 0.0091" in view.locator(".formula").inner_text()
    scale.check()
    box = view.get_by_role("textbox", name="key 2 key, number 2")
    box.fill("3.5")
    weights, output = attended([1, 2], [[2, 3], [1, 3.5]], [[10, 0], [0, 10]], [True, True], True)
    assert numbers(view, 1)[4] == f"{weights[1]:.4f}"
    assert ", ".join(f"{o:.4f}" for o in output) in view.locator(".formula").inner_text()
    box.fill("three")
    assert box.get_attribute("aria-invalid") == "true" and numbers(view, 1)[4] == f"{weights[1]:.4f}"
    view.get_by_role("checkbox", name="key 1").uncheck()
    assert numbers(view, 0)[2:5] == ["-inf", "0.0000", "0.0000"] and numbers(view, 1)[4] == "1.0000"
    view.get_by_role("checkbox", name="key 2").uncheck()
    assert "Every key is hidden" in view.locator(".formula").inner_text()
    view.get_by_role("button", name="Start again").click()
    assert numbers(view, 0)[4] == "0.9930"


def test_very_many_numbers_stay_closed_and_short(opened, pages):
    rng = np.random.default_rng(3)
    q, keys, values = (rng.normal(size=shape).round(3).tolist() for shape in (16, (5, 16), (5, 9)))
    names = [f"key {i}" for i in range(5)]
    block = {**pages.trace(), "q": q, "keys": keys, "values": values, "names": names, "facts": None}
    page = opened({"title": "t", "blocks": [block]})
    view = page.locator('[data-view="trace"]')
    assert "… (16 terms)" in view.locator(".formula").inner_text()
    assert not view.get_by_role("textbox").first.is_visible()
    view.get_by_text("Change the numbers").click()
    assert view.get_by_role("textbox").first.is_visible()
    walk(page)
    _, output = attended(q, keys, values, [True] * 5, True)
    assert ", ".join(f"{o:.4f}" for o in output[:3]) + ", …" in view.locator(".formula").inner_text()
    sums = view.locator("table.work tfoot td").last.get_attribute("data-v").split(" ")
    assert np.abs(np.array(sums, dtype=float) - output).max() < 1e-12


def test_without_values_the_steps_end_with_the_weights(opened, pages):
    block = {**pages.trace(), "values": None, "names": ["only"], "keys": [["2", "3"]], "keep": [True], "facts": None}
    block["steps"] = {"columns": ["key"], "rows": [["only"]]}
    page = opened({"title": "t", "blocks": [block]})
    view = page.locator('[data-view="trace"]')
    for _ in range(4):
        view.get_by_role("button", name="Next step").click()
    assert numbers(view, 0)[-1] == "1.0000"
    assert view.get_by_role("button", name="Next step").is_disabled()
