"""The one style sheet of the HTML form: quiet type, real tables, light and dark, narrow and printed."""

from __future__ import annotations

from collections.abc import Iterable

from intermodal.report.colours import Theme, colour, ink
from intermodal.report.viewstyle import VIEW_RULES

THEMES: dict[Theme, dict[str, str]] = {
    "light": {
        "page": "#ffffff",
        "ink": "#1a1f26",
        "muted": "#59626d",
        "rule": "#d5dae0",
        "quiet": "#f4f6f8",
        "tint": "#e8f0fb",
        "accent": "#0a58ad",
        "plus": "#4a86cc",
        "minus": "#c46a1c",
        "error": "#b3261e",
        "warning": "#8a5000",
        "note": "#0a58ad",
        "edge": "#7d8793",
        "c0": "#0a58ad",
        "c1": "#b35c12",
        "c2": "#1d7a57",
        "c3": "#8a3ea8",
        "c4": "#3c4650",
    },
    "dark": {
        "page": "#14181d",
        "ink": "#e9ecf0",
        "muted": "#a5afba",
        "rule": "#363e48",
        "quiet": "#1c2229",
        "tint": "#1c2c42",
        "accent": "#86bdff",
        "plus": "#4781c4",
        "minus": "#b9651f",
        "error": "#ff9c92",
        "warning": "#f1bd6c",
        "note": "#86bdff",
        "edge": "#7b8794",
        "c0": "#86bdff",
        "c1": "#f0a25a",
        "c2": "#66c9a0",
        "c3": "#d79bf0",
        "c4": "#c4ccd5",
    },
}

