# SPDX-License-Identifier: Apache-2.0
"""Hierarchical roofline: one marker per workload and memory level under the ceilings of its chip.

x: matrix work per byte of a level (FLOP/B); y: matrix work over simulated time (TFLOP/s). Diagonals are the bandwidths of HBM, L2
and SMEM, horizontals the tensor and FP32 peaks and, for kernels with exponentials, the tensor rate at which the SFU saturates:
SFU rate x (FLOP per exponential).
"""

from itertools import groupby

import numpy as np

from . import style
from .labels import Placer
from .style import plt

# level, metric of the intensity, column of the ceiling, marker, line
LEVELS = (
    ("SMEM", "smem_intensity_flop_per_b", "smem_gb_per_s", "^", (0, (1, 1))),
    ("L2", "l2_intensity_flop_per_b", "l2_gb_per_s", "s", (0, (4, 1.5))),
    ("HBM", "hbm_intensity_flop_per_b", "hbm_gb_per_s", "o", "solid"),
)
SAME_ROOF = 0.03  # relative distance below which two exponential roofs are drawn as one
MARKER_PT = 4.5
LINE_MM = 3.7


def roof_key(w):
    return (w.chip, w.peaks.get("dtype", ""), round(w.peaks.get("clock_mhz", 0)))


def figures(database, width_mm):
    """Yields (name, figure), one per chip, dtype and clock."""
    drawable = [w for w in database.workloads() if w.peaks.get("tensor_tflop_per_s", 0) > 0 and w.metrics.get("tensor_tflop_per_s", 0) > 0]
    groups = [(key, list(ws)) for key, ws in groupby(sorted(drawable, key=lambda w: (roof_key(w), w.name)), key=roof_key)]
    chips = [key[0] for key, _ in groups]
    for (chip, dtype, clock), workloads in groups:
        name = f"roofline-{style.slug(chip)}" + (f"-{dtype}-{clock}mhz" if chips.count(chip) > 1 else "")
        yield name, draw(chip, dtype, clock, workloads, width_mm)


def exponential_roofs(workloads):
    """(TFLOP/s, FLOP per exponential) of the distinct ratios among the workloads, highest first."""
    ratios = []
    for w in workloads:
        exps = w.metrics.get("exp_count", 0)
        ratio = w.metrics["tensor_flops"] / exps if exps > 0 else None
        if ratio and all(abs(ratio / other - 1) > SAME_ROOF for other in ratios):
            ratios.append(ratio)
    return [(workloads[0].peaks["sfu_tera_op_per_s"] * ratio, ratio) for ratio in sorted(ratios, reverse=True)]


