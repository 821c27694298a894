# SPDX-License-Identifier: Apache-2.0
"""Tune: sparsity of the visited tiles against simulated time of every candidate that was simulated, full markers where no score is
tested, one colour and marker per window, and the front: none is as sparse, of as small a stride, and faster."""

from matplotlib.lines import Line2D

from . import style
from .style import plt

PLOT_MM, HEAD_MM, FOOT_MM, LEFT_MM, RIGHT_MM, LINE_MM = 52, 6, 9, 13, 4, 3.7


def draw(tuning, width_mm):
    candidates = [c for c in tuning["candidates"] if c["time_us"] is not None]
    windows = sorted({c["window"] for c in candidates}, key=lambda w: -min(c["sparsity"] for c in candidates if c["window"] == w))
    columns = 1 if width_mm < 120 else 2
    legend_mm = LINE_MM * -(-(len(windows) + 3) // columns) + 3
    height_mm = HEAD_MM + PLOT_MM + FOOT_MM + legend_mm
    plot_width = width_mm - LEFT_MM - RIGHT_MM
    figure = plt.figure(figsize=(style.inches(width_mm), style.inches(height_mm)))
    axes = figure.add_axes([LEFT_MM / width_mm, (legend_mm + FOOT_MM) / height_mm, plot_width / width_mm, PLOT_MM / height_mm])
    looks = {w: (style.SERIES[i % len(style.SERIES)], style.MARKERS[i % len(style.MARKERS)]) for i, w in enumerate(windows)}
    for c in candidates:
        colour, marker = looks[c["window"]]
        axes.plot(c["time_us"], 100 * c["tile_sparsity"], linestyle="none", marker=marker, markersize=4.2, color=colour,
                  markerfacecolor=colour if c["block_sparse"] else "white", markeredgewidth=0.8, clip_on=False, zorder=3)
    front = sorted((c for c in candidates if c["front"]), key=lambda c: c["time_us"])
    axes.plot([c["time_us"] for c in front], [100 * c["tile_sparsity"] for c in front], color=style.GREY, linewidth=0.8, zorder=2)
    label_strides(axes, front)
    axes.set_xlabel("simulated time (µs)", labelpad=1)
    axes.set_ylabel("KV tiles left out (%)")
    axes.margins(0.08, 0.12)
    axes.grid(True, zorder=0)
    dense = tuning["dense"]
    axes.set_title(style.cut(f"layout {tuning['layout']}, {tuning['chip']}; dense {style.time_text(dense['time_us'])}", plot_width), loc="left", pad=3)
    handles = [Line2D([], [], linestyle="none", marker=m, color=c, markersize=4.2, label=f"window {w}") for w, (c, m) in looks.items()]
    handles += [Line2D([], [], linestyle="none", marker="o", color=style.GREY, markersize=4.2, label="fully block-sparse"),
                Line2D([], [], linestyle="none", marker="o", color=style.GREY, markerfacecolor="white", markersize=4.2, label="scores tested"),
                Line2D([], [], color=style.GREY, linewidth=0.8, label="front, with strides")]
    figure.legend(handles=handles, loc="upper left", bbox_to_anchor=(LEFT_MM / width_mm, (legend_mm - 1) / height_mm), ncol=columns,
                  borderpad=0, borderaxespad=0, labelspacing=0.35, handletextpad=0.4)
    return figure


def label_strides(axes, front):
    """Above and below in turns, so that neighbours don't cover each other."""
    for i, c in enumerate(front):
        above = i % 2 == 0
        axes.annotate(c["stride"], (c["time_us"], 100 * c["tile_sparsity"]), xytext=(0, 5 if above else -5), textcoords="offset points",
                      ha="center", va="bottom" if above else "top", color=style.BLACK)
