# SPDX-License-Identifier: Apache-2.0
"""Error by size: per measurement file and device, errors of prediction in bands of measured time; each row a faint mark, each kernel's
mean a line, with the number of rows under every band."""

from . import style
from .style import plt

BANDS = ((0, 20, "≤ 20 µs"), (20, 100, "to 100 µs"), (100, 1000, "to 1 ms"), (1000, float("inf"), "> 1 ms"))
PLOT_MM, HEAD_MM, FOOT_MM, LEFT_MM, RIGHT_MM, LINE_MM = 38, 6, 11, 13, 3, 3.7


def figures(database, width_mm):
    """Yields (name, figure), one per measurement file."""
    rows = database.validation_rows()
    for file in sorted({row.file for row in rows}):
        yield f"errors-{style.slug(file.removesuffix('.csv'))}", draw([row for row in rows if row.file == file], width_mm)


def error(row):
    return 100 * (row.predicted_us / row.measured_us - 1)


def band_of(row):
    return next(i for i, (above, most, _) in enumerate(BANDS) if above < row.measured_us <= most)


def draw(rows, width_mm):
    devices = sorted({row.device for row in rows})
    kinds = sorted({(row.kernel, row.phase) for row in rows})
    looks = {kind: (style.SERIES[i % len(style.SERIES)], style.MARKERS[i % len(style.MARKERS)]) for i, kind in enumerate(kinds)}
    columns = 1 if width_mm < 120 or len(devices) == 1 else 2
    legend_columns = 1 if width_mm < 120 else 3
    lines = -(-len(devices) // columns)
    legend_mm = LINE_MM * -(-len(kinds) // legend_columns) + 3
    cell_mm = HEAD_MM + PLOT_MM + FOOT_MM
    height_mm = lines * cell_mm + legend_mm
    figure = plt.figure(figsize=(style.inches(width_mm), style.inches(height_mm)))
    plot_width = width_mm / columns - LEFT_MM - RIGHT_MM
    for i, device in enumerate(devices):
        line, column = divmod(i, columns)
        x = column * width_mm / columns + LEFT_MM
        y = height_mm - (line + 1) * cell_mm + FOOT_MM
        axes = figure.add_axes([x / width_mm, y / height_mm, plot_width / width_mm, PLOT_MM / height_mm])
        panel(axes, [row for row in rows if row.device == device], looks)
        axes.set_title(style.cut(device, plot_width), loc="left", pad=3)
        axes.yaxis.set_label_coords(-(LEFT_MM - 3.6) / plot_width, 0.5)
    legend(figure, looks, legend_columns, width_mm, height_mm, legend_mm)
    return figure


def panel(axes, rows, looks):
    axes.axhspan(-10, 10, color="#E8E8E8", linewidth=0, zorder=0)
    axes.axhline(0, color=style.BLACK, linewidth=0.7, zorder=1)
    step = 0.8 / max(1, len(looks))
    for i, (kind, (colour, marker)) in enumerate(looks.items()):
        mine = [row for row in rows if (row.kernel, row.phase) == kind]
        for band in range(len(BANDS)):
            errors = [error(row) for row in mine if band_of(row) == band]
            if not errors:
                continue
            middle = band + (i + 0.5) * step - 0.4
            # Side by side in the order of the rows, so that equal errors stay apart.
            spread = [middle + step * 0.8 * ((k + 0.5) / len(errors) - 0.5) for k in range(len(errors))]
            axes.plot(spread, errors, linestyle="none", marker=marker, markersize=2, color=colour, markeredgewidth=0, alpha=0.35, zorder=2)
            mean = sum(errors) / len(errors)
            axes.plot([middle - 0.4 * step, middle + 0.4 * step], [mean, mean], color=colour, linewidth=1.6, solid_capstyle="butt", zorder=3)
    axes.set_xlim(-0.5, len(BANDS) - 0.5)
    counts = [sum(band_of(row) == band for row in rows) for band in range(len(BANDS))]
    axes.set_xticks(range(len(BANDS)), [f"{name}\n{count} rows" for (_, _, name), count in zip(BANDS, counts)])
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel("predicted − measured (%)")


def legend(figure, looks, columns, width_mm, height_mm, legend_mm):
    from matplotlib.lines import Line2D
    handles = [Line2D([], [], marker=marker, color=colour, markersize=4, linewidth=1.6, label=f"{kernel}, {phase}")
               for (kernel, phase), (colour, marker) in looks.items()]
    figure.legend(handles=handles, loc="upper left", bbox_to_anchor=(LEFT_MM / width_mm, (legend_mm - 1) / height_mm), ncol=columns,
                  handletextpad=0.4, columnspacing=1.5, borderpad=0, borderaxespad=0, labelspacing=0.35, handlelength=1.6)
