# SPDX-License-Identifier: Apache-2.0
"""One look for every chart: print widths, Okabe-Ito colours (safe for the colour-blind), fonts of at least 7 pt."""

import re
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

WIDTHS_MM = (84, 174)  # one and two columns of a journal page
FONT_PT = 7
MM_PER_INCH = 25.4

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#666666"
SERIES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK, GREY)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def use_style():
    plt.rcParams.update({
        "font.size": FONT_PT, "axes.labelsize": FONT_PT, "axes.titlesize": FONT_PT + 1, "xtick.labelsize": FONT_PT,
        "ytick.labelsize": FONT_PT, "legend.fontsize": FONT_PT, "font.family": "DejaVu Sans",
        "axes.linewidth": 0.5, "xtick.major.width": 0.5, "ytick.major.width": 0.5, "xtick.minor.width": 0.3,
        "ytick.minor.width": 0.3, "lines.linewidth": 1.0, "axes.spines.top": False, "axes.spines.right": False,
        "grid.color": "#DDDDDD", "grid.linewidth": 0.4, "legend.frameon": False, "savefig.dpi": 300,
        "svg.fonttype": "path", "svg.hashsalt": "attnsim", "figure.dpi": 100,
    })


def inches(mm):
    return mm / MM_PER_INCH


def slug(text):
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def save(figure, folder: Path, name: str):
    """Writes NAME.png and NAME.svg, the same bytes for the same figure; returns their paths."""
    paths = [folder / f"{name}.png", folder / f"{name}.svg"]
    figure.savefig(paths[0], metadata={"Software": None})
    figure.savefig(paths[1], metadata={"Date": None, "Creator": None})
    plt.close(figure)
    return paths


def time_text(us):
    """Three significant digits with the unit that fits: 0.512 us, 51.2 us, 5.12 ms."""
    for factor, unit in ((1e6, "s"), (1e3, "ms"), (1, "µs")):
        if us >= factor or unit == "µs":
            return f"{three_digits(us / factor)} {unit}"


def three_digits(value):
    if value >= 100:
        return f"{value:.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}"


def cut(text, width_mm):
    """Shortened to what surely fits at FONT_PT."""
    limit = int(width_mm / 1.35)
    return text if len(text) <= limit else text[:limit - 1] + "…"
