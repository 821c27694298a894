#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What Perfetto's trace processor makes of a trace: no import errors, every slice, arrow and counter there.

usage: perfetto_test.py ATTNSIM CONFIG.json
Exit code 77 (skipped) where no trace_processor_shell is installed: on PATH, in $TRACE_PROCESSOR, or where the Python package
`perfetto` keeps the one that it fetched.
"""
import csv
import glob
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77


def trace_processor():
    kept = glob.glob(os.path.expanduser("~/.local/share/perfetto/prebuilts/trace_processor_shell*"))
    candidates = [os.environ.get("TRACE_PROCESSOR"), shutil.which("trace_processor_shell"), shutil.which("trace_processor"), *kept]
    return next((c for c in candidates if c and os.access(c, os.X_OK)), None)


def query(processor, trace, sql):
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(sql)
        file.flush()
        out = subprocess.run([processor, "-q", file.name, trace], check=True, capture_output=True, text=True).stdout
    return list(csv.DictReader(io.StringIO(out)))


def main():
    attnsim, config = sys.argv[1:]
    processor = trace_processor()
    if processor is None:
        print("no trace_processor_shell: skipped")
        return SKIPPED
    with tempfile.TemporaryDirectory() as folder:
        trace = os.path.join(folder, "trace.json")
        subprocess.run([attnsim, "trace", config, "--out", trace], check=True, capture_output=True)
        events = json.load(open(trace))["traceEvents"]
        count = lambda kinds: sum(e["ph"] in kinds for e in events)
        errors = query(processor, trace, "select name, value from stats where severity in ('error', 'data_loss') and value > 0;")
        assert not errors, errors
        one = lambda sql: int(query(processor, trace, sql)[0]["n"])
        assert one("select count(*) as n from slice;") == count("Xib"), "slices, instants and copies in flight"
        assert one("select count(*) as n from flow;") == count("f"), "arrows"
        assert one("select count(*) as n from counter;") == count("C"), "counter values"
        vector = "from thread_track t join thread using (utid) join slice s on s.track_id = t.id where thread.name = 'vector'"
        cycles = sum(e["dur"] for e in events if e["ph"] == "X" and e["tid"] == 2 and e["pid"] > 0)
        assert abs(one(f"select sum(s.dur) as n {vector};") / 1000 - cycles) < 1, "cycles of the vector units"
    return 0


if __name__ == "__main__":
    sys.exit(main())
