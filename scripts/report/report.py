# SPDX-License-Identifier: BSD-2-Clause
"""Writes a report: one HTML file with tables and plots that needs no network."""

import html
import json
import os

HERE = os.path.dirname(os.path.abspath(__file__))


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
            f"<style>{asset('uPlot.min.css')}{asset('report.css')}</style></head><body><h1>{e(title)}</h1>"
            f'<p class="lead">{e(lead)}</p>{"".join(parts)}'
            f"<!-- uPlot {e(asset('uPlot.LICENSE'))} --><script>{asset('uPlot.iife.min.js')}</script>"
            f"<script>{asset('report.js')}</script></body></html>\n")
    with open(path, "w", encoding="utf-8") as f:
        f.write(page)
