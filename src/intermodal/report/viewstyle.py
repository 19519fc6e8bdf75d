"""The rules for the blocks one can turn and pick in: choosers, players, bars that lead from one value to the next."""

from __future__ import annotations

VIEW_RULES = """
h3{font-size:1rem;font-weight:620;margin:1.75rem 0 .375rem}
.view{position:relative}
.part+.part{margin-top:1.25rem}
.pickers{display:flex;flex-wrap:wrap;gap:.625rem 1rem;align-items:end;margin:0 0 1rem}
.pickers label{display:flex;flex-direction:column;gap:.125rem;min-width:0;max-width:100%}
.pickers label>span{font-size:.8125rem;color:var(--muted)}
.pickers label>span::first-letter{text-transform:uppercase}
.pickers .check,.vector .check{flex-direction:row;align-items:center;gap:.5rem;display:flex;min-height:2rem}
.pickers .check>span{font-size:.875rem;color:var(--ink)}
.check>span::first-letter{text-transform:none}
select,input{font:inherit;font-size:.875rem;color:var(--ink);background:var(--page);border:1px solid var(--edge);
border-radius:5px;min-height:2rem;padding:.125rem .5rem;max-width:100%}
select{max-width:min(19rem,100%);text-overflow:ellipsis;padding-right:.25rem}
select:disabled,button:disabled{color:var(--muted);border-style:dashed;cursor:default}
input[type=number]{width:6.5rem}
input[type=checkbox]{width:1.5rem;height:1.5rem;min-height:0;margin:0;accent-color:var(--accent)}
input[type=range]{flex:1;min-width:8rem;padding:0;border:0;accent-color:var(--accent);background:none}
input[aria-invalid=true]{border:2px solid var(--error)}
.hint{font-size:.875rem;color:var(--muted);margin:0;align-self:center}
.matrix td.chosen{box-shadow:inset 0 0 0 2px var(--page),0 0 0 2px var(--ink);font-weight:700}
.matrix td[aria-selected]{cursor:pointer}
.legend i{position:relative}
.legend svg{position:absolute;inset:0}
.legend em{font-style:normal}.legend em::before{content:"";display:inline-block;width:2px;height:.75rem;
background:var(--ink);margin-right:.375rem;vertical-align:-1px}
.legend .under{stroke:#fff;stroke-width:5}.legend .over{stroke:#000;stroke-width:2}
.scripted .again{display:none}.scripted .tables>.again{display:block}.scripted .tables>.again[data-other]{display:none}
.fall .end th,.fall .end .r{font-weight:620}
.fall .level{stroke:var(--ink);stroke-width:2.5}
.fall .link{stroke:var(--muted);stroke-width:1.5;stroke-dasharray:2 3}
.fall tbody td{height:2.125rem}
.presence{width:auto;border-collapse:separate;border-spacing:2px}
.presence th,.presence td{padding:.25rem .5rem;border:0}
.presence thead th{color:var(--ink);text-align:center;font-weight:400;max-width:8rem}
.presence tbody th{position:sticky;left:0;background:var(--page);max-width:min(14rem,36vw)}
.presence td{min-width:4.5rem;height:1.75rem;text-align:center;border-radius:3px;font-size:.8125rem}
.there{background:var(--plus)}
.away{background:var(--page);box-shadow:inset 0 0 0 1px var(--edge)}
.away::before{content:"✕ "}
.curves{display:block;max-width:46rem;margin:0 0 1.25rem}
.curves p{font-size:.8125rem;color:var(--muted);margin:0}
.ylabel{padding-left:.25rem}.curves .xlabel{text-align:right;padding-right:.75rem}
.room{padding:.75rem .75rem 2rem 3.75rem}
.lines{display:block;width:100%;height:17rem;overflow:visible}
.lines svg{overflow:visible}
.lines text{fill:var(--muted);font-size:.8125rem}
.lines .y{text-anchor:end;dominant-baseline:central}.lines .x{text-anchor:middle}
.line{fill:none;stroke-width:2;vector-effect:non-scaling-stroke;stroke-linejoin:round}
.dash1{stroke-dasharray:8 4}.dash2{stroke-dasharray:2 3}.dash3{stroke-dasharray:10 3 2 3}.dash4{stroke-dasharray:14 5}
.line.c0{stroke:var(--c0)}.line.c1{stroke:var(--c1)}.line.c2{stroke:var(--c2)}.line.c3{stroke:var(--c3)}
.line.c4{stroke:var(--c4)}
.c0{--here:var(--c0)}.c1{--here:var(--c1)}.c2{--here:var(--c2)}.c3{--here:var(--c3)}.c4{--here:var(--c4)}
.mark{overflow:visible;fill:var(--here);stroke:var(--page);stroke-width:1}
.mark .cross{stroke:var(--here);stroke-width:2.5;fill:none}
.band{fill:var(--muted);fill-opacity:.22}.halo{fill:var(--here);fill-opacity:.16}
.keys{list-style:none;display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;margin:.5rem 0 0;padding:0;font-size:.875rem}
.keys li{display:flex;align-items:center;gap:.5rem}
.keys svg{overflow:visible;flex:none}
.tall{max-height:27rem;overflow-y:auto}
.time thead th{position:sticky;top:0;background:var(--page);z-index:2}
.time .name{width:9.5rem}.time .num{width:10.5rem}
.time tfoot td{position:sticky;bottom:0;background:var(--page);z-index:2}
.time tbody .r,.time tbody th{white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.time tbody .r{font-size:.875rem;color:var(--muted)}
.time tbody tr>*{padding-top:1px;padding-bottom:1px}
.time tbody .plot{--bar:var(--plus);--span:var(--minus);--hatch:var(--muted);cursor:crosshair;
touch-action:pan-y;height:30px}
.time canvas{display:block;width:100%;height:28px;border-bottom:1px solid var(--rule)}
.time .plot svg{position:absolute;inset:0;width:calc(100% - .875rem);height:100%;pointer-events:none;overflow:visible}
.time .playhead{stroke:var(--ink);stroke-width:1.5}
.time .playhead[hidden]{display:none}
.time .hit th{font-weight:650;box-shadow:inset 3px 0 0 var(--accent)}.time .hit .r{color:var(--ink)}
.time .hit th{padding-left:.625rem}
.slide{display:flex;align-items:center;gap:.75rem;margin:.75rem 0 .25rem;font-size:.875rem;max-width:46rem}
.told{margin:0 0 .125rem;font-variant-numeric:tabular-nums}
.best p{font-size:.875rem;color:var(--muted);margin:.75rem 0 .25rem}
.best ol{list-style:none;display:flex;flex-wrap:wrap;gap:.375rem .5rem;margin:0;padding:0}
.entry{display:flex;flex-wrap:wrap;gap:.75rem 1.75rem;margin:0 0 1rem}
.vector{display:flex;flex-direction:column;gap:.25rem;max-width:100%}
.numbers{display:flex;flex-wrap:wrap;align-items:center;gap:.25rem}
.kind{font-size:.8125rem;color:var(--muted);min-width:3rem}
.numbers input{width:4.5rem;text-align:right;font-variant-numeric:tabular-nums}
.walk{display:flex;flex-wrap:wrap;align-items:center;gap:.5rem;margin:0 0 .75rem}
.view details{margin:0 0 1rem}.view summary{font-size:.875rem;color:var(--accent)}
.view details .entry{margin-top:.75rem}
.formula{margin:0;flex:1 1 20rem;min-height:3.1em;display:flex;align-items:center}
.work td{min-width:5.5rem;height:2.25rem}
.work .now{background:var(--tint);font-weight:600}
.work thead .now{color:var(--ink)}
.work .away th,.work .away td{color:var(--muted)}
.work .away th{text-decoration:line-through}
.work tfoot>tr>*{border-top:1px solid var(--muted)}
.said{margin:.75rem 0 0}
@media (max-width:40rem){
.pickers label{flex:1 1 100%}.pickers select{max-width:none}.pickers label:has(input[type=number]){flex:1 1 40%}
.pickers .check{flex:1 1 100%}input[type=number]{width:100%}
.room{padding-left:3rem}.lines{height:13rem}
.time .name{width:30%}.time .num,.time tbody .r,.time tfoot td:last-child{display:none}.slide{flex-wrap:wrap}
.legend i{flex:1 1 6rem}.legend{flex-wrap:wrap}.legend em{flex-basis:100%}
.fall .name{width:38%}.fall th{font-size:.9375rem}
}
@media (forced-colors:active){
.there{background:CanvasText;forced-color-adjust:none}.away{border:1px dashed CanvasText}
.line{stroke:CanvasText}.mark{fill:CanvasText;stroke:Canvas}.mark .cross{stroke:CanvasText}.band,.halo{fill:GrayText}
.fall .level,.fall .link,.time .playhead{stroke:CanvasText}
.matrix td.chosen{outline:3px solid Highlight;outline-offset:-3px}
.time tbody .plot{--bar:CanvasText;--span:Highlight;--hatch:GrayText;forced-color-adjust:none;color:CanvasText}
.time .hit th{border-left:4px solid Highlight}.work .now{outline:2px solid Highlight;outline-offset:-2px}
}
@media print{
.scripted .again,.scripted .again[data-other]{display:block}
.pickers,.slide,.walk,.entry,.best,.hint,[data-part=work]{display:none}
.tall{max-height:none;overflow:visible}
[data-part=time],[data-part=work],.said{display:none}
.there,.band,.halo,.away{-webkit-print-color-adjust:exact;print-color-adjust:exact}
}
"""