def draw(chip, dtype, clock, workloads, width_mm):
    peaks = workloads[0].peaks
    legend_columns = 1 if width_mm < 120 else 2
    legend_rows = -(-len(workloads) // legend_columns)
    plot_mm, bottom_mm, top_mm = (62 if width_mm < 120 else 78), 10, 6
    legend_mm = LINE_MM * (legend_rows + 1) + 1
    height_mm = plot_mm + bottom_mm + top_mm + legend_mm
    figure = plt.figure(figsize=(style.inches(width_mm), style.inches(height_mm)))
    left_mm = 13
    axes = figure.add_axes([left_mm / width_mm, (bottom_mm + legend_mm) / height_mm, 1 - (left_mm + 3) / width_mm, plot_mm / height_mm])
    axes.set_xscale("log")
    axes.set_yscale("log")

    levels = [level for level in LEVELS if peaks[level[2]] > 0]
    roofs = [(peaks["tensor_tflop_per_s"], f"tensor {dtype}: {style.three_digits(peaks['tensor_tflop_per_s'])}", style.BLACK)]
    if peaks["fp32_tflop_per_s"] > 0:
        roofs.append((peaks["fp32_tflop_per_s"], f"FP32: {style.three_digits(peaks['fp32_tflop_per_s'])}", style.GREY))
    for rate, ratio in exponential_roofs(workloads):
        if rate > 0:
            roofs.append((rate, f"SFU, {ratio:.0f} FLOP/exp: {style.three_digits(rate)}", style.VERMILION))

    limits(axes, levels, roofs, peaks, workloads)
    placer = Placer(axes)
    draw_ceilings(axes, placer, levels, roofs, peaks)
    draw_workloads(axes, placer, levels, workloads)
    label_ceilings(axes, placer, levels, roofs, peaks)
    axes.set_xlabel("arithmetic intensity (FLOP/B)")
    axes.set_ylabel("matrix throughput (TFLOP/s)")
    axes.yaxis.set_label_coords(-(left_mm - 3.6) / (width_mm - left_mm - 3), 0.5)
    axes.set_title(f"{chip}, {dtype}, {clock} MHz", loc="left", pad=4)
    legends(figure, levels, workloads, legend_columns, 3 if legend_columns == 1 else left_mm, legend_mm)
    return figure


def limits(axes, levels, roofs, peaks, workloads):
    xs = [w.metrics[m] for w in workloads for _, m, *_ in levels if w.metrics.get(m, 0) > 0]
    ys = [w.metrics["tensor_tflop_per_s"] for w in workloads]
    ridge = peaks["tensor_tflop_per_s"] * 1e3 / peaks["hbm_gb_per_s"]
    axes.set_xlim(min(xs + [ridge / 100]) / 2, max(xs + [ridge]) * 4)
    axes.set_ylim(min(ys + [peaks["fp32_tflop_per_s"] / 2 or ys[0]]) / 4, max(r[0] for r in roofs) * 4)


def draw_ceilings(axes, placer, levels, roofs, peaks):
    x0, x1 = axes.get_xlim()
    tensor = peaks["tensor_tflop_per_s"]
    for rate, _, colour in roofs:
        start = roof_start(x0, rate, levels, peaks)
        axes.plot([start, x1], [rate, rate], color=colour, linewidth=1.2 if colour == style.BLACK else 0.8,
                  linestyle="solid" if colour != style.VERMILION else (0, (5, 1, 1, 1)), zorder=1)
        placer.reserve_line((start, rate), (x1, rate), 0.5)
    for _, _, column, _, line in levels:
        rate = peaks[column] * 1e-3  # TFLOP/s per FLOP/B
        axes.plot([x0, tensor / rate], [x0 * rate, tensor], color=style.BLACK, linewidth=0.8, linestyle=line, zorder=1)
        placer.reserve_line((x0, x0 * rate), (tensor / rate, tensor), 0.3)


def roof_start(x0, rate, levels, peaks):
    steepest = max(peaks[level[2]] for level in levels)
    return max(x0, rate * 1e3 / steepest)


def label_ceilings(axes, placer, levels, roofs, peaks):
    x0, x1 = axes.get_xlim()
    y0, _ = axes.get_ylim()
    for rate, text, colour in sorted(roofs, reverse=True):
        spots = np.geomspace(x1, roof_start(x0, rate, levels, peaks), 14)[:-3]
        places = [{"x": x, "y": rate, "dx": -2, "dy": dy, "ha": "right", "va": va}
                  for dy, va in ((2.5, "bottom"), (-2.5, "top"), (11, "bottom"), (-11, "top")) for x in spots]
        placer.place(text, places, color=colour)
    for name, _, column, _, _ in levels:
        rate = peaks[column] * 1e-3
        low, end = max(x0, y0 / rate), peaks["tensor_tflop_per_s"] / rate
        a, b = axes.transData.transform([(low, low * rate), (end, end * rate)])
        angle = np.degrees(np.arctan2(b[1] - a[1], b[0] - a[0]))
        spots = low * (end / low) ** np.linspace(0.03, 0.65, 20)
        above, below = (-2, 2, "bottom"), (2, -2, "top")
        places = [{"x": x, "y": x * rate, "dx": dx, "dy": dy, "ha": "left", "va": va, "rotation": angle}
                  for dx, dy, va in ((below, above) if name == "HBM" else (above, below)) for x in spots]
        placer.place(f"{name} {style.three_digits(rate)} TB/s", places, color=style.BLACK)


def draw_workloads(axes, placer, levels, workloads):
    for i, w in enumerate(workloads):
        points = [(w.metrics[m], marker) for _, m, _, marker, _ in levels if w.metrics.get(m, 0) > 0]
        y = w.metrics["tensor_tflop_per_s"]
        xs = [x for x, _ in points]
        axes.plot(xs, [y] * len(xs), color=colour_of(i), linewidth=0.6, zorder=2)
        for x, marker in points:
            axes.plot([x], [y], marker=marker, color=colour_of(i), markersize=MARKER_PT, markeredgecolor="white", markeredgewidth=0.4, zorder=3)
        placer.reserve_points(xs, [y] * len(xs), MARKER_PT / 2 + 0.5)
        placer.reserve_line((min(xs), y), (max(xs), y), 0.6)
    for i, w in enumerate(workloads):
        y = w.metrics["tensor_tflop_per_s"]
        xs = sorted(w.metrics[m] for _, m, *_ in levels if w.metrics.get(m, 0) > 0)
        offsets = [(4.5, 0, "left", "center"), (-4.5, 0, "right", "center"), (0, 4, "center", "bottom"), (0, -4, "center", "top")]
        offsets += [(dx, dy, "center", "center") for r in (12, 18, 26) for dx, dy in ((0, -r), (0, r), (r, -r), (-r, -r), (r, r), (-r, r))]
        places = [{"x": x, "y": y, "dx": dx, "dy": dy, "ha": ha, "va": va} for dx, dy, ha, va in offsets for x in reversed(xs)]
        placer.place(str(i + 1), places, leader=colour_of(i), color=style.BLACK, fontweight="bold")


def colour_of(i):
    return style.SERIES[i % len(style.SERIES)]


def legends(figure, levels, workloads, columns, left_mm, legend_mm):
    """Shapes of the levels, then a line per workload: a dot of its colour, its number, its name."""
    width_mm, height_mm = (style.MM_PER_INCH * side for side in figure.get_size_inches())
    x_mm = left_mm
    for name, _, _, marker, _ in levels:
        dot(figure, (x_mm + 1.5) / width_mm, (legend_mm - 1.5) / height_mm, marker, style.GREY)
        figure.text((x_mm + 3.5) / width_mm, (legend_mm - 1.5) / height_mm, f"per {name} byte", ha="left", va="center")
        x_mm += 25
    rows = -(-len(workloads) // columns)
    cell_mm = (width_mm - left_mm) / columns
    for i, w in enumerate(workloads):
        column, row = divmod(i, rows)
        x, y = left_mm + column * cell_mm, legend_mm - 1.5 - LINE_MM * (row + 1)
        dot(figure, (x + 1.5) / width_mm, y / height_mm, "o", colour_of(i))
        figure.text((x + 3.5) / width_mm, y / height_mm, str(i + 1), ha="left", va="center", fontweight="bold")
        text = style.cut(f"{w.name}: {w.variant}, {w.schedule}", cell_mm - 9)
        figure.text((x + 7.5) / width_mm, y / height_mm, text, ha="left", va="center")


def dot(figure, x, y, marker, colour):
    from matplotlib.lines import Line2D
    figure.add_artist(Line2D([x], [y], marker=marker, color=colour, linestyle="none", markersize=MARKER_PT, transform=figure.transFigure))