_RULES = """
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--ink);overflow-wrap:anywhere;
font:1rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,"Noto Sans",sans-serif}
header,main,footer{max-width:62rem;margin:0 auto;padding:0 1.5rem}
header{padding-top:3rem}
h1{font-size:1.875rem;line-height:1.2;letter-spacing:-.015em;font-weight:650;margin:0;text-wrap:balance}
.subtitle{color:var(--muted);font-size:1.0625rem;margin:.5rem 0 0;max-width:46rem}
.strip ul{list-style:none;display:flex;flex-wrap:wrap;gap:.375rem .625rem;margin:0;padding:0}
.strip a{display:inline-block;color:var(--ink);text-decoration:none;border:1px solid var(--rule);
border-left:3px solid var(--mark);border-radius:4px;padding:.125rem .625rem;min-height:1.75rem;font-size:.875rem}
.strip a:hover{border-color:var(--mark)}
header .strip{border:0;padding:0}
nav{margin-top:1.5rem;padding:.875rem 0;border-block:1px solid var(--rule)}
nav h2{font-size:.875rem;color:var(--muted);font-weight:500;margin:0 0 .125rem}
nav ul{list-style:none;margin:0;padding:0;display:flex;flex-wrap:wrap;gap:0 1.5rem}
nav a{display:inline-block;padding:.1875rem 0;min-height:1.5rem}
a{color:var(--accent);text-underline-offset:.2em;text-decoration-thickness:1px}
section{margin:2.75rem 0 0}
h2{font-size:1.1875rem;line-height:1.3;font-weight:620;letter-spacing:-.005em;margin:0 0 .625rem}
p{margin:0 0 .75rem;max-width:46rem}
.caption{color:var(--muted);font-size:.9375rem;margin:0 0 .75rem}
.notes{color:var(--muted);font-size:.875rem;margin:.625rem 0 0}
.notes p{margin:0 0 .125rem}
.region{overflow-x:auto;max-width:100%;position:relative}
table{border-collapse:collapse;font-variant-numeric:tabular-nums lining-nums;width:100%}
caption{caption-side:top}
th,td{padding:.4375rem .875rem .4375rem 0;text-align:left;vertical-align:baseline;font-weight:400}
th:last-child,td:last-child{padding-right:.5rem}
th:first-child,td:first-child{padding-left:.5rem}
thead th{color:var(--muted);font-size:.875rem;font-weight:500;vertical-align:bottom;
border-bottom:1px solid var(--muted);overflow-wrap:break-word}
tbody tr>*{border-bottom:1px solid var(--rule)}
.r{text-align:right}.c{text-align:center}
tbody .r{white-space:nowrap}
.data td,.data th{min-width:3rem;max-width:30rem}
.data :is(td,th):not(.r){min-width:7rem}
.data tbody tr:hover>*{background:var(--quiet)}
.data .hit>*{background:var(--tint);font-weight:600}
.data .hit>:first-child{box-shadow:inset 3px 0 0 var(--accent)}
.gap{color:var(--muted)}
details{max-width:100%}
summary{cursor:pointer;min-height:1.5rem}
.full{max-height:16rem;overflow:auto;font-size:.875rem;color:var(--muted)}
dl{display:grid;grid-template-columns:minmax(6rem,max-content) minmax(0,1fr);gap:.3125rem 1.75rem;margin:0}
dt{color:var(--muted)}dd{margin:0;font-variant-numeric:tabular-nums lining-nums}
.chart{table-layout:fixed}
.chart .name{width:27%}.chart .num{width:25%}
.chart tbody th,.chart tbody td{padding-top:.4375rem;padding-bottom:.4375rem;vertical-align:middle}
.chart tr>:first-child{padding-left:0}
.chart tbody tr>*,.chart tfoot tr>*{border-bottom:0}
.chart .ci{color:var(--muted);white-space:nowrap}
.chart tbody .r{white-space:normal}
.plot{position:relative}
.plot svg{position:absolute;inset:0;width:100%;height:100%;overflow:visible;display:block}
.chart tfoot td{height:1.875rem}
.chart tfoot text{fill:var(--muted);font-size:.8125rem;text-anchor:middle}
.grid{stroke:var(--rule)}
.zero{stroke:var(--muted);stroke-width:1.5}
.reference{stroke:var(--ink);stroke-width:1.5;stroke-dasharray:5 4}
.plus{fill:var(--plus)}.minus{fill:var(--minus)}
.whisker{stroke:var(--ink);stroke-width:1.5}.cap{fill:var(--ink)}
.span{stroke:var(--accent);stroke-width:2.5;stroke-linecap:round}
.dot{fill:var(--accent);stroke:var(--accent);stroke-width:2}
.hollow{fill:var(--page)}
.curve{fill:var(--accent)}
.matrix{width:auto;border-collapse:separate;border-spacing:2px}
.matrix th,.matrix td{border:0}
.matrix thead th{padding:0 .375rem .375rem;text-align:center;max-width:8rem;border:0;color:var(--ink);font-weight:400}
.matrix thead th:first-child{text-align:left;color:var(--muted);padding-left:0}
.matrix tbody th{position:sticky;left:0;background:var(--page);padding:.25rem .75rem .25rem 0;
max-width:min(14rem,36vw);min-width:5rem;z-index:1;vertical-align:middle}
.matrix td{min-width:4rem;height:2.5rem;padding:.25rem .5rem;text-align:center;vertical-align:middle;border-radius:3px;
white-space:nowrap}
.matrix td.gap{background:repeating-linear-gradient(135deg,var(--quiet) 0 5px,var(--page) 5px 10px);
box-shadow:inset 0 0 0 1px var(--rule)}
.asks{display:block;white-space:nowrap}
.legend{display:flex;align-items:center;gap:.625rem;margin:.75rem 0 0;font-size:.875rem;color:var(--muted);
font-variant-numeric:tabular-nums}
.legend i{display:flex;flex:0 1 14rem;height:.75rem;border-radius:3px;overflow:hidden;box-shadow:0 0 0 1px var(--rule)}
.legend b{flex:1}.legend span{white-space:nowrap}
.findings{list-style:none;margin:0;padding:0}
.findings li{padding:.125rem 0 .125rem 1rem;border-left:3px solid var(--mark);margin:0 0 1rem}
.findings p{margin:0 0 .125rem}
.error{--mark:var(--error)}.warning{--mark:var(--warning)}.note{--mark:var(--note)}
.badge{color:var(--mark);font-weight:650;margin-right:.5rem;display:inline-block}
.badge::first-letter{text-transform:uppercase}
.id{color:var(--muted)}
.remedy b{font-weight:600}
code,pre{font-family:ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.875rem}
pre{margin:0;padding:.875rem 1rem;background:var(--quiet);border-radius:6px;overflow-wrap:normal;tab-size:4}
footer{margin-top:3.5rem;margin-bottom:2.5rem;color:var(--muted);font-size:.875rem}
footer p{border-top:1px solid var(--rule);padding-top:.875rem;max-width:none}
.tools{display:flex;align-items:center;flex-wrap:wrap;gap:.25rem 1rem;margin:.625rem 0 0;min-height:1.75rem}
button{font:inherit;font-size:.875rem;color:var(--accent);background:none;border:1px solid var(--rule);text-align:left;
border-radius:5px;padding:.125rem .625rem;min-height:1.75rem;cursor:pointer}
button:hover{border-color:var(--accent)}
.live{margin:0;color:var(--muted);font-size:.875rem;font-variant-numeric:tabular-nums}
.sr{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px;border-radius:3px}
td:focus,td:focus-visible{outline:2px solid #fff;outline-offset:-4px;
box-shadow:inset 0 0 0 2px #000,inset 0 0 0 4px #fff}
@media (max-width:40rem){
header,main,footer{padding:0 1rem}header{padding-top:1.75rem}
h1{font-size:1.5rem}
dl{grid-template-columns:minmax(0,1fr);gap:0}dd{margin:0 0 .5rem}
.chart .name{width:30%}.chart .num{width:30%}
.chart th,.chart td{padding-right:.5rem}.chart .ci{display:block;font-size:.8125rem;white-space:normal}
.odd{display:none}
.matrix td{min-width:3.25rem}
}
@media (prefers-reduced-motion:no-preference){html{scroll-behavior:smooth}}
@media (forced-colors:active){
.plus,.minus,.cap,.curve{fill:CanvasText}.whisker,.span,.zero,.reference,.dot{stroke:CanvasText}.dot{fill:CanvasText}
.hollow{fill:Canvas}.matrix td{border:1px solid CanvasText}.hit>*{outline:2px solid Highlight;outline-offset:-2px}
td:focus,td:focus-visible{outline:3px solid Highlight}.legend i{display:none}
}
@media print{
body{font-size:10pt}header,main,footer{max-width:none;padding:0}header{padding-top:0}
nav,.tools{display:none}.region{overflow:visible}.full{max-height:none}
section{margin-top:1.5rem}tr,li,dl,.legend{break-inside:avoid}h2,caption{break-after:avoid}thead{display:table-header-group}
.matrix tbody th{position:static}
.matrix td,.legend b,.plot,.hit>*{-webkit-print-color-adjust:exact;print-color-adjust:exact}
}
"""


