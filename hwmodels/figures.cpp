// SPDX-License-Identifier: Apache-2.0
#include "hwmodels/figures.h"

#include <array>
#include <type_traits>

namespace attnsim {

namespace {

struct Range {
  double min;
  double max;
  bool min_exclusive = false;
};
constexpr Range positive(double max) {
  return {0, max, true};
}
constexpr Range from_zero(double max) {
  return {0, max};
}
constexpr Range kFraction{0, 1, true};

template <class T>
constexpr FigureKind kind_of() {
  if (std::is_same_v<T, bool>) return FigureKind::boolean;
  return std::is_integral_v<T> ? FigureKind::integer : FigureKind::number;
}

template <auto section, auto member>
constexpr Figure row(std::string_view path, std::string_view unit, Range range, std::string_view description) {
  using T = std::remove_cvref_t<decltype((std::declval<Chip&>().*section).*member)>;
  return {path,
          unit,
          description,
          kind_of<T>(),
          range.min,
          range.max,
          range.min_exclusive,
          false,
          [](const Chip& chip) { return static_cast<double>((chip.*section).*member); },
          [](Chip& chip, double value) { (chip.*section).*member = static_cast<T>(value); }};
}

constexpr Figure optional(Figure figure) {
  figure.optional = true;
  return figure;
}

constexpr char kF16[] = "f16";
constexpr char kF16AccF16[] = "f16_acc_f16";
constexpr char kBf16[] = "bf16";
constexpr char kF8[] = "f8";
constexpr char kF32[] = "f32";

template <const char* dtype>
constexpr Figure tensor_rate(std::string_view path, std::string_view description) {
  return {path,
          "FLOP/clk/SM",
          description,
          FigureKind::number,
          1,
          1e7,
          false,
          true,
          [](const Chip& chip) { return chip.tensor_flop_per_clk(dtype); },
          [](Chip& chip, double value) { chip.tensor.flop_per_clk_per_sm[dtype] = value; }};
}

constexpr auto kSm = &Chip::sm;
constexpr auto kLatency = &Chip::latency;
constexpr auto kClock = &Chip::clock;
constexpr auto kL2 = &Chip::l2;
constexpr auto kHbm = &Chip::hbm;
constexpr auto kLaunch = &Chip::launch;
constexpr auto kPower = &Chip::power;

// clang-format off
constexpr std::array kFigures = {
    row<kSm, &SmModel::count>("sm.count", "SMs", {1, 4096}, "Streaming multiprocessors, compute units or cores that are enabled"),
    row<kSm, &SmModel::gpcs>("sm.gpcs", "GPCs", {1, 256}, "Clusters of SMs; a cluster of CTAs stays inside one"),
    row<kSm, &SmModel::subpartitions>("sm.subpartitions", "", {1, 64}, "Schedulers with pipes of their own per SM"),
    row<kSm, &SmModel::fp32_lanes>("sm.fp32_lanes", "lanes/SM", positive(65536), "FP32 fused multiply-adds per clock and SM"),
    row<kSm, &SmModel::alu_lanes>("sm.alu_lanes", "lanes/SM", positive(65536), "Compare, select, maximum, convert and integer operations per clock and SM"),
    row<kSm, &SmModel::sfu_lanes>("sm.sfu_lanes", "lanes/SM", positive(65536), "exp2, log2, reciprocal per clock and SM"),
    row<kSm, &SmModel::issue_per_clk>("sm.issue_per_clk", "warp instr/clk/SM", positive(1024), "Warp instructions issued per clock and SM"),
    row<kSm, &SmModel::lanes_per_warp>("sm.lanes_per_warp", "lanes", {1, 4096}, "Threads of one warp"),
    row<kSm, &SmModel::exp_on_fma>("sm.exp_on_fma", "", {0, 1}, "exp2 may also run as a polynomial on the FP32 lanes"),
    row<kSm, &SmModel::max_threads>("sm.max_threads", "threads/SM", {1, 1 << 20}, "Most resident threads per SM"),
    row<kSm, &SmModel::max_ctas>("sm.max_ctas", "CTAs/SM", {1, 1024}, "Most resident CTAs per SM"),
    row<kSm, &SmModel::registers_kib>("sm.registers_kib", "KiB/SM", positive(1 << 20), "Register file"),
    row<kSm, &SmModel::smem_kib>("sm.smem_kib", "KiB/SM", positive(1 << 20), "Shared memory"),
    row<kSm, &SmModel::smem_per_cta_kib>("sm.smem_per_cta_kib", "KiB", positive(1 << 20), "Most shared memory of one CTA"),
    row<kSm, &SmModel::smem_bytes_per_clk>("sm.smem_bytes_per_clk", "B/clk/SM", positive(1 << 20), "Shared memory bandwidth"),
    row<kSm, &SmModel::smem_efficiency>("sm.smem_efficiency", "", kFraction, "Sustained SMEM bandwidth over peak, of accesses that warps issue (not of copy engines and asynchronous MMAs)"),
    row<kSm, &SmModel::l2_port_bytes_per_clk>("sm.l2_port_bytes_per_clk", "B/clk/SM", positive(1 << 20), "Bandwidth from L2 into one SM"),
    optional(row<kSm, &SmModel::l2_requests_per_clk>("sm.l2_requests_per_clk", "1/clk/SM", from_zero(1 << 20), "Requests to L2 shorter than a line, of one SM; without limit where absent")),
    row<kSm, &SmModel::tmem_kib>("sm.tmem_kib", "KiB/SM", from_zero(1 << 20), "Tensor memory; 0 where there is none"),
    row<kSm, &SmModel::tmem_bytes_per_clk>("sm.tmem_bytes_per_clk", "B/clk/SM", from_zero(1 << 20), "Tensor memory to registers and back"),

    tensor_rate<kF16>("tensor.flop_per_clk_per_sm.f16", "Dense FP16 matrix rate with FP32 accumulation"),
    tensor_rate<kF16AccF16>("tensor.flop_per_clk_per_sm.f16_acc_f16", "Dense FP16 matrix rate with FP16 accumulation; as with FP32 where absent"),
    tensor_rate<kBf16>("tensor.flop_per_clk_per_sm.bf16", "Dense BF16 matrix rate with FP32 accumulation"),
    tensor_rate<kF8>("tensor.flop_per_clk_per_sm.f8", "Dense FP8 matrix rate with FP32 accumulation"),
    tensor_rate<kF32>("tensor.flop_per_clk_per_sm.f32", "Dense FP32 matrix rate (vector FMA units of a CPU core)"),
    row<&Chip::tensor, &TensorModel::efficiency>("tensor.efficiency", "", kFraction, "Best rate inside a loop over the peak rate"),

    row<kLatency, &LatencyModel::fp32_cycles>("latency.fp32_cycles", "cycles", from_zero(1e4), "Dependent FP32 operation"),
    row<kLatency, &LatencyModel::alu_cycles>("latency.alu_cycles", "cycles", from_zero(1e4), "Dependent ALU operation"),
    row<kLatency, &LatencyModel::sfu_cycles>("latency.sfu_cycles", "cycles", from_zero(1e4), "Dependent special-function operation"),
    row<kLatency, &LatencyModel::shuffle_cycles>("latency.shuffle_cycles", "cycles", from_zero(1e4), "Exchange between the lanes of a warp"),
    row<kLatency, &LatencyModel::smem_cycles>("latency.smem_cycles", "cycles", from_zero(1e4), "Load of a matrix fragment from shared memory"),
    row<kLatency, &LatencyModel::mma_sync_cycles>("latency.mma_sync_cycles", "cycles", from_zero(1e4), "Synchronous warp-wide matrix operation"),
    row<kLatency, &LatencyModel::wgmma_cycles>("latency.wgmma_cycles", "cycles", from_zero(1e4), "Start and completion of an asynchronous matrix operation"),
    row<kLatency, &LatencyModel::barrier_cycles>("latency.barrier_cycles", "cycles", from_zero(1e4), "Barrier arrival to wake-up"),
    row<kLatency, &LatencyModel::tmem_cycles>("latency.tmem_cycles", "cycles", from_zero(1e4), "Tensor memory to registers"),
    row<kLatency, &LatencyModel::l2_cycles>("latency.l2_cycles", "cycles", from_zero(1e5), "Global load that hits L2"),
    optional(row<kLatency, &LatencyModel::bulk_l2_cycles>("latency.bulk_l2_cycles", "cycles", from_zero(1e5), "Read of a copy engine that hits L2, before copy_engine_cycles; as l2_cycles where absent")),
    optional(row<kLatency, &LatencyModel::warm_l2_cycles>("latency.warm_l2_cycles", "cycles", from_zero(1e5), "Plain read that hits L2 in a kernel without loops, behind the first CTA of a slot; as l2_cycles where absent")),
    row<kLatency, &LatencyModel::copy_engine_cycles>("latency.copy_engine_cycles", "cycles", from_zero(1e5), "Copy engine over a plain load"),
    row<kLatency, &LatencyModel::atomic_cycles>("latency.atomic_cycles", "cycles", from_zero(1e5), "Global atomic, round trip"),
    row<kLatency, &LatencyModel::hbm_ns>("latency.hbm_ns", "ns", from_zero(1e5), "Added to an L2 miss; does not follow the SM clock"),

    row<&Chip::vector, &VectorModel::chain_serialization>("vector.chain_serialization", "", {0, 1}, "A chain's time between the maximum (0) and the sum (1) of its pipes' times"),
    optional(row<&Chip::vector, &VectorModel::turn_cycles>("vector.turn_cycles", "cycles", {1, 1e5}, "Part of a chain that an agent executes before another that waits has its turn; 128 where absent")),
    optional(row<&Chip::vector, &VectorModel::sync_overlap>("vector.sync_overlap", "", {0, 1}, "Overlap of mma.sync with other warps' chains: 0 in turn, 1 (where absent) without effect on each other")),

    row<kClock, &ClockModel::boost_mhz>("clock.boost_mhz", "MHz", {50, 20000}, "Highest SM clock"),
    row<kClock, &ClockModel::min_mhz>("clock.min_mhz", "MHz", {1, 20000}, "Lowest SM clock"),
    row<kClock, &ClockModel::step_mhz>("clock.step_mhz", "MHz", {0.1, 1000}, "Distance of neighbouring clocks"),

    row<kL2, &L2Model::capacity_mib>("l2.capacity_mib", "MiB", positive(65536), "Last-level cache"),
    row<kL2, &L2Model::effective_fraction>("l2.effective_fraction", "", kFraction, "Part of the capacity up to which reads keep L2 speed"),
    row<kL2, &L2Model::bandwidth_bytes_per_clk>("l2.bandwidth_bytes_per_clk", "B/clk", positive(1e7), "Whole chip, per SM clock"),

    row<kHbm, &HbmModel::bandwidth_gb_per_s>("hbm.bandwidth_gb_per_s", "GB/s", {5, 1e6}, "Peak bandwidth of device memory"),
    row<kHbm, &HbmModel::efficiency>("hbm.efficiency", "", kFraction, "Best achieved bandwidth over peak"),
    row<kHbm, &HbmModel::write_cost>("hbm.write_cost", "", {1, 4}, "Time of a written byte over that of a read one"),
    optional(row<kHbm, &HbmModel::scattered_write_cost>("hbm.scattered_write_cost", "", {1, 4}, "The same of rows that a kernel writes all over a cache; as write_cost where absent")),
    row<kHbm, &HbmModel::capacity_gib>("hbm.capacity_gib", "GiB", positive(65536), "Size of device memory"),
    optional(row<kHbm, &HbmModel::translated_gib>("hbm.translated_gib", "GiB", from_zero(65536), "Memory whose address translations the chip holds; all of it where absent")),
    optional(row<kHbm, &HbmModel::translation_ns>("hbm.translation_ns", "ns", from_zero(1e4), "Between two translations of other addresses, chip-wide; 0 where absent")),

    row<kLaunch, &LaunchModel::kernel_us>("launch.kernel_us", "us", from_zero(1e4), "Launch to first CTA and last CTA to done, of a kernel alone"),
    row<kLaunch, &LaunchModel::dependent_kernel_us>("launch.dependent_kernel_us", "us", from_zero(1e4), "A further kernel of a CUDA graph, after its predecessor"),
    optional(row<kLaunch, &LaunchModel::stream_kernel_us>("launch.stream_kernel_us", "us", from_zero(1e4), "A further kernel of a stream, launched by itself; as in a graph where absent")),
    row<kLaunch, &LaunchModel::cta_start_cycles>("launch.cta_start_cycles", "cycles", from_zero(1e6), "Before a CTA's first instruction and after its last"),
    row<kLaunch, &LaunchModel::ctas_per_clk>("launch.ctas_per_clk", "CTAs/clk", positive(1024), "Dispatch rate of the chip"),

    row<kPower, &PowerModel::cap_w>("power.cap_w", "W", positive(1e5), "Power limit of the board"),
    row<kPower, &PowerModel::idle_w>("power.idle_w", "W", from_zero(1e5), "Power that does not follow the work"),
    row<kPower, &PowerModel::tensor_pj_per_flop>("power.tensor_pj_per_flop", "pJ/FLOP", from_zero(1e4), "Matrix unit with its operands, at the highest clock"),
    row<kPower, &PowerModel::vector_pj_per_op>("power.vector_pj_per_op", "pJ/op", from_zero(1e4), "Lane operation with its registers, at the highest clock"),
    row<kPower, &PowerModel::smem_pj_per_byte>("power.smem_pj_per_byte", "pJ/B", from_zero(1e4), "Shared memory, at the highest clock"),
    row<kPower, &PowerModel::l2_pj_per_byte>("power.l2_pj_per_byte", "pJ/B", from_zero(1e4), "L2 to SM"),
    row<kPower, &PowerModel::hbm_pj_per_byte>("power.hbm_pj_per_byte", "pJ/B", from_zero(1e4), "Device memory to L2"),
};
// clang-format on

constexpr std::array<std::string_view, 5> kStatusNames = {"published", "measured", "derived", "estimated", "fitted"};
constexpr std::array<std::string_view, 13> kIsas = {"cdna2",  "cdna3", "cdna4", "generic", "simd",  "sm_100", "sm_103",
                                                    "sm_120", "sm_80", "sm_86", "sm_89",   "sm_90", "xe2"};
constexpr std::array<std::string_view, 4> kInstructions = {"mma_sync", "wgmma", "tcgen05", "systolic"};

}  // namespace

std::span<const Figure> figure_table() {
  return kFigures;
}
std::span<const std::string_view> status_names() {
  return kStatusNames;
}
std::string_view name_of(FigureStatus status) {
  return kStatusNames.at(static_cast<std::size_t>(status));
}
std::span<const std::string_view> isa_choices() {
  return kIsas;
}
std::span<const std::string_view> instruction_choices() {
  return kInstructions;
}

}  // namespace attnsim
