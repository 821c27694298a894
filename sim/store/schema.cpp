// SPDX-License-Identifier: Apache-2.0
#include "sim/store/schema.h"

#include <array>

namespace attnsim::store {
namespace {

// References are deferred: within a transaction rows may come in any order.
#define ATTNSIM_RESULT "REFERENCES results(identity) DEFERRABLE INITIALLY DEFERRED"

constexpr std::array kTables = std::to_array<Table>({
    {"runs", TableKind::run_record,
     "id INTEGER PRIMARY KEY, started_at_utc TEXT NOT NULL, host TEXT NOT NULL, command_line TEXT NOT NULL, "
     "git_hash TEXT NOT NULL, git_dirty INTEGER NOT NULL, attnsim_version TEXT NOT NULL, wall_s REAL"},
    {"results", TableKind::key,
     "identity TEXT PRIMARY KEY, model_hash TEXT NOT NULL, content_hash TEXT NOT NULL, variant TEXT NOT NULL, "
     "schedule TEXT NOT NULL, chip TEXT NOT NULL, engine TEXT NOT NULL, standing TEXT NOT NULL, bottleneck TEXT NOT NULL, "
     "clock_mhz REAL NOT NULL, energy_j REAL NOT NULL, average_power_w REAL NOT NULL, resolved_config TEXT NOT NULL"},
    {"run_results", TableKind::run_record,
     "run INTEGER NOT NULL REFERENCES runs(id), result TEXT NOT NULL " ATTNSIM_RESULT ", PRIMARY KEY (run, result)"},
    {"workloads", TableKind::key, "name TEXT NOT NULL, result TEXT NOT NULL " ATTNSIM_RESULT ", PRIMARY KEY (name, result)"},
    {"rungs", TableKind::of_result,
     "result TEXT NOT NULL " ATTNSIM_RESULT
     ", position INTEGER NOT NULL, rung TEXT NOT NULL, time_us REAL NOT NULL, limiter TEXT NOT NULL, PRIMARY KEY (result, position)"},
    {"metrics", TableKind::of_result,
     "result TEXT NOT NULL " ATTNSIM_RESULT
     ", metric TEXT NOT NULL, unit TEXT NOT NULL, value REAL NOT NULL, PRIMARY KEY (result, metric)"},
    {"kernels", TableKind::of_result,
     "result TEXT NOT NULL " ATTNSIM_RESULT
     ", kernel INTEGER NOT NULL, name TEXT NOT NULL, limiter TEXT NOT NULL, time_us REAL NOT NULL, launch_us REAL NOT NULL, "
     "items INTEGER NOT NULL, ctas INTEGER NOT NULL, ctas_per_sm INTEGER NOT NULL, l2_hit_rate REAL NOT NULL, "
     "spread REAL NOT NULL, extrapolated INTEGER NOT NULL, PRIMARY KEY (result, kernel)"},
    {"kernel_rungs", TableKind::of_result,
     "result TEXT NOT NULL " ATTNSIM_RESULT
     ", kernel INTEGER NOT NULL, position INTEGER NOT NULL, rung TEXT NOT NULL, time_us REAL NOT NULL, limiter TEXT NOT NULL, "
     "PRIMARY KEY (result, kernel, position)"},
    {"kernel_resources", TableKind::of_result,
     "result TEXT NOT NULL " ATTNSIM_RESULT
     ", kernel INTEGER NOT NULL, resource TEXT NOT NULL, reason TEXT NOT NULL, fraction REAL NOT NULL, "
     "PRIMARY KEY (result, kernel, resource, reason)"},
    {"kernel_counts", TableKind::of_result,
     "result TEXT NOT NULL " ATTNSIM_RESULT
     ", kernel INTEGER NOT NULL, name TEXT NOT NULL, value REAL NOT NULL, PRIMARY KEY (result, kernel, name)"},
    {"harness_parts", TableKind::of_result,
     "result TEXT NOT NULL " ATTNSIM_RESULT ", name TEXT NOT NULL, time_us REAL NOT NULL, PRIMARY KEY (result, name)"},
    {"chip_peaks", TableKind::of_result,
     "result TEXT PRIMARY KEY " ATTNSIM_RESULT
     ", dtype TEXT NOT NULL, clock_mhz REAL NOT NULL, tensor_tflop_per_s REAL NOT NULL, fp32_tflop_per_s REAL NOT NULL, "
     "sfu_tera_op_per_s REAL NOT NULL, hbm_gb_per_s REAL NOT NULL, l2_gb_per_s REAL NOT NULL, smem_gb_per_s REAL NOT NULL, "
     "l2_effective_mib REAL NOT NULL"},
    {"comparisons", TableKind::key,
     "result TEXT NOT NULL " ATTNSIM_RESULT ", baseline TEXT NOT NULL " ATTNSIM_RESULT
     ", position INTEGER NOT NULL, rung TEXT NOT NULL, promise REAL, bound REAL, baseline_measured INTEGER NOT NULL, "
     "PRIMARY KEY (result, baseline, position)"},
    {"sweeps", TableKind::key, "identity TEXT PRIMARY KEY, name TEXT NOT NULL, resolved_config TEXT NOT NULL"},
    {"sweep_points", TableKind::key,
     "sweep TEXT NOT NULL REFERENCES sweeps(identity) DEFERRABLE INITIALLY DEFERRED, coordinates TEXT NOT NULL, "
     "workload TEXT NOT NULL, result TEXT " ATTNSIM_RESULT
     ", failure TEXT, PRIMARY KEY (sweep, coordinates, workload), CHECK ((result IS NULL) <> (failure IS NULL))"},
    {"validation_rows", TableKind::key,
     "file TEXT NOT NULL, row_key TEXT NOT NULL, device TEXT NOT NULL, kernel TEXT NOT NULL, phase TEXT NOT NULL, "
     "measured_us REAL NOT NULL, predicted_us REAL, unmapped_reason TEXT, PRIMARY KEY (file, row_key), "
     "CHECK ((predicted_us IS NULL) <> (unmapped_reason IS NULL))"},
});

#undef ATTNSIM_RESULT

}  // namespace

std::span<const Table> tables() {
  return kTables;
}

}  // namespace attnsim::store
