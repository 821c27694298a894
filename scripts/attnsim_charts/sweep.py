# SPDX-License-Identifier: Apache-2.0
"""Sweep: per workload the simulated time over the axis with the most values; the second axis gives colour and marker, the third the
line. Further axes stay at their first value, which the chart says."""

from . import style
from .style import plt

LINES = ("solid", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)))
PLOT_MM, HEAD_MM, FOOT_MM, LEFT_MM, RIGHT_MM, LINE_MM = 40, 6, 9, 14, 3, 3.7


def figures(database, width_mm):
    """Yields (name, figure), one per sweep that has points on at least one axis."""
    for identity, name in database.sweeps():
        points = database.sweep_points(identity)
        axes = axes_of(points)
        if axes:
            yield f"sweep-{style.slug(name)}-{identity[:4]}", draw(name, points, axes, width_mm)


def axes_of(points):
    """[(path, values)], most values first; only axes on which the points differ and which have numbers."""
    values = {}
    for point in points:
        for path, value in point.coordinates.items():
            values.setdefault(path, set()).add(value if isinstance(value, (int, float)) else None)
    numeric = [(path, sorted(found)) for path, found in values.items() if None not in found and len(found) > 1]
    return sorted(numeric, key=lambda axis: (-len(axis[1]), axis[0]))


def draw(name, points, axes, width_mm):
    workloads = sorted({point.workload for point in points})
    columns = 1 if width_mm < 120 else 2
    rows = -(-len(workloads) // columns)
    drawn, fixed = axes[:3], [(path, values[0]) for path, values in axes[3:]]
    points = [p for p in points if all(p.coordinates.get(path) == value for path, value in fixed)]
    entries = sum(len(values) + 1 for _, values in drawn[1:]) + len(fixed)
    legend_mm = LINE_MM * (-(-entries // columns)) + 3
    cell_mm = HEAD_MM + PLOT_MM + FOOT_MM
    height_mm = rows * cell_mm + legend_mm
    figure = plt.figure(figsize=(style.inches(width_mm), style.inches(height_mm)))
    plot_width = width_mm / columns - LEFT_MM - RIGHT_MM
    for i, workload in enumerate(workloads):
        row, column = divmod(i, columns)
        x = column * width_mm / columns + LEFT_MM
        y = height_mm - (row + 1) * cell_mm + FOOT_MM
        panel = figure.add_axes([x / width_mm, y / height_mm, plot_width / width_mm, PLOT_MM / height_mm])
        curves(panel, [p for p in points if p.workload == workload], drawn)
        panel.set_title(style.cut(workload, plot_width), loc="left", pad=3)
        panel.set_xlabel(drawn[0][0], labelpad=1)
        panel.set_ylabel("simulated time (µs)")
        panel.yaxis.set_label_coords(-(LEFT_MM - 3.6) / plot_width, 0.5)
    legend(figure, drawn, fixed, columns, width_mm, height_mm, legend_mm)
    return figure


def curves(panel, points, drawn):
    x_path, x_values = drawn[0]
    for a, colour_value in enumerate(drawn[1][1] if len(drawn) > 1 else [None]):
        for b, line_value in enumerate(drawn[2][1] if len(drawn) > 2 else [None]):
            mine = sorted((p.coordinates[x_path], p.time_us) for p in points if p.time_us is not None
                          and (len(drawn) < 2 or p.coordinates[drawn[1][0]] == colour_value)
                          and (len(drawn) < 3 or p.coordinates[drawn[2][0]] == line_value))
            panel.plot([x for x, _ in mine], [t for _, t in mine], color=style.SERIES[a % len(style.SERIES)], linestyle=LINES[b % len(LINES)],
                       marker=style.MARKERS[a % len(style.MARKERS)], markersize=3, markerfacecolor="white" if b % 2 else None, linewidth=0.9)
    panel.set_ylim(0, None)
    panel.set_xticks(spaced(x_values))
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    panel.grid(axis="y")
    panel.set_axisbelow(True)


def spaced(values):
    """Those of the values whose tick labels keep apart: at least a sixth of the axis between them."""
    chosen = []
    for value in values:
        if not chosen or value - chosen[-1] >= (values[-1] - values[0]) / 6:
            chosen.append(value)
    return chosen


def legend(figure, drawn, fixed, columns, width_mm, height_mm, legend_mm):
    from matplotlib.lines import Line2D
    entries = []
    for axis, look in zip(drawn[1:], ("colour", "line")):
        entries.append((axis[0], None))
        for i, value in enumerate(axis[1]):
            style_of = {"color": style.SERIES[i % len(style.SERIES)], "marker": style.MARKERS[i % len(style.MARKERS)]} if look == "colour" else {
                "color": style.GREY, "linestyle": LINES[i % len(LINES)]}
            entries.append((f"{value:g}", style_of))
    entries += [(f"{path} = {value:g}", None) for path, value in fixed]
    rows = -(-len(entries) // columns)
    for i, (text, look) in enumerate(entries):
        column, row = divmod(i, rows)
        x, y = column * width_mm / columns + (3 if columns == 1 else LEFT_MM), legend_mm - 1.5 - LINE_MM * row
        if look:
            figure.add_artist(Line2D([(x + 2) / width_mm, (x + 9) / width_mm], [y / height_mm] * 2, markersize=3, linewidth=0.9,
                                     transform=figure.transFigure, **look))
        figure.text((x + (11 if look else 0)) / width_mm, y / height_mm, text, ha="left", va="center", fontweight=None if look else "bold")
