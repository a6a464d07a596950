"""Grouped horizontal bars as SVG text, so that a report needs no plotting library.

Colours are readable on light and on dark backgrounds; every bar has its number beside it.
"""
import math
from html import escape

COLOURS = ("#d9480f", "#4c6ef5", "#868e96", "#2b8a3e", "#ae3ec9")
BAR, GAP, GROUP_GAP, LABEL_WIDTH, PLOT_WIDTH, VALUE_WIDTH, TOP = 12, 2, 10, 190, 420, 80, 52


def _text(x, y, content, anchor="start", size=11, weight="normal"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}">'
            f"{escape(content)}</text>")


def _length(value, largest, smallest, logarithmic):
    if value <= 0:
        return 0
    if not logarithmic:
        return PLOT_WIDTH * value / largest
    decades = math.log10(largest / smallest) or 1
    return PLOT_WIDTH * max(0.01, math.log10(max(value, smallest) / smallest) / decades)


def bars(title, names, groups, form="{:.2f}", logarithmic=False):
    """groups: (label, {name: value}) pairs; a name without a value in a group gets no bar there."""
    values = [value for _, row in groups for value in row.values()]
    largest = max([*values, 1e-9])
    smallest = min([value for value in values if value > 0] or [largest]) / 2
    parts, y = [], TOP
    for label, row in groups:
        present = [name for name in names if name in row]
        height = len(present) * (BAR + GAP)
        parts.append(_text(LABEL_WIDTH - 8, y + height / 2 + 3, label, "end"))
        for name in present:
            length = _length(row[name], largest, smallest, logarithmic)
            colour = COLOURS[names.index(name) % len(COLOURS)]
            size = f'width="{length:.1f}" height="{BAR}"'
            parts.append(f'<rect x="{LABEL_WIDTH}" y="{y}" {size} rx="2" fill="{colour}"/>')
            parts.append(_text(LABEL_WIDTH + length + 5, y + BAR - 2, form.format(row[name])))
            y += BAR + GAP
        y += GROUP_GAP
    width = LABEL_WIDTH + PLOT_WIDTH + VALUE_WIDTH
    head = [_text(8, 18, title + (" (logarithmic)" if logarithmic else ""), size=14, weight="bold")]
    for i, name in enumerate(names):
        x = LABEL_WIDTH + 110 * i
        head.append(f'<rect x="{x}" y="30" width="10" height="10" rx="2" fill="{COLOURS[i % len(COLOURS)]}"/>')
        head.append(_text(x + 15, 39, name))
    body = "\n".join(head + parts)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" width="{width}" height="{y}" '
            f'font-family="sans-serif">\n<style>text {{ fill: #212529 }} '
            f"@media (prefers-color-scheme: dark) {{ text {{ fill: #dee2e6 }} }}</style>\n{body}\n</svg>\n")
