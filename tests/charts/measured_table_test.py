# SPDX-License-Identifier: Apache-2.0
"""scripts/measured_table.py on a README and an accuracy file of its own."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "measured_table.py"
GROUP = {"kernel": "k", "rows": 4, "test_rows": 2, "unmapped": 1, "error_percent": 12.34, "test_error_percent": None,
         "cycle_error_percent": 3.0, "clock_error_percent": 0.5, "speedups": 0, "speedup_error_percent": None}
DOCUMENT = {"version": "attnsim 0", "devices": [{"folder": "f", "device": "CPU", "chip": "host", "stale_rows": 3, "kernels": [GROUP]}]}


class MeasuredTable(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.readme, self.accuracy = Path(self.folder.name) / "README.md", Path(self.folder.name) / "measured.json"
        self.accuracy.write_text(json.dumps(DOCUMENT), encoding="utf-8")
        self.readme.write_text("# head\n<!-- measured:begin -->\nold\n<!-- measured:end -->\ntail\n", encoding="utf-8")

    def tearDown(self):
        self.folder.cleanup()

    def run_script(self, *arguments):
        command = [sys.executable, str(SCRIPT), "--readme", str(self.readme), "--accuracy", str(self.accuracy), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def test_the_check_fails_until_the_table_is_written_and_again_when_a_number_moves(self):
        self.assertEqual(self.run_script("--check").returncode, 1)
        self.assertEqual(self.run_script().returncode, 0)
        self.assertEqual(self.run_script("--check").returncode, 0)
        text = self.readme.read_text(encoding="utf-8")
        self.assertTrue(text.startswith("# head\n") and text.endswith("\ntail\n"))
        self.assertIn("| CPU | k | 4 (1 unmapped) | 12.3 % | 2 | – | 3.0 % | 0.5 % | 0 | – |", text)
        self.assertIn("3 rows are stale", text)
        changed = json.loads(json.dumps(DOCUMENT))
        changed["devices"][0]["kernels"][0]["error_percent"] = 13
        self.accuracy.write_text(json.dumps(changed), encoding="utf-8")
        self.assertEqual(self.run_script("--check").returncode, 1)

    def test_a_readme_without_markers_is_told(self):
        self.readme.write_text("# head\n", encoding="utf-8")
        self.assertEqual(self.run_script("--check").returncode, 77)
        self.assertEqual(self.run_script().returncode, 2)
        self.assertEqual(self.readme.read_text(encoding="utf-8"), "# head\n")


if __name__ == "__main__":
    unittest.main()
