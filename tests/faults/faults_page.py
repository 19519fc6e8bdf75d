"""The faults of the page: what a hand could slip into the report room and its script."""

from fault import group as _group

_J = "report/js/"

FAULTS_PAGE = [
    *_group(
        "report/attention_parts.py",
        "tests/report/test_views.py",
        ("a row's own cell counts as crossing", "if at != index)", "if at >= 0)"),
        ("evenness is not divided by its largest", "/ math.log(len(row)) + 0.0", "+ 0.0"),
        (
            "the mean map forgets the layers",
            "for layer in rounded(values) for head in layer]",
            "for head in rounded(values)[0]][:1]",
        ),
    ),
    *_group(
        "report/parts.py",
        "tests/report/test_views.py",
        ("a gap counts as zero", "if value is not None:", "if (value := value or 0.0) is not None:"),
    ),
    *_group(
        "report/timeline_parts.py",
        "tests/report/test_views.py",
        ("the smallest weight comes first", "heapq.nlargest(", "heapq.nsmallest("),
        (
            "a missing frame counts into the even share",
            "return sum(value is not None and math.isfinite(value) for value in weights)",
            "return len(weights)",
        ),
    ),
    *_group(
        "report/attribution_parts.py",
        "tests/report/test_views.py",
        (
            "f(x) and f(nothing) change places",
            "output, empty[at], *worths, full[at]",
            "output, full[at], *worths, empty[at]",
        ),
        ("a missing modality shows a number", 'WORDS["missing_modality"] if gone else value[at]', "value[at]"),
    ),
    *_group(
        "report/presence_parts.py",
        "tests/report/test_views.py",
        ("missing is counted as present", "[label, n - gone, gone,", "[label, gone, n - gone,"),
    ),
    *_group(
        "report/payload.py",
        "tests/report/test_payload.py",
        ("an element can be ended", '"<": "\\\\u003c", ', ""),
        ("seven digits instead of nine", ':.9g}")', ':.7g}")'),
        ("the drift is left out", "drift = max(drift,", "drift = min(drift,"),
        ("big-endian", 'f"<{len(row)}{form}", *numbers', 'f">{len(row)}{form}", *numbers'),
    ),
    *_group(
        "report/htmlview.py",
        "tests/browser/test_worth.py",
        (
            "the completeness error is not printed",
            'notes(honesty(block)) if block["kind"] == "attribution" else ""',
            '""',
        ),
    ),
    *_group(
        "report/html.py",
        "tests/report/test_views.py",
        ("the last of two titles is meant", "reversed(list(enumerate(blocks)))", "list(enumerate(blocks))"),
    ),
    *_group(
        "report/curves.py",
        "tests/browser/test_worth.py",
        (
            "curves stand on their head",
            "runs[-1].append((across.at(at), 100 - up.at(value)))",
            "runs[-1].append((across.at(at), up.at(value)))",
        ),
    ),
    *_group(
        _J + "attention.js",
        "tests/browser/test_picking.py",
        ("the wrong axis of the map", "mean(heads.map((one) => one[i][j]))", "mean(heads.map((one) => one[j][i]))"),
        ("the layer is not chosen", "[[layer, l], [head, h]].every", "[[head, h]].every"),
        ("the head is not chosen", "[[layer, l], [head, h]].every", "[[layer, l]].every"),
        ("a head taken out again stays", "if (again) several.delete", "if (false) several.delete"),
        ("several heads are forgotten", "(several.size ? isChosen(l, h)", "(false ? isChosen(l, h)"),
        ("samples are off by one", "samples[Number(show.value)].mass", "samples[Number(show.value) ? 0 : 1].mass"),
        ("the spread shows the mean", 'show.value === "std" ? stds', 'show.value === "std" ? means'),
        ("the difference has the wrong sign", "(v === null ? null : v - uniform)", "(v === null ? null : uniform - v)"),
        (
            "colours are stretched to what is there",
            "return { low: 0, high: 1, digits: 3, uniform, log",
            "return { low: 0, high: Math.max(...values().flat()), digits: 3, uniform, log",
        ),
        ("the wrong side is hidden", "self: (r, c) => r === c", "self: (r, c) => r !== c"),
        (
            "what is spoken names who is asked first",
            "asks: named(data.names[best[1]])",
            "asks: named(data.names[best[2]])",
        ),
        (
            "choosing a head takes its layer",
            "head.value = again && data.heads.length > 1",
            "head.value = data.heads.length > 1",
        ),
    ),
    *_group(
        _J + "figures.js",
        "tests/browser/test_picking.py",
        ("an exact half goes up", "% 2 === 0 ? below : text", "% 2 === 2 ? below : text"),
        ("a small number is shown as zero", "Number(shown) === 0 ? twoDigits(value) : shown", "shown"),
    ),
    *_group(
        _J + "grid.js",
        "tests/browser/test_picking.py",
        ("two tab stops", "rows[row][column].tabIndex = -1;\n    row =", "row ="),
        ("End goes one too far", "End: [far ? bottom : row, last]", "End: [far ? bottom : row, last - 1]"),
    ),
    *_group(
        _J + "track.js",
        "tests/browser/test_time.py",
        (
            "rows and frames change places",
            "word * this.frames, (word + 1) * this.frames",
            "word * this.words.length, (word + 1) * this.frames",
        ),
        (
            "bins show the last weight and not the largest",
            "best[at] === null || row[k] > best[at] || Number.isNaN(best[at])",
            "true",
        ),
        (
            "frames are drawn by number and not by time",
            "bars.push([(start - from) * scale,",
            "bars.push([(k * (to - from) / this.frames) * scale,",
        ),
        ("half floats lose their small numbers", "2 ** -14 * (fraction / 1024)", "0"),
    ),
    *_group(
        _J + "timeline.js",
        "tests/browser/test_time.py",
        (
            "a click lands at the mirror place",
            "(Math.max(0, Math.min(width, event.clientX - left)) / width)",
            "(1 - Math.max(0, Math.min(width, event.clientX - left)) / width)",
        ),
        ("the share counts every frame", "(a + b) / 2 >= low && (a + b) / 2 <= high && Number", "Number"),
        (
            "the play head stands at the start of its frame",
            "(track.times[frame][0] + track.times[frame][1]) / 2 : low",
            "track.times[frame][0] : low",
        ),
    ),
    *_group(
        _J + "trace.js",
        "tests/browser/test_trace.py",
        ("divided by the width and not its root", "scaled ? Math.sqrt(q.length) : 1", "scaled ? q.length : 1"),
        ("a hidden key keeps its weight", "keep[j] ? score - largest : -Infinity", "score - largest"),
        (
            "the largest is taken over hidden keys too",
            "divided.filter((_, j) => keep[j])",
            "divided.filter(() => true)",
        ),
        ("all hidden gives NaN", "total > 0 ? e / total : 0", "e / total"),
        ("a later step is shown at once", 'column > step ? "" : content', "content"),
    ),
    *_group(
        _J + "attribution.js",
        "tests/browser/test_worth.py",
        ("every bar begins at nothing", "made[made.length - 1] + (value ?? 0)]", "empty + (value ?? 0)]"),
        ("signs lose their colour", 'value < 0 ? "minus" : "plus"', '"plus"'),
        (
            "the output is not chosen",
            "value[at] === null ? null : Number(value[at])",
            "value[0] === null ? null : Number(value[0])",
        ),
    ),
    *_group(
        _J + "saving.js",
        "tests/browser/test_saving.py",
        ("shown digits are saved and not all", "[cell.dataset.v ?? name(cell)]", "[name(cell)]"),
        ("a formula stays a formula", '? "\'" + text : text;', "? text : text;"),
        ("quotes are not doubled", "replaceAll('\"', '\"\"')", "replaceAll('\"', '')"),
    ),
    *_group(
        _J + "end.js",
        "tests/browser/test_saving.py",
        ("a link inside a frame loads the page around it", "  event.preventDefault();\n", ""),
    ),
    *_group(
        "report/style.py",
        "tests/browser/test_reading.py",
        ("ink is too pale", '"muted": "#59626d"', '"muted": "#8a94a0"'),
        ("a table widens the page", ".region{overflow-x:auto;", ".region{"),
    ),
    *_group(
        "report/viewstyle.py",
        "tests/browser/test_reading.py",
        ("tables on request are not printed", ".scripted .again,.scripted .again[data-other]{display:block}", ""),
    ),
    *_group(
        "report/viewstyle.py",
        "tests/browser/test_time.py",
        (
            "bars and axis have two scales",
            ".time canvas{display:block;width:100%;",
            ".time canvas{display:block;width:90%;",
        ),
    ),
]
