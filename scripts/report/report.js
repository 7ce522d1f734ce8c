// SPDX-License-Identifier: BSD-2-Clause
// Draws each .plot from the JSON inside it, with uPlot.
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
