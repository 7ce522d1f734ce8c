# SPDX-License-Identifier: BSD-2-Clause
"""Writes a report: one HTML file with tables and plots that needs no network."""

import html
import json
import os

HERE = os.path.dirname(os.path.abspath(__file__))

STYLE = """
:root { --ink:#1b1f24; --faint:#667; --line:#d8dde3; --paper:#fff; --card:#f6f8fa; --good:#1a7f37; --bad:#cf222e; }
@media (prefers-color-scheme: dark) { :root { --ink:#e6e9ed; --faint:#99a3ad; --line:#3a424b; --paper:#15191e;
  --card:#1d232a; --good:#3fb950; --bad:#f85149; } }
body { font:15px/1.5 system-ui,sans-serif; color:var(--ink); background:var(--paper); max-width:1080px;
  margin:2rem auto; padding:0 1rem; }
h1 { font-size:1.6rem; margin-bottom:.2rem; } h2 { font-size:1.15rem; margin-top:2.4rem; }
p.lead, p.note { color:var(--faint); max-width:75ch; }
table { border-collapse:collapse; width:100%; font-variant-numeric:tabular-nums; }
th, td { text-align:right; padding:.3rem .7rem; border-bottom:1px solid var(--line); }
th:first-child, td:first-child { text-align:left; } th { font-weight:600; color:var(--faint); }
.plot { background:var(--card); border-radius:8px; padding:.8rem .5rem .3rem; margin:1rem 0; }
.u-title { font-size:14px; font-weight:600; } .u-legend { font-size:12px; }
dl { display:grid; grid-template-columns:max-content 1fr; gap:.1rem 1.2rem; color:var(--faint); font-size:13px; }
dd { margin:0; color:var(--ink); } pre { background:var(--card); padding:.8rem; overflow:auto; font-size:13px; }
"""

SCRIPT = """
const dark = matchMedia('(prefers-color-scheme: dark)').matches;
const colours = dark ? ['#58a6ff','#f0883e','#3fb950','#d2a8ff','#ff7b72','#e3b341','#76e3ea']
                     : ['#0969da','#bc4c00','#1a7f37','#8250df','#cf222e','#9a6700','#1b7c83'];
const ink = dark ? '#99a3ad' : '#57606a', grid = {stroke: dark ? '#2b323a' : '#e3e7ec', width: 1};
const axis = (label, more) => Object.assign({label, stroke: ink, grid, ticks: grid, labelSize: 22, size: 58}, more);
function lines(at, p) {
  const data = uPlot.join(p.series.map(s => [s.x, s.y]));
  return [data, {series: [{label: p.x}].concat(p.series.map((s, i) => ({label: s.name,
    stroke: colours[i % colours.length], width: 1.5, spanGaps: true, points: {show: false}}))),
    scales: {x: {time: false}}, axes: [axis(p.x, {size: 36}), axis(p.y)]}];
}
function bars(at, p) {
  const n = p.names.length, groups = p.series.length;
  const data = [p.names.map((_, i) => i)].concat(p.series.map(s => s.y));
  const width = 0.8 / groups;
  const draw = g => (u, seriesIdx) => {
    const ctx = u.ctx; ctx.save(); ctx.fillStyle = colours[g % colours.length];
    u.data[seriesIdx].forEach((v, i) => { if (v == null) return;
      const left = u.valToPos(i - 0.4 + g * width, 'x', true), right = u.valToPos(i - 0.4 + (g + 0.92) * width, 'x', true);
      const top = u.valToPos(v, 'y', true), base = u.valToPos(0, 'y', true);
      ctx.fillRect(left, top, right - left, base - top); });
    ctx.restore(); return null;
  };
  return [data, {series: [{label: '', value: (u, v) => v == null ? '' : p.names[v]}].concat(p.series.map((s, g) => ({
    label: s.name, stroke: colours[g % colours.length], fill: colours[g % colours.length], paths: draw(g),
    points: {show: false}}))),
    scales: {x: {time: false, range: [-0.6, n - 0.4]}, y: {range: (u, lo, hi) => [0, (hi || 1) * 1.08]}},
    axes: [axis('', {size: 30, labelSize: 0, splits: () => p.names.map((_, i) => i),
      values: (u, s) => s.map(v => p.names[v])}), axis(p.y)]}];
}
document.querySelectorAll('.plot').forEach(at => {
  const p = JSON.parse(at.querySelector('script').textContent);
  const [data, o] = (p.kind === 'bars' ? bars : lines)(at, p);
  const plot = new uPlot(Object.assign({title: p.title, width: at.clientWidth - 16, height: 340,
    cursor: {drag: {x: p.kind !== 'bars', y: false}}}, o), data, at);
  addEventListener('resize', () => plot.setSize({width: at.clientWidth - 16, height: 340}));
});
"""


def asset(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as f:
        return f.read()


def table(columns, rows):
    e = html.escape
    head = "".join(f"<th>{e(c)}</th>" for c in columns)
    body = "".join("<tr>" + "".join(f"<td>{e(str(v))}</td>" for v in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def text(paragraph):
    return f'<p class="note">{html.escape(paragraph)}</p>'


def heading(words):
    return f"<h2>{html.escape(words)}</h2>"


def facts(pairs):
    return "<dl>" + "".join(f"<dt>{html.escape(k)}</dt><dd>{html.escape(str(v))}</dd>" for k, v in pairs) + "</dl>"


def embedded(data):
    return json.dumps(data).replace("<", "\\u003c")


def lines(title, x, y, series):
    """`series`: (name, xs, ys) each; xs ascend."""
    data = {"kind": "lines", "title": title, "x": x, "y": y,
            "series": [{"name": n, "x": xs, "y": ys} for n, xs, ys in series]}
    return f'<div class="plot"><script type="application/json">{embedded(data)}</script></div>'


def bars(title, y, names, series):
    """`series`: (name, ys) each, one y per name."""
    data = {"kind": "bars", "title": title, "y": y, "names": names,
            "series": [{"name": n, "y": ys} for n, ys in series]}
    return f'<div class="plot"><script type="application/json">{embedded(data)}</script></div>'


def write(path, title, lead, parts):
    e = html.escape
    page = (f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{e(title)}</title>'
            '<meta name="viewport" content="width=device-width">'
            f"<style>{asset('uPlot.min.css')}{STYLE}</style></head><body><h1>{e(title)}</h1>"
            f'<p class="lead">{e(lead)}</p>{"".join(parts)}'
            f"<!-- uPlot {e(asset('uPlot.LICENSE'))} --><script>{asset('uPlot.iife.min.js')}</script>"
            f"<script>{SCRIPT}</script></body></html>\n")
    with open(path, "w", encoding="utf-8") as f:
        f.write(page)
