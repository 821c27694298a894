# SPDX-License-Identifier: Apache-2.0
"""Predicted against measured time, log-log, one panel per measurement file and device: the 1:1 line, bands of 10 and 20 %, colours
and markers by kernel and phase."""

from collections import Counter

from matplotlib.ticker import LogFormatterMathtext, LogLocator, NullFormatter

from . import style
from .style import plt

BANDS = ((0.20, "#E8E8E8", "±20 %"), (0.10, "#CFCFCF", "±10 %"))
LEGEND_MM = 3.6


def figures(database, width_mm):
    """Yields (name, figure), one per measurement file."""
    rows = database.validation_rows()
    for file in sorted({row.file for row in rows}):
        yield f"scatter-{style.slug(file.removesuffix('.csv'))}", draw(file, [row for row in rows if row.file == file], width_mm)


def draw(file, rows, width_mm):
    devices = sorted({row.device for row in rows})
    kinds = sorted({(row.kernel, row.phase) for row in rows})
    kernels = sorted({kernel for kernel, _ in kinds})
    phases = sorted({phase for _, phase in kinds})
    looks = {(k, p): (style.SERIES[kernels.index(k) % len(style.SERIES)], style.MARKERS[phases.index(p) % len(style.MARKERS)])
             for k, p in kinds}
    columns = min(len(devices), 1 if width_mm < 120 else 2 if len(devices) != 3 else 3)
    lines = -(-len(devices) // columns)
    legend_columns = 1 if width_mm < 120 else 3
    left_mm, gap_mm, right_mm, bottom_mm, head_mm = 12, 14, 3, 9, 6
    side_mm = min(68.0, (width_mm - left_mm - right_mm - gap_mm * (columns - 1)) / columns)
    legend_mm = LEGEND_MM * (-(-(len(kinds) + 2) // legend_columns)) + 3
    cell_mm = side_mm + bottom_mm + head_mm
    height_mm = cell_mm * lines + legend_mm
    figure = plt.figure(figsize=(style.inches(width_mm), style.inches(height_mm)))
    for i, device in enumerate(devices):
        line, column = divmod(i, columns)
        x = left_mm + column * (side_mm + gap_mm)
        y = height_mm - cell_mm * (line + 1) + bottom_mm
        axes = figure.add_axes([x / width_mm, y / height_mm, side_mm / width_mm, side_mm / height_mm])
        panel(axes, device, [row for row in rows if row.device == device], looks)
        axes.yaxis.set_label_coords(-(left_mm - 3.6) / side_mm, 0.5)
    legend(figure, looks, rows, legend_columns, left_mm / width_mm, (legend_mm - 1) / height_mm)
    return figure


def panel(axes, device, rows, looks):
    times = [t for row in rows for t in (row.measured_us, row.predicted_us)]
    low, high = min(times) / 1.5, max(times) * 1.5
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    for width, colour, _ in BANDS:
        axes.fill_between([low, high], [low * (1 - width), high * (1 - width)], [low * (1 + width), high * (1 + width)], color=colour,
                          linewidth=0, zorder=0)
    axes.plot([low, high], [low, high], color=style.BLACK, linewidth=0.7, zorder=1)
    for kind, (colour, marker) in looks.items():
        mine = [row for row in rows if (row.kernel, row.phase) == kind]
        axes.plot([r.measured_us for r in mine], [r.predicted_us for r in mine], linestyle="none", marker=marker, markersize=2.8, color=colour,
                  markerfacecolor=colour, markeredgecolor="white", markeredgewidth=0.2, alpha=0.85, zorder=2)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(base=10, numticks=7))
        axis.set_major_formatter(LogFormatterMathtext(base=10))
        axis.set_minor_formatter(NullFormatter())
    errors = [abs(r.predicted_us - r.measured_us) / r.measured_us for r in rows]
    near = sum(e <= 0.2 for e in errors) / len(errors)
    axes.text(0.04, 0.96, f"{len(rows)} rows\nmean error {100 * sum(errors) / len(errors):.1f} %\nwithin 20 %: {100 * near:.0f} %",
              transform=axes.transAxes, ha="left", va="top")
    axes.set_title(device, loc="left", pad=3)
    axes.set_xlabel("measured time (µs)", labelpad=1)
    axes.set_ylabel("predicted time (µs)", labelpad=1)


def legend(figure, looks, rows, columns, left, top):
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    counts = Counter((row.kernel, row.phase) for row in rows)
    handles = [Line2D([], [], marker=marker, color=colour, linestyle="none", markersize=4, label=f"{kernel}, {phase} ({counts[kernel, phase]})")
               for (kernel, phase), (colour, marker) in looks.items()]
    handles += [Patch(color=colour, label=label) for _, colour, label in reversed(BANDS)]
    figure.legend(handles=handles, loc="upper left", bbox_to_anchor=(left, top), ncol=columns, handletextpad=0.4, columnspacing=1.5,
                  borderpad=0, borderaxespad=0, labelspacing=0.35, handlelength=1.2)
