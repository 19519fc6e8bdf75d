"""Layer, head and sample: each choice shows what numpy calculates; the keyboard alone is enough."""

from __future__ import annotations

import itertools

import numpy as np

from intermodal.report.figures import figure

CELLS = """() => [...document.querySelectorAll('[data-part=map] tbody tr')].map((row) =>
    [...row.querySelectorAll('td')].map((c) => [Number(c.dataset.v), c.textContent, c.className]))"""
# How many cells have a colour that the style sheet does not know.
BARE = """() => [...document.querySelectorAll('[data-part=map] td, [data-part=map] .legend b')]
    .filter((c) => getComputedStyle(c).backgroundColor === 'rgba(0, 0, 0, 0)').length"""
CHOOSE = """([layer, head, show, value, hide, colour]) => {
    const selects = [...document.querySelectorAll('[data-view=attention] > .pickers select')];
    const wanted = [layer, head, show, value, hide, colour];
    selects.forEach((one, i) => { one.value = wanted[i]; });
    selects[0].dispatchEvent(new Event('change'));
}"""


def seen(page, *choice):
    page.evaluate(
        CHOOSE, [str(one) for one in (*choice, *("-1", "-1", "mean", "weight", "none", "linear")[len(choice) :])]
    )
    rows = page.evaluate(CELLS)
    return np.array([[cell[0] for cell in row] for row in rows]), [[cell[1] for cell in row] for row in rows], rows


def test_every_layer_head_and_sample_shows_what_numpy_has(opened, pages):
    block = pages.attention(layers=2, heads=5, n_samples=3)
    page = opened({"title": "t", "blocks": [block]})
    sources = {"mean": block["mean"], "std": block["std"]}
    sources |= {str(i): sample["mass"] for i, sample in enumerate(block["samples"])}
    for name, layer, head in itertools.product(sources, range(-1, 2), range(-1, 5)):
        true = np.array(sources[name])
        true = true.mean(0) if layer < 0 else true[layer]
        true = true.mean(0) if head < 0 else true[head]
        values, texts, _ = seen(page, layer, head, name)
        assert np.abs(values - true).max() < 1e-6, (name, layer, head)
        assert texts == [[figure(float(v), 3) for v in row] for row in values]
        if name != "std":
            assert np.abs(values.sum(1) - 1).max() < 1e-6


def test_the_difference_from_an_even_share_has_both_signs_and_sums_to_zero(opened, pages):
    block = pages.attention()
    page = opened({"title": "t", "blocks": [block]})
    values, _, rows = seen(page, 1, 2, "mean", "minus")
    assert np.abs(values - (np.array(block["mean"])[1, 2] - 1 / 3)).max() < 1e-6
    looks = [(cell[0], cell[2]) for row in rows for cell in row]
    assert all((int(look[1:]) > 128) == (value > 0) for value, look in looks if abs(value) > 0.01)
    assert all(look.startswith("d") for _, look in looks)
    ends = page.locator('[data-part="map"] .legend span').all_inner_texts()
    assert [float(end) for end in ends] == [-0.667, 0.667]


def test_what_is_hidden_is_hatched_and_the_rest_is_not_stretched(opened, pages):
    page = opened({"title": "t", "blocks": [pages.attention()]})
    before, _, _ = seen(page)
    _, texts, rows = seen(page, -1, -1, "mean", "weight", "self")
    off = ~np.eye(3, dtype=bool)
    assert [texts[i][i] for i in range(3)] == ["·"] * 3
    assert [rows[i][i][2] for i in range(3)] == ["gap"] * 3
    after, _, _ = seen(page, -1, -1, "mean", "weight", "self")
    assert np.array_equal(before[off], after[off])
    _, texts, _ = seen(page, -1, -1, "mean", "weight", "top")
    top = before.sum(0).argmax()
    assert [[text == "·" for text in row] for row in texts] == [[c == top for c in range(3)]] * 3


