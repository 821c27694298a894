# SPDX-License-Identifier: Apache-2.0
"""What the charts need from the database, as plain records. docs/store.md lists the tables."""

import json
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

APPLICATION_ID = 0x6174746E
SCHEMA_VERSION = 1


class DatabaseError(Exception):
    """The file can't be charted; the message says why."""


@dataclass
class Workload:
    name: str
    result: str
    variant: str
    schedule: str
    chip: str
    standing: str
    bottleneck: str
    metrics: dict
    peaks: dict
    rungs: dict = field(default_factory=dict)  # name -> (time_us, limiter), in ladder order


@dataclass
class Comparison:
    baseline: str          # identity
    variant: str
    schedule: str
    measured: bool
    rungs: dict            # of the baseline: name -> time_us
    promise: dict          # rung -> factor
    bound: dict


@dataclass
class ValidationRow:
    file: str
    device: str
    kernel: str
    phase: str
    measured_us: float
    predicted_us: float


@dataclass
class SweepPoint:
    coordinates: dict      # dotted path -> value
    workload: str
    time_us: float         # None: the point failed


class Database:
    def __init__(self, path):
        if not Path(path).is_file():
            raise DatabaseError(f"{path}: no such file; `attnsim run CONFIG.json --db FILE` makes one")
        self.connection = sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True)
        self.connection.row_factory = sqlite3.Row
        try:
            application = self.connection.execute("PRAGMA application_id").fetchone()[0]
            version = self.connection.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.DatabaseError as error:
            raise DatabaseError(f"{path}: {error}") from error
        if application != APPLICATION_ID:
            raise DatabaseError(f"{path}: not a database of attnsim")
        if version != SCHEMA_VERSION:
            raise DatabaseError(f"{path}: schema version {version}, this script reads {SCHEMA_VERSION}")

    def _all(self, sql, *arguments):
        return self.connection.execute(sql, arguments).fetchall()

    def workloads(self):
        """Named workloads by chip and name; of several results under one name the one saved last."""
        rows = self._all(
            "SELECT w.name, r.* FROM workloads w JOIN results r ON r.identity = w.result "
            "ORDER BY r.chip, w.name, (SELECT max(run) FROM run_results WHERE result = r.identity)")
        latest = {(row["chip"], row["name"]): row for row in rows}
        return [self._workload(row) for row in latest.values()]

    def _workload(self, row):
        identity = row["identity"]
        peaks = self._all("SELECT * FROM chip_peaks WHERE result = ?", identity)
        return Workload(
            name=row["name"], result=identity, variant=row["variant"], schedule=row["schedule"], chip=row["chip"],
            standing=row["standing"], bottleneck=row["bottleneck"],
            metrics=dict(self._all("SELECT metric, value FROM metrics WHERE result = ?", identity)),
            peaks=dict(peaks[0]) if peaks else {},
            rungs={r["rung"]: (r["time_us"], r["limiter"])
                   for r in self._all("SELECT * FROM rungs WHERE result = ? ORDER BY position", identity)})

    def comparison(self, result):
        """The comparison of a result that was saved last, None if it has none."""
        rows = self._all(
            "SELECT c.*, r.variant, r.schedule FROM comparisons c JOIN results r ON r.identity = c.baseline "
            "WHERE c.result = ? ORDER BY (SELECT max(run) FROM run_results WHERE result = c.baseline) DESC, c.baseline, c.position",
            result)
        if not rows:
            return None
        first = rows[0]
        mine = [row for row in rows if row["baseline"] == first["baseline"]]
        return Comparison(
            baseline=first["baseline"], variant=first["variant"], schedule=first["schedule"], measured=bool(first["baseline_measured"]),
            rungs=dict(self._all("SELECT rung, time_us FROM rungs WHERE result = ? ORDER BY position", first["baseline"])),
            promise={row["rung"]: row["promise"] for row in mine if row["promise"] is not None},
            bound={row["rung"]: row["bound"] for row in mine if row["bound"] is not None})

    def validation_rows(self):
        rows = self._all(
            "SELECT file, device, kernel, phase, measured_us, predicted_us FROM validation_rows WHERE predicted_us IS NOT NULL "
            "ORDER BY file, device, kernel, phase, row_key")
        return [ValidationRow(**dict(row)) for row in rows]

    def sweeps(self):
        return [(row["identity"], row["name"]) for row in self._all("SELECT identity, name FROM sweeps ORDER BY name, identity")]

    def sweep_points(self, sweep):
        rows = self._all(
            "SELECT p.coordinates, p.workload, m.value FROM sweep_points p "
            "LEFT JOIN metrics m ON m.result = p.result AND m.metric = 'time_simulated_us' "
            "WHERE p.sweep = ? ORDER BY p.workload, p.coordinates", sweep)
        return [SweepPoint(json.loads(row[0]), row[1], row[2]) for row in rows]