def style(levels: Iterable[tuple[bool, int]], *, views: bool = False) -> str:
    """Return the style sheet with a rule for each heat-map colour that the page uses.

    Args:
        levels: pairs (signed, level) as the cells name them.
        views: with the rules for blocks that one can pick in.

    Example:
        >>> ".h255{" in style([(False, 255)]), ".h254{" in style([(False, 255)])
        (True, False)
    """
    used = sorted(set(levels))
    dark = f"{_variables('dark')}{_heat(used, 'dark')}"
    rules = _RULES + (VIEW_RULES if views else "")
    return f"{_variables('light')}{rules}{_heat(used, 'light')}@media screen and (prefers-color-scheme:dark){{{dark}}}"


def heat_class(signed: bool, level: int) -> str:
    """Return the class name of one heat-map colour.

    Example:
        >>> heat_class(False, 7), heat_class(True, 128)
        ('h7', 'd128')
    """
    return f"{'d' if signed else 'h'}{level}"


def _variables(theme: Theme) -> str:
    return ":root{" + "".join(f"--{name}:{value};" for name, value in THEMES[theme].items()) + "}"


def _heat(used: list[tuple[bool, int]], theme: Theme) -> str:
    rules = []
    for signed, level in used:
        back = colour(level, theme, signed=signed)
        rules.append(f".{heat_class(signed, level)}{{background:{back};color:{ink(back)}}}")
    return "".join(rules)