def test_colour_keeps_its_ends_whatever_is_shown_and_marks_the_even_share(opened, pages):
    page = opened({"title": "t", "blocks": [pages.attention()]})
    for choice in ((-1, -1), (0, 3), (1, 4, "1")):
        _, _, rows = seen(page, *choice)
        assert all(int(look[1:]) == 3 * round(255 * value / 3) for row in rows for value, _, look in row)
        legend = page.locator('[data-part="map"] .legend')
        assert legend.locator("span").all_inner_texts() == ["0", "1"]
        assert page.evaluate(BARE) == 0
        assert legend.locator("em").inner_text() == "even share 0.333"
        places = legend.evaluate(
            "(el) => { const i = el.querySelector('i').getBoundingClientRect(),"
            " m = el.querySelector('.over').getBoundingClientRect();"
            " return (m.left + m.width / 2 - i.left) / i.width; }"
        )
        assert abs(places - 1 / 3) < 0.02
    seen(page, 1, 2, "0", "minus")
    assert page.evaluate(BARE) == 0
    seen(page, -1, -1, "mean", "weight", "none", "log")
    assert page.evaluate(BARE) == 0
    assert legend.locator("span").all_inner_texts() == ["≤ 0.001", "1"]


def test_the_table_of_heads_counts_what_crosses_and_choosing_one_shows_it(opened, pages):
    block = pages.attention(layers=2, heads=5)
    page = opened({"title": "t", "blocks": [block]})
    mean = np.array(block["mean"])
    cross = (mean * ~np.eye(3, dtype=bool)).sum(-1).mean(-1)
    even = (-(mean * np.log(mean)).sum(-1) / np.log(3)).mean(-1)
    atlas = page.locator('[data-part="atlas"]')

    def numbers():
        return np.array(atlas.evaluate("(el) => [...el.querySelectorAll('td')].map((c) => Number(c.dataset.v))"))

    assert np.abs(numbers() - cross.ravel()).max() < 1e-6
    atlas.locator("select").select_option("even")
    assert np.abs(numbers() - even.ravel()).max() < 1e-6
    atlas.locator("tbody tr").nth(1).locator("td").nth(3).click()
    selects = page.locator('[data-view="attention"] > .pickers select')
    assert [selects.nth(i).input_value() for i in range(2)] == ["1", "3"]
    values = np.array([[cell[0] for cell in row] for row in page.evaluate(CELLS)])
    assert np.abs(values - mean[1, 3]).max() < 1e-6
    assert atlas.locator('td[aria-selected="true"]').count() == 1
    page.keyboard.press("Enter")
    assert [selects.nth(i).input_value() for i in range(2)] == ["-1", "-1"]


def test_several_heads_are_chosen_together_and_averaged(opened, pages):
    block = pages.attention(layers=2, heads=5)
    page = opened({"title": "t", "blocks": [block]})
    mean = np.array(block["mean"])
    cells = page.locator('[data-part="atlas"] tbody tr')
    selects = page.locator('[data-view="attention"] > .pickers select')

    def shown():
        return np.array([[cell[0] for cell in row] for row in page.evaluate(CELLS)])

    cells.nth(0).locator("td").nth(1).click()
    cells.nth(1).locator("td").nth(4).click(modifiers=["Control"])
    assert np.abs(shown() - (mean[0, 1] + mean[1, 4]) / 2).max() < 1e-6
    page.keyboard.press("ArrowLeft")
    page.keyboard.press(" ")
    assert np.abs(shown() - (mean[0, 1] + mean[1, 4] + mean[1, 3]) / 3).max() < 1e-6
    assert page.locator('[data-part="atlas"] td[aria-selected="true"]').count() == 3
    assert selects.nth(1).evaluate("(el) => el.selectedOptions[0].textContent") == "mean over 3 chosen heads"
    assert "mean over 3 chosen heads" in page.locator('[data-part="map"] > .caption').inner_text()
    selects.nth(2).select_option("1")
    sample = np.array(block["samples"][1]["mass"])
    assert np.abs(shown() - (sample[0, 1] + sample[1, 4] + sample[1, 3]) / 3).max() < 1e-6
    page.locator('[data-part="atlas"] td[tabindex="0"]').focus()
    page.keyboard.press(" ")
    assert np.abs(shown() - (sample[0, 1] + sample[1, 4]) / 2).max() < 1e-6
    selects.nth(1).select_option("2")
    assert np.abs(shown() - sample[0, 2]).max() < 1e-6, "the layer of the first choice is still the layer"
    page.locator('[data-part="atlas"] td').first.click()
    assert np.abs(shown() - sample[0, 0]).max() < 1e-6


def test_who_asked_in_fewer_samples_is_told_where_samples_are_averaged(opened, pages):
    block = {**pages.attention(), "count": [97, 85, 1]}
    page = opened({"title": "t", "blocks": [block]})
    caption = page.locator('[data-part="map"] > .caption')
    for choice, told in (((), True), ((1, 2), True), ((1, 2, "0"), False)):
        seen(page, *choice)
        plain = caption.inner_text().replace("\u2068", "").replace("\u2069", "")
        assert plain.endswith("Asked in fewer samples: video (85), audio (1).") == told


