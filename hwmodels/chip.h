// SPDX-License-Identifier: Apache-2.0
// A chip: primitives only; peaks are derived. Members mirror the JSON (hwmodels/chips/NAME.json, dotted path in the comment),
// each figure there is {"value", "status", "source"}; `provenance` keeps status and source by dotted path.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "sim/core/units.h"

namespace attnsim {

enum class FigureStatus { published, measured, derived, estimated, fitted };
struct Provenance {
  FigureStatus status = FigureStatus::estimated;
  std::string source;
};

struct SmModel {  // sm.*
  int count = 0;  // SMs (or compute units, or cores)
  int gpcs = 1;   // graphics processing clusters; clusters of CTAs stay inside one
  int subpartitions = 4;
  double fp32_lanes = 0;     // FP32 FMA lanes per SM
  double alu_lanes = 0;      // integer, compare, select, max, convert lanes per SM (half rate on NVIDIA)
  double sfu_lanes = 0;      // exp2, log2, reciprocal per clock per SM
  double issue_per_clk = 4;  // warp instructions per clock per SM
  int lanes_per_warp = 32;
  bool exp_on_fma = false;  // exp2 may also run as an FMA polynomial
  int max_threads = 0;
  int max_ctas = 0;
  double registers_kib = 0;
  double smem_kib = 0;               // per SM
  double smem_per_cta_kib = 0;       // largest for one CTA
  double smem_bytes_per_clk = 0;     // per SM
  double smem_efficiency = 1;        // sustained / peak bandwidth of accesses that warps issue (ldmatrix, cp.async); bounds use the peak
  double l2_port_bytes_per_clk = 0;  // L2 to one SM
  double l2_requests_per_clk = 0;    // shorter than a line, of one SM; 0: no limit
  double tmem_kib = 0;               // tensor memory per SM (128 lanes of 4-byte columns); 0: none
  double tmem_bytes_per_clk = 0;     // tensor memory to registers and back, per SM
};

struct TensorModel {                                  // tensor.*
  std::map<std::string, double> flop_per_clk_per_sm;  // dense, by dtype name: f16, bf16, f8; f16_acc_f16: f16 that accumulates in f16
  std::vector<std::string> instructions;              // mma_sync, wgmma, tcgen05, systolic
  double efficiency = 1;                              // best in-loop rate / peak
};

struct LatencyModel {  // latency.*, SM cycles unless named
  double fp32_cycles = 4;
  double alu_cycles = 5;
  double sfu_cycles = 22;
  double shuffle_cycles = 26;
  double smem_cycles = 31;  // ldmatrix
  double mma_sync_cycles = 25;
  double wgmma_cycles = 52;  // start + completion
  double barrier_cycles = 22;
  double tmem_cycles = 0;           // tensor memory to registers
  double l2_cycles = 270;           // global load, L2 hit
  double bulk_l2_cycles = 0;        // copy engine's read, L2 hit: no address arithmetic nor queue of a warp's loads; 0: as l2_cycles
  double warm_l2_cycles = 0;        // plain read, L2 hit, of code and parameters that an earlier CTA has fetched; 0: as l2_cycles
  double copy_engine_cycles = 130;  // TMA over a plain load
  double atomic_cycles = 700;       // global atomic, round trip
  double hbm_ns = 350;              // added to an L2 miss; does not follow the SM clock
  // Of a read that hits L2, before copy_engine_cycles.
  [[nodiscard]] double read_cycles(bool copy_engine) const { return copy_engine && bulk_l2_cycles > 0 ? bulk_l2_cycles : l2_cycles; }
  // Of a plain one in a kernel that walks no loop, once a CTA has been on its slot.
  [[nodiscard]] double warm_read_cycles() const { return warm_l2_cycles > 0 ? std::min(l2_cycles, warm_l2_cycles) : l2_cycles; }
};

struct VectorModel {  // vector.*
  // Time of a chain of element-wise ops between the maximum (0) and the sum (1) of its pipes' times.
  double chain_serialization = 0.8;
  double turn_cycles = 128;  // what an agent executes of a chain before another that waits has its turn
  // Part of the time that warps with mma.sync overlap with others' chains: in use at once they do 1 + this of one of them. At 0 the warps
  // of a sub-partition are in step, all at matrix work or all at element-wise work; at 1 neither slows the other.
  double sync_overlap = 1;
};

struct ClockModel {      // clock.*
  double boost_mhz = 0;  // highest
  double min_mhz = 0;
  double step_mhz = 15;
};

struct L2Model {  // l2.*
  double capacity_mib = 0;
  double effective_fraction = 1;       // usable part, from the bandwidth-over-size curve (both partitions hold a line)
  double bandwidth_bytes_per_clk = 0;  // whole chip, SM clock
};

struct HbmModel {  // hbm.*
  double bandwidth_gb_per_s = 0;
  double efficiency = 1;            // sustained reads / peak; bounds use the peak
  double write_cost = 1;            // time of a written byte over that of a read one (bus turnaround between reads and writes)
  double scattered_write_cost = 0;  // the same of rows that a kernel writes all over a cache (Kernel::scattered_writes)
  double capacity_gib = 0;
  double translated_gib = 0;  // memory whose address translations are at hand; 0: all of it
  double translation_ns = 0;  // between two translations of other addresses, chip-wide
};

struct LaunchModel {               // launch.*
  double kernel_us = 2;            // launch to first CTA and last CTA to done, of a kernel alone
  double dependent_kernel_us = 1;  // further kernel of a CUDA graph, after its predecessor
  double stream_kernel_us = 0;     // further kernel of a stream, launched by itself; 0: as in a graph
  double cta_start_cycles = 500;   // per CTA before its first instruction, and after its last
  double ctas_per_clk = 1;         // chip-wide dispatch rate
};

struct PowerModel {  // power.*
  double cap_w = 0;
  double idle_w = 0;
  double tensor_pj_per_flop = 0;  // at boost_mhz; energy per op scales with the square of the clock
  double vector_pj_per_op = 0;
  double smem_pj_per_byte = 0;
  double l2_pj_per_byte = 0;
  double hbm_pj_per_byte = 0;
};

struct Link {  // links[]
  std::string name;
  double bandwidth_gb_per_s = 0;  // one direction
  double latency_us = 0;
};

struct Chip {
  std::string name;  // h100-sxm
  std::string description;
  std::string vendor;
  std::string isa;  // instruction-selection table: sm_80, sm_90, sm_100, generic
  SmModel sm;
  TensorModel tensor;
  LatencyModel latency;
  VectorModel vector;
  ClockModel clock;
  L2Model l2;
  HbmModel hbm;
  LaunchModel launch;
  PowerModel power;
  std::vector<Link> links;
  std::map<std::string, Provenance> provenance;  // by dotted path
  std::string overlay;                           // "" or the overlay that was applied
  std::string resolved_json;                     // canonical text of everything above: part of a result's identity

  [[nodiscard]] double tensor_flop_per_clk(const std::string& dtype) const;  // per SM, 0 if the dtype has no matrix unit
  // The rate of products that accumulate in `accumulator`: f16_acc_f16 where the chip tells it apart, else the dtype itself.
  [[nodiscard]] std::string tensor_rate(const std::string& dtype, const std::string& accumulator) const;
  [[nodiscard]] BytesPerCycle hbm_peak(Megahertz sm_clock) const { return per_cycle(GigabytesPerSecond(hbm.bandwidth_gb_per_s), sm_clock); }
  [[nodiscard]] double peak_tflops(const std::string& dtype) const;  // at boost_mhz
  [[nodiscard]] Bytes l2_effective() const;
};

// Names of the shipped chips (files of hwmodels/chips), sorted.
[[nodiscard]] std::vector<std::string> chip_names();

}  // namespace attnsim
