# SPDX-License-Identifier: Apache-2.0
"""Staircase: per workload the time of every rung, from `flops` down to `simulated` (and `measured`), beside its baseline's, with
promise (rung over rung) and bound (the baseline's best time over the rung)."""

import math

from matplotlib.ticker import FixedLocator, NullLocator

from . import style
from .style import plt

RUNGS = ("flops", "roofline", "tile", "schedule", "simulated", "measured")
ROW_MM, HEAD_MM, FOOT_MM, FRAME_MM = 4.2, 14, 10.5, 2
COLUMNS_MM = (12, 11, 11)  # time, promise, bound
NAMES_MM = 14
TICK_MM = 9  # between tick labels


def figures(database, width_mm):
    """Yields (name, figure), one per chip."""
    workloads = [w for w in database.workloads() if w.rungs]
    for chip in sorted({w.chip for w in workloads}):
        yield f"staircase-{style.slug(chip)}", draw(chip, [(w, database.comparison(w.result)) for w in workloads if w.chip == chip], width_mm)


def draw(chip, pairs, width_mm):
    columns = 1 if width_mm < 120 else 2
    rows = -(-len(pairs) // columns)
    panel_mm = HEAD_MM + ROW_MM * max(len(w.rungs) for w, _ in pairs) + FOOT_MM
    height_mm = rows * panel_mm + 2 * FRAME_MM
    figure = plt.figure(figsize=(style.inches(width_mm), style.inches(height_mm)))
    gap_mm = 6 if columns > 1 else 0
    cell_mm = (width_mm - 2 * FRAME_MM - gap_mm * (columns - 1)) / columns
    for i, (workload, comparison) in enumerate(pairs):
        row, column = divmod(i, columns)
        left = FRAME_MM + column * (cell_mm + gap_mm)
        bottom = height_mm - FRAME_MM - (row + 1) * panel_mm
        panel(figure, chip, workload, comparison, left, bottom, cell_mm, panel_mm, width_mm, height_mm)
    return figure


def panel(figure, chip, workload, comparison, left, bottom, width, height, figure_width, figure_height):
    names = [rung for rung in RUNGS if rung in workload.rungs]
    times = [workload.rungs[rung][0] for rung in names]
    ys = range(len(names))
    text_mm = sum(COLUMNS_MM)
    frame = [left + NAMES_MM, bottom + FOOT_MM, width - NAMES_MM - text_mm, height - HEAD_MM - FOOT_MM]
    axes = figure.add_axes([frame[0] / figure_width, frame[1] / figure_height, frame[2] / figure_width, frame[3] / figure_height])
    axes.set_xscale("log")
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks(list(ys))
    axes.set_yticklabels(names)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.set_axisbelow(True)

    stairs(axes, times, ys, style.BLUE, "solid", "o", style.BLUE)
    spread = list(times)
    if comparison is not None and comparison.baseline != workload.result:
        base = [(comparison.rungs[rung], y) for rung, y in zip(names, ys) if rung in comparison.rungs]
        stairs(axes, [t for t, _ in base], [y for _, y in base], style.VERMILION, (0, (3, 1.5)), "s", "white")
        spread += [t for t, _ in base]
    low, high = min(spread), max(spread)
    margin = max((high / low) ** 0.08, 1.25)
    axes.set_xlim(low / margin, high * margin)
    ticks(axes, frame[2])
    axes.set_xlabel("time (µs)", labelpad=1)
    columns_of_text(figure, axes, names, times, comparison, left + width - text_mm, figure_width)
    heading(figure, workload, comparison, left, bottom + height, width, figure_width, figure_height)


def stairs(axes, times, ys, colour, line, marker, fill):
    corners_x, corners_y = [], []
    for time, y in zip(times, ys):
        corners_x += [time, time]
        corners_y += [y - 0.5, y + 0.5]
    axes.plot(corners_x, corners_y, color=colour, linestyle=line, linewidth=1)
    axes.plot(times, ys, linestyle="none", marker=marker, markersize=4, color=colour, markerfacecolor=fill, markeredgewidth=0.8, clip_on=False)


def ticks(axes, frame_mm):
    """The finest of a few sets of round numbers whose labels keep apart; of a short axis every mark that keeps apart."""
    low, high = axes.get_xlim()

    def marks(steps):
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)))
        return [m * 10.0 ** e for e in decades for m in steps if low <= m * 10.0 ** e <= high]

    def apart_mm(a, b):
        return frame_mm * math.log(b / a) / math.log(high / low)

    chosen = []
    for steps in ((1,), (1, 3), (1, 2, 5)):
        candidates = marks(steps)
        if all(apart_mm(a, b) >= TICK_MM for a, b in zip(candidates, candidates[1:])):
            chosen = candidates
    if len(chosen) < 2:
        chosen = []
        for mark in marks((1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9)):
            if not chosen or apart_mm(chosen[-1], mark) >= TICK_MM:
                chosen.append(mark)
    axes.xaxis.set_major_locator(FixedLocator(chosen))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_locator(NullLocator())


def columns_of_text(figure, axes, names, times, comparison, left_mm, figure_width):
    rights = [left_mm + sum(COLUMNS_MM[:i + 1]) for i in range(3)]
    heads = ("time", "promise", "bound")
    cells = [[style.time_text(t) for t in times],
             [factor(comparison.promise.get(n)) if comparison else "" for n in names],
             [factor(comparison.bound.get(n)) if comparison else "" for n in names]]
    place = axes.get_yaxis_transform()
    box = axes.get_position()
    for right, head, texts in zip(rights, heads, cells):
        x = (right / figure_width - box.x0) / box.width
        axes.text(x, -0.62, head if comparison or head == "time" else "", transform=place, ha="right", va="bottom", color=style.GREY)
        for y, text in enumerate(texts):
            axes.text(x, y, text, transform=place, ha="right", va="center")


def factor(value):
    return "" if value is None else f"{style.three_digits(value)}×"


def heading(figure, workload, comparison, left, top, width, figure_width, figure_height):
    x, y, line = left / figure_width, top / figure_height, 3.4 / figure_height
    figure.text(x, y, style.cut(f"{workload.name} on {workload.chip}", width * 0.9), ha="left", va="top", fontweight="bold")
    figure.text(x, y - line, style.cut(f"● {workload.variant}, {workload.schedule}", width), ha="left", va="top", color=style.BLUE)
    if comparison is None:
        return
    text = f"□ baseline ({'measured' if comparison.measured else 'simulated'}): {comparison.variant}, {comparison.schedule}"
    if comparison.baseline == workload.result:
        text = "its own baseline"
    figure.text(x, y - 2 * line, style.cut(text, width), ha="left", va="top", color=style.VERMILION)