def test_one_sentence_a_change_is_spoken_and_it_is_true(opened, pages):
    block = pages.attention()
    page = opened({"title": "t", "blocks": [block]})
    page.locator('[data-view="attention"] > .pickers select').nth(1).select_option("2")
    said = page.locator('[data-part="map"] > .sr[role="status"]').text_content()
    mean = np.array(block["mean"])[:, 2].mean(0)
    row, column = np.unravel_index(mean.argmax(), mean.shape)
    plain = said.replace("\u2068", "").replace("\u2069", "")
    names = pages.NAMES
    assert plain.endswith(f"{names[row]} looks most at {names[column]}: {mean.max():.3f}; even share 0.333.")
    assert "mean over 2 layers" in plain and "member 1, head 2" in plain
    assert page.locator('[data-part="map"] > .caption').inner_text().count("mean over 2 layers") == 1


def test_the_keyboard_alone_reaches_every_control_and_never_loses_the_focus(opened, pages):
    page = opened(pages.whole())
    controls = page.evaluate("""() => [...document.querySelectorAll('a,select,input,button,[tabindex="0"]')]
        .filter((el) => el.checkVisibility() && !el.disabled && el.tabIndex >= 0)
        .map((el, i) => { el.dataset.at = i; return i; })""")
    reached = []
    for _ in range(len(controls) + 2):
        page.keyboard.press("Tab")
        at = page.evaluate("document.activeElement.dataset.at ?? document.activeElement.tagName")
        if at == "BODY":
            break
        reached.append(int(at))
    assert reached == sorted(controls)


def test_a_grid_has_one_tab_stop_and_arrows_move_inside(opened, pages):
    page = opened(pages.whole())
    for grid in page.locator('table[role="grid"]').all():
        if not grid.is_visible():
            continue
        assert grid.locator('td[tabindex="0"]').count() == 1
        grid.locator('td[tabindex="0"]').focus()
        rows, columns = grid.locator("tbody tr").count(), grid.locator("thead tr > *").count() - 1
        for key, where in (
            ("ArrowRight", (0, 1)),
            ("ArrowDown", (1, 1)),
            ("End", (1, columns - 1)),
            ("Home", (1, 0)),
            ("Control+End", (rows - 1, columns - 1)),
            ("PageUp", (0, columns - 1)),
            ("Control+Home", (0, 0)),
            ("ArrowLeft", (0, 0)),
        ):
            page.keyboard.press(key)
            at = page.evaluate("""() => { const c = document.activeElement;
                return [c.parentNode.sectionRowIndex, [...c.parentNode.querySelectorAll('td')].indexOf(c)]; }""")
            assert tuple(at) == where, key
            assert grid.locator('td[tabindex="0"]').count() == 1


def test_numbers_are_written_as_python_writes_them(opened, pages):
    rng = np.random.default_rng(7)
    values = [
        *rng.normal(size=300),
        *(10.0 ** rng.uniform(-12, 12, size=300)),
        *(rng.integers(-4096, 4096, 400) / 4096),
    ]
    values += [0.0625, 0.1875, 0.5, 2.5, -0.0004, 1e-5, 1000500.0, 1234567.5, 999999.5, 0.0, 12.0]
    values = [float(v) for v in values]
    page = opened({"title": "t", "blocks": []})
    for digits in (0, 2, 3, 6):
        made = page.evaluate("([all, digits]) => all.map((v) => window.intermodal.figure(v, digits))", [values, digits])
        assert made == [figure(v, digits) for v in values]


def test_a_map_in_which_nobody_asked_can_still_be_turned(opened, pages):
    import numpy as np

    block = pages.attention()
    shape = np.array(block["mean"]).shape
    for key in ("mean", "std"):
        block[key] = np.full(shape, None).tolist()
    for sample in block["samples"]:
        sample["mass"] = np.full(shape, None).tolist()
    block["count"] = [0] * 3
    page = opened({"title": "t", "blocks": [block]})
    selects = page.locator('[data-view="attention"] > .pickers select')
    for index in range(selects.count()):
        for value in selects.nth(index).evaluate("(s) => [...s.options].map((o) => o.value)"):
            selects.nth(index).select_option(value, force=True)
    assert "There is no finite value to colour." in page.locator('[data-view="attention"]').inner_text()
