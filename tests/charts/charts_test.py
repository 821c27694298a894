# SPDX-License-Identifier: Apache-2.0
"""charts_test.py SAMPLE_DATABASE_PROGRAM: draws every chart of the sample database and looks at the result."""

import sqlite3
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
from attnsim_charts import data, errors, labels, roofline, scatter, staircase, style, sweep  # noqa: E402

PROGRAM = None
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png_width_px(path):
    return int.from_bytes(path.read_bytes()[16:20], "big")


class Charts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.file = Path(cls.folder.name) / "sample.sqlite"
        subprocess.run([PROGRAM, str(cls.file)], check=True)
        style.use_style()
        database = data.Database(cls.file)
        cls.figures = [(f"{name}-{width}", figure) for module in (roofline, staircase, scatter, errors, sweep) for width in style.WIDTHS_MM
                       for name, figure in module.figures(database, width)]

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def run_charts(self, *arguments):
        return subprocess.run([sys.executable, str(ROOT / "scripts" / "charts.py"), *map(str, arguments)], capture_output=True, text=True)

    def test_every_kind_comes_as_png_and_svg_at_both_column_widths(self):
        out = Path(self.folder.name) / "charts"
        before = self.file.read_bytes()
        ran = self.run_charts(self.file, "--out", out)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        for kind in ("roofline-toy-hopper", "staircase-toy-hopper", "scatter-library-attention", "errors-library-attention", "sweep-what-if-7377"):
            for width in (84, 174):
                png, svg = out / f"{kind}-{width}mm.png", out / f"{kind}-{width}mm.svg"
                self.assertEqual(png.read_bytes()[:8], PNG_SIGNATURE)
                self.assertAlmostEqual(png_width_px(png), width / 25.4 * 300, delta=2)
                self.assertIn("<svg", svg.read_text(encoding="utf-8")[:1000])
        self.assertEqual(self.file.read_bytes(), before, "charts only read the database")

    def test_the_same_database_gives_the_same_bytes(self):
        first, second = Path(self.folder.name) / "first", Path(self.folder.name) / "second"
        for out in (first, second):
            self.assertEqual(self.run_charts(self.file, "--out", out, "--kind", "staircase").returncode, 0)
        for path in sorted(first.iterdir()):
            self.assertEqual(path.read_bytes(), (second / path.name).read_bytes(), path.name)

    def test_no_two_labels_overlap_and_none_leaves_the_figure(self):
        for name, figure in self.figures:
            self.assertEqual(labels.colliding_texts(figure), [], name)

    def test_labels_of_a_chip_a_ten_thousandth_as_fast_keep_apart_too(self):
        workloads = data.Database(self.file).workloads()
        for w in workloads:
            w.peaks = {key: value if isinstance(value, str) else value / 1e4 for key, value in w.peaks.items()}
            w.metrics["tensor_tflop_per_s"] /= 1e4
        for width in style.WIDTHS_MM:
            figure = roofline.draw("slow", "bf16", 1000, workloads, width)
            self.assertEqual(labels.colliding_texts(figure), [])
            style.plt.close(figure)

    def test_the_check_for_overlaps_sees_an_overlap(self):
        figure = style.plt.figure(figsize=(3, 3))
        figure.text(0.5, 0.5, "one")
        figure.text(0.5, 0.5, "two")
        self.assertEqual(len(labels.colliding_texts(figure)), 1)

    def test_no_text_is_smaller_than_seven_points(self):
        from matplotlib.text import Text
        for name, figure in self.figures:
            for text in figure.findobj(match=Text):
                self.assertGreaterEqual(text.get_fontsize(), 7, f"{name}: {text.get_text()}")

    def test_the_exponential_roof_is_the_sfu_rate_times_flop_per_exponential(self):
        workloads = data.Database(self.file).workloads()
        roofs = roofline.exponential_roofs(workloads)
        self.assertEqual([round(ratio) for _, ratio in roofs], [4 * 128, 4 * 64])
        self.assertAlmostEqual(roofs[0][0], 3.7 * 4 * 128)

    def test_staircases_show_promise_and_bound_of_the_database(self):
        database = data.Database(self.file)
        window = next(w for w in database.workloads() if w.name == "one-head-32k-window-2k")
        comparison = database.comparison(window.result)
        self.assertAlmostEqual(comparison.promise["flops"], 2.8e11 / 3.6e10)
        self.assertAlmostEqual(comparison.bound["tile"], comparison.rungs["simulated"] / window.rungs["tile"][0])

    def test_a_sweep_is_drawn_over_its_longest_axis_and_a_failed_point_leaves_a_gap(self):
        database = data.Database(self.file)
        points = database.sweep_points(database.sweeps()[0][0])
        self.assertEqual([(path, len(values)) for path, values in sweep.axes_of(points)],
                         [("chip.hbm.bandwidth_gb_per_s", 4), ("chip.sm.count", 3), ("chip.sm.sfu_lanes", 2)])
        self.assertEqual(sum(point.time_us is None for point in points), 1)

    def test_errors_stand_in_the_band_of_the_measured_time(self):
        def row(us):
            return data.ValidationRow("f", "d", "k", "p", measured_us=us, predicted_us=1.5 * us)
        self.assertEqual([errors.band_of(row(us)) for us in (20, 20.1, 100, 1000, 1001)], [0, 1, 1, 2, 3])
        self.assertAlmostEqual(errors.error(row(7)), 50)

    def test_unmapped_rows_are_not_drawn(self):
        self.assertEqual(len(data.Database(self.file).validation_rows()), 5 * 60)

    def test_a_missing_a_foreign_and_a_newer_file_give_a_message_and_exit_code_2(self):
        foreign, newer = Path(self.folder.name) / "foreign.sqlite", Path(self.folder.name) / "newer.sqlite"
        sqlite3.connect(foreign).execute("CREATE TABLE notes (text TEXT)").connection.commit()
        newer.write_bytes(self.file.read_bytes())
        sqlite3.connect(newer).execute("PRAGMA user_version = 99").connection.commit()
        for path, part in ((Path(self.folder.name) / "none.sqlite", "no such file"), (foreign, "not a database of attnsim"), (newer, "99")):
            ran = self.run_charts(path, "--out", Path(self.folder.name) / "nothing")
            self.assertEqual(ran.returncode, 2, ran.stderr)
            self.assertIn(part, ran.stderr)
            self.assertNotIn("Traceback", ran.stderr)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
