// SPDX-License-Identifier: Apache-2.0
// A row as attnsim-bench writes it on the host, without samples.
#pragma once

#include "sim/core/data_dir.h"
#include "validation/own_rows.h"

namespace attnsim::test {

inline bench::Row own_bench_row(std::int64_t length, const std::string& mask, int heads) {
  bench::Row row;
  row.backend = "host";
  row.device = {"CPU", "", "host", 3000};
  row.kernel = {"host-fa", "", "host-fa", "validation/host/prefill.cpp"};
  row.source_hash = bench::hash_of_sources(row.kernel.source, data_dir());
  row.shape.dtype = "f32";
  row.shape.mask = mask;
  row.shape.q_len = row.shape.kv_len = length;
  row.shape.q_heads = row.shape.kv_heads = heads;
  row.harness = "single-launch";
  return row;
}

}  // namespace attnsim::test
