# SPDX-License-Identifier: Apache-2.0
"""Labels that do not collide: each takes the first of its places that is free."""

import math

import numpy as np
from matplotlib.text import Text
from matplotlib.transforms import Bbox

PAD_PX = 1.5


def boxes_of(text, renderer):
    """The pixels that a text covers: one box, or a row of small ones along a rotated text."""
    angle = text.get_rotation()
    if angle % 90 == 0:
        return [text.get_window_extent(renderer)]
    text.set_rotation(0)
    flat = text.get_window_extent(renderer)
    text.set_rotation(angle)
    anchor = text.get_transform().transform(text.get_position()) if not hasattr(text, "xyann") else _anchor(text, renderer)
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    middle_y = (flat.y0 + flat.y1) / 2 - anchor[1]
    half = flat.height / 2
    steps = max(2, round(flat.width / flat.height) * 2)
    boxes = []
    for i in range(steps + 1):
        dx = flat.x0 - anchor[0] + half + (flat.width - 2 * half) * i / steps
        x, y = anchor[0] + dx * cos - middle_y * sin, anchor[1] + dx * sin + middle_y * cos
        boxes.append(Bbox.from_extents(x - half, y - half, x + half, y + half))
    return boxes


def _anchor(annotation, renderer):
    annotation.update_positions(renderer)
    return annotation.get_transform().transform(annotation.get_position())


class Placer:
    """Keeps the boxes (pixels) that are taken on one axes."""

    def __init__(self, axes):
        self.axes = axes
        self.renderer = axes.figure.canvas.get_renderer()
        self.taken = np.empty((0, 4))  # x0, y0, x1, y1

    def reserve_points(self, xs, ys, radius_pt):
        radius = radius_pt * self.axes.figure.dpi / 72
        self._reserve(self.axes.transData.transform(list(zip(xs, ys))), radius)

    def _reserve(self, centres, radius):
        self.taken = np.vstack([self.taken, np.hstack([centres - radius, centres + radius])])

    def reserve_line(self, start, end, radius_pt):
        """Any straight line between two points (data), as a row of small boxes."""
        radius = radius_pt * self.axes.figure.dpi / 72
        ends = self.axes.transData.transform([start, end])
        steps = max(1, int(np.hypot(*(ends[1] - ends[0])) / (2 * radius)))
        self._reserve(ends[0] + (ends[1] - ends[0]) * np.linspace(0, 1, steps + 1)[:, None], radius)

    def place(self, text, places, leader=None, **style):
        """`places`: dicts of x, y (data), optional dx, dy (points), ha, va, rotation. The least bad one if none is free. Far
        labels (offset above 8 points) get a thin line of colour `leader`."""
        best = None
        frame = self.axes.get_window_extent(self.renderer)
        for place in places:
            dx, dy = place.get("dx", 0), place.get("dy", 0)
            arrow = {"arrowstyle": "-", "linewidth": 0.4, "color": leader, "shrinkA": 0, "shrinkB": 0} if leader and math.hypot(dx, dy) > 8 else None
            label = self.axes.annotate(
                text, (place["x"], place["y"]), xytext=(dx, dy), textcoords="offset points", ha=place.get("ha", "center"),
                va=place.get("va", "center"), rotation=place.get("rotation", 0), rotation_mode="anchor", annotation_clip=False,
                arrowprops=arrow, **style)
            boxes = [box.padded(PAD_PX) for box in boxes_of(label, self.renderer)]
            cost = sum(self._overlap(box) for box in boxes) + 4 * sum(outside(box, frame) for box in boxes)
            if best is None or cost < best[0]:
                if best is not None:
                    best[1].remove()
                best = (cost, label, boxes)
            else:
                label.remove()
            if best[0] == 0:
                break
        self.taken = np.vstack([self.taken] + [box.extents for box in best[2]])
        return best[1]

    def _overlap(self, box):
        x0, y0, x1, y1 = self.taken.T
        width = np.minimum(x1, box.x1) - np.maximum(x0, box.x0)
        height = np.minimum(y1, box.y1) - np.maximum(y0, box.y0)
        return float(np.sum(np.maximum(width, 0) * np.maximum(height, 0)))


def overlap(a, b):
    width = min(a.x1, b.x1) - max(a.x0, b.x0)
    height = min(a.y1, b.y1) - max(a.y0, b.y0)
    return width * height if width > 0 and height > 0 else 0.0


def outside(box, frame):
    return max(0.0, box.width * box.height - overlap(box, frame))


def colliding_texts(figure):
    """Pairs of visible texts that overlap or leave the figure: what a test asks for."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    hidden = _labels_out_of_view(figure)
    texts = [t for t in figure.findobj(match=Text) if t.get_visible() and t.get_text().strip() and id(t) not in hidden]
    shown = [(t.get_text(), boxes_of(t, renderer)) for t in texts]
    bad = [(a[0], b[0]) for i, a in enumerate(shown) for b in shown[i + 1:]
           if any(overlap(p.padded(-0.5), q.padded(-0.5)) > 0 for p in a[1] for q in b[1])]
    return bad + [(text, "edge of the figure") for text, boxes in shown for box in boxes if outside(box, figure.bbox) > 1]


def _labels_out_of_view(figure):
    """Tick labels outside the limits stay in the tree; matplotlib doesn't draw them."""
    hidden = set()
    for axes in figure.axes:
        for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            for tick in axis.get_major_ticks() + axis.get_minor_ticks():
                if not min(limits) <= tick.get_loc() <= max(limits):
                    hidden |= {id(tick.label1), id(tick.label2)}
    return hidden
