// SPDX-License-Identifier: Apache-2.0
// Expected counts are worked out by hand from tile shapes and the tables in sim/select/tables.
#include "sim/select/select.h"

#include <catch2/catch.hpp>

#include "hwmodels/chip_loader.h"
#include "sim/core/error.h"
#include "sim/select/isa_table.h"

using namespace attnsim;

namespace {

// The rates of Hopper in round figures.
Chip chip() {
  Chip c;
  c.name = "hand";
  c.isa = "sm_90";
  c.sm.fp32_lanes = 128;
  c.sm.alu_lanes = 64;
  c.sm.sfu_lanes = 16;
  c.sm.smem_bytes_per_clk = 128;
  c.tensor.flop_per_clk_per_sm = {{"bf16", 4096}};
  c.tensor.efficiency = 1;
  c.vector.chain_serialization = 1;
  return c;
}

constexpr int kRows = 64;
constexpr int kCols = 192;

// Tiles: 0 s [64 x 192] f32, 1 m [64 x 1], 2 p [64 x 192] bf16, 3 k [192 x 64] in SMEM, 4 q [64 x 64] in SMEM.
ir::Kernel kernel_of(std::vector<ir::Op> ops) {
  ir::Kernel kernel;
  ir::Program& p = kernel.program;
  p.axes = {
      {"rows", ir::AxisKind::fixed, kRows, kRows, 0}, {"kv", ir::AxisKind::fixed, kCols, kCols, 0}, {"d", ir::AxisKind::fixed, 64, 64, 0}};
  p.tiles = {{"s", ir::Space::registers, 0, 1, ir::DType::f32, 1, ir::kNone, 0},
             {"m", ir::Space::registers, 0, ir::kUnit, ir::DType::f32, 1, ir::kNone, 0},
             {"p", ir::Space::registers, 0, 1, ir::DType::bf16, 1, ir::kNone, 0},
             {"k", ir::Space::smem, 1, 2, ir::DType::bf16, 1, ir::kNone, ir::kNone},
             {"q", ir::Space::smem, 0, 2, ir::DType::bf16, 1, ir::kNone, ir::kNone}};
  p.sections = {{"main", ir::SectionKind::once, ir::TripSource::runs}};
  p.agents = {{"consumer", 4, 128, {std::move(ops)}}};
  return kernel;
}

ir::Op op(ir::OpKind kind, ir::Fn fn, std::vector<ir::TileId> in, std::vector<ir::TileId> out) {
  ir::Op o;
  o.kind = kind;
  o.fn = fn;
  o.in = std::move(in);
  o.out = std::move(out);
  return o;
}

std::vector<ir::Op> softmax() {
  ir::Op scale = op(ir::OpKind::binary, ir::Fn::multiply, {0}, {0});
  scale.scalar = 0.18;
  return {op(ir::OpKind::reduce_row, ir::Fn::maximum, {0}, {1}), scale, op(ir::OpKind::binary, ir::Fn::subtract, {0, 1}, {0}),
          op(ir::OpKind::unary, ir::Fn::exp2, {0}, {0}), op(ir::OpKind::convert, ir::Fn::none, {0}, {2})};
}

ir::Op qk(ir::MmaKind kind) {
  ir::Op o = op(ir::OpKind::mma, ir::Fn::none, {4, 3}, {0});
  o.mma = kind;
  o.b_transposed = true;
  return o;
}

double at(const Step& step, Pipe pipe) {
  return step.demand[static_cast<std::size_t>(pipe)];
}

}  // namespace

TEST_CASE("element-wise ops of one agent form one chain, and scale and subtract become one FFMA") {
  const ir::Kernel kernel = kernel_of(softmax());
  const SelectedKernel selected = select_instructions(kernel, chip());
  const auto& steps = selected.agents[0].sections[0];
  REQUIRE(steps.size() == 1);
  const Step& chain = steps[0];
  constexpr double kElements = kRows * kCols;
  CHECK(chain.exp_count == Approx(kElements));
  CHECK(at(chain, Pipe::sfu) == Approx(kElements / 16));
  CHECK(at(chain, Pipe::fp32) == Approx(kElements / 128));  // one FFMA an element
  // One maximum an element, half a convert, and two exchanges on four replicas of each row.
  CHECK(at(chain, Pipe::alu) == Approx((kElements + kElements / 2 + kRows * 4 * 2) / 64));
}

TEST_CASE("without fast math scale and subtract stay two instructions, and an exp2 takes a compare and two multiplies more") {
  std::vector<ir::Op> ops = softmax();
  for (ir::Op& o : ops) o.precise = o.fn == ir::Fn::multiply || o.fn == ir::Fn::exp2;
  const Step plain = select_instructions(kernel_of(softmax()), chip()).agents[0].sections[0].front();
  const Step precise = select_instructions(kernel_of(std::move(ops)), chip()).agents[0].sections[0].front();
  constexpr double kElements = kRows * kCols;
  CHECK(precise.fp32_ops - plain.fp32_ops == Approx(3 * kElements));
  CHECK(precise.alu_ops - plain.alu_ops == Approx(kElements));
  CHECK(precise.sfu_ops == plain.sfu_ops);
  CHECK(precise.warp_instructions - plain.warp_instructions == Approx(4 * kElements / 32));
}

TEST_CASE("tanh is one special function where the ISA has it, else the form with an exponential") {
  ir::Kernel kernel = kernel_of({op(ir::OpKind::unary, ir::Fn::tanh, {0}, {0})});
  constexpr double kElements = kRows * kCols;
  const Step one = select_instructions(kernel, chip()).agents[0].sections[0][0];
  CHECK(at(one, Pipe::sfu) == Approx(kElements / 16));
  CHECK(one.fp32_ops == 0);
  CHECK(one.warp_instructions == Approx(kElements / 32));
  Chip other = chip();
  other.isa = "cdna3";  // 1 - 2 / (exp2(c x) + 1): two special functions, a multiply, an add, a multiply-add
  const Step form = select_instructions(kernel, other).agents[0].sections[0][0];
  CHECK(at(form, Pipe::sfu) == Approx(2 * kElements / 16));
  CHECK(form.fp32_ops == Approx(3 * kElements));
  CHECK(form.warp_instructions == Approx(5 * kElements / 32));
}

TEST_CASE("look_up reads four bytes of SMEM an element") {
  ir::Kernel kernel = kernel_of({op(ir::OpKind::look_up, ir::Fn::none, {5, 6}, {0})});
  ir::Program& p = kernel.program;
  p.axes.push_back({"table", ir::AxisKind::fixed, 300, 300, 0});
  p.tiles.push_back({"table", ir::Space::smem, ir::kUnit, 3, ir::DType::f32, 1, ir::kNone, ir::kNone});
  p.tiles.push_back({"index", ir::Space::registers, 0, 1, ir::DType::i32, 1, ir::kNone, 0});
  const Step step = select_instructions(kernel, chip()).agents[0].sections[0][0];
  CHECK(step.smem_bytes == Approx(4.0 * kRows * kCols));
  CHECK(step.warp_instructions == Approx(kRows * kCols / 32.0));
  CHECK(at(step, Pipe::smem) == Approx(4.0 * kRows * kCols / 128));
}

TEST_CASE("a chain lies between the maximum and the sum of its pipes by the chip's serialization") {
  const ir::Kernel kernel = kernel_of(softmax());
  Chip c = chip();
  const auto occupancy = [&](double serialization) {
    c.vector.chain_serialization = serialization;
    return select_instructions(kernel, c).agents[0].sections[0][0].occupancy_cycles;
  };
  const Step chain = select_instructions(kernel, c).agents[0].sections[0][0];
  const double sum = at(chain, Pipe::fp32) + at(chain, Pipe::alu) + at(chain, Pipe::sfu);
  CHECK(occupancy(0) == Approx(at(chain, Pipe::sfu)));
  CHECK(occupancy(1) == Approx(sum));
  CHECK(occupancy(0.5) == Approx((sum + at(chain, Pipe::sfu)) / 2));
}

TEST_CASE("wgmma reads both operands from SMEM once and runs asynchronously") {
  const ir::Kernel kernel = kernel_of({qk(ir::MmaKind::wgmma_ss)});
  const Step step = select_instructions(kernel, chip()).agents[0].sections[0][0];
  CHECK(step.async);
  CHECK(step.tensor_flops == Approx(2.0 * kRows * kCols * 64));
  CHECK(at(step, Pipe::tensor) == Approx(2.0 * kRows * kCols * 64 / 4096));
  CHECK(step.smem_bytes == Approx((kRows * 64 + kCols * 64) * 2));
  CHECK(step.groups == 64 / 16);
}

TEST_CASE("each warp of mma.sync reads all of B") {
  const ir::Kernel kernel = kernel_of({qk(ir::MmaKind::mma_sync)});
  const Step step = select_instructions(kernel, chip()).agents[0].sections[0][0];
  CHECK_FALSE(step.async);
  CHECK(step.smem_bytes == Approx((kRows * 64 + 4 * kCols * 64) * 2));
  // 4 x 24 x 4 products of m16n8k16, and what they read, 512 bytes an ldmatrix.
  CHECK(step.warp_instructions == Approx(4 * 24 * 4 + step.smem_bytes / 512));
}

TEST_CASE("warps side by side that have few results each wait for their own between k-steps") {
  ir::Kernel kernel = kernel_of({qk(ir::MmaKind::mma_sync)});
  kernel.program.axes[1].padded = kernel.program.axes[1].valid = 32;
  Chip c = chip();
  c.latency.mma_sync_cycles = 100;
  c.latency.smem_cycles = 30;
  const Step alone = select_instructions(kernel, c).agents[0].sections[0][0];
  CHECK(alone.latency_cycles == Approx(130));
  kernel.program.agents[0].sections[0][0].warp_columns = 4;
  const Step step = select_instructions(kernel, c).agents[0].sections[0][0];
  REQUIRE(step.groups == 4);
  CHECK(step.latency_cycles == Approx(130 + 3 * (100 - step.occupancy_cycles / 4)));
  CHECK(step.smem_bytes == Approx((4 * kRows * 64 + 32 * 64) * 2));  // each of them reads all of A
  c.latency.mma_sync_cycles = 10;                                    // shorter than a k-step
  CHECK(select_instructions(kernel, c).agents[0].sections[0][0].latency_cycles == Approx(40));
}

TEST_CASE("products that are summed up in FP16 take the chip's rate for that, and such results are widened one by one") {
  constexpr double kElements = kRows * kCols;
  const auto cycles = [](ir::DType sum, std::map<std::string, double> rates) {
    ir::Kernel kernel = kernel_of({qk(ir::MmaKind::mma_sync)});
    kernel.program.tiles[3].dtype = kernel.program.tiles[4].dtype = ir::DType::f16;
    kernel.program.tiles[0].dtype = sum;
    Chip c = chip();
    c.isa = "sm_89";
    c.tensor.flop_per_clk_per_sm = std::move(rates);
    return at(select_instructions(kernel, c).agents[0].sections[0][0], Pipe::tensor);
  };
  CHECK(cycles(ir::DType::f32, {{"f16", 512}}) == Approx(2 * kElements * 64 / 512));
  CHECK(cycles(ir::DType::f32, {{"f16", 512}, {"f16_acc_f16", 1024}}) == Approx(2 * kElements * 64 / 512));
  CHECK(cycles(ir::DType::f16, {{"f16", 512}}) == Approx(2 * kElements * 64 / 512));
  CHECK(cycles(ir::DType::f16, {{"f16", 512}, {"f16_acc_f16", 1024}}) == Approx(2 * kElements * 64 / 1024));

  const auto alu_ops = [](ir::TileId from, ir::TileId to) {
    return select_instructions(kernel_of({op(ir::OpKind::convert, ir::Fn::none, {from}, {to})}), chip()).agents[0].sections[0][0].alu_ops;
  };
  CHECK(alu_ops(0, 2) == Approx(kElements / 2));  // one instruction packs two
  CHECK(alu_ops(2, 0) == Approx(kElements));
}

TEST_CASE("numbers that an agent's warps pass on through SMEM take its latency") {
  const ir::TileId exchanged = 5;
  const std::vector<ir::Op> ops{op(ir::OpKind::unary, ir::Fn::copy, {1}, {exchanged}),
                                op(ir::OpKind::binary, ir::Fn::add, {exchanged, 1}, {1})};
  ir::Kernel kernel = kernel_of(ops);
  kernel.program.tiles.push_back({"exchanged", ir::Space::smem, 0, ir::kUnit, ir::DType::f32, 1, ir::kNone, ir::kNone});
  Chip c = chip();
  c.latency.smem_cycles = 30;
  const double with = select_instructions(kernel, c).agents[0].sections[0][0].latency_cycles;
  kernel.program.agents[0].sections[0].erase(kernel.program.agents[0].sections[0].begin());  // another agent's, behind a token
  const double without = select_instructions(kernel, c).agents[0].sections[0][0].latency_cycles;
  CHECK(with - without >= 30);
  c.latency.smem_cycles = 50;
  CHECK(select_instructions(kernel, c).agents[0].sections[0][0].latency_cycles == Approx(without));
}

TEST_CASE("a product on the lanes reads B for every row, widens it and exchanges partial sums where B's rows are summed over") {
  const double products = static_cast<double>(kRows) * kCols * 64;
  const double exchanged = static_cast<double>(kRows) * kCols * 8 * 3;  // eight lanes hold 64 columns, three exchanges
  const ir::Kernel scores = kernel_of({qk(ir::MmaKind::lanes), op(ir::OpKind::unary, ir::Fn::exp2, {0}, {0})});
  const auto steps = select_instructions(scores, chip()).agents[0].sections[0];
  const Step& step = steps.at(0);
  CHECK(step.kind == StepKind::chain);
  CHECK_FALSE(step.async);
  CHECK(step.tensor_flops == 0);
  CHECK(step.fp32_ops == Approx(products + exchanged));
  CHECK(step.alu_ops == Approx(products));
  CHECK(step.smem_bytes == Approx(2 * products + 4 * exchanged));
  CHECK(steps.back().sfu_ops == Approx(8.0 * kRows * kCols));  // every lane of a row has each score
  CHECK(steps.back().exp_count == Approx(1.0 * kRows * kCols));
}

TEST_CASE("mma.sync takes longer than wgmma where its rate is a fraction of the chip's") {
  const auto tensor_cycles = [](ir::MmaKind kind) {
    const ir::Kernel kernel = kernel_of({qk(kind)});
    return at(select_instructions(kernel, chip()).agents[0].sections[0][0], Pipe::tensor);
  };
  const double fraction = load_isa_table("sm_90").mma.at(ir::MmaKind::mma_sync).rate_fraction;
  // arXiv 2402.13499, H800 PCIe: 494.4 TFLOP/s on 114 SMs at 1755 MHz, of 4096 FLOP/clk; tensor.efficiency is taken out.
  CHECK(fraction == Approx(494.4e12 / (114 * 1755e6) / 4096 / load_chip("h100-sxm").tensor.efficiency).epsilon(2e-3));
  CHECK(tensor_cycles(ir::MmaKind::mma_sync) * fraction == Approx(tensor_cycles(ir::MmaKind::wgmma_ss)));
}

TEST_CASE("a streamed operand stalls at each slice, by the drain or by the part of a fetch that its stages leave") {
  Chip c = chip();
  c.latency.mma_sync_cycles = 25;
  c.latency.smem_cycles = 31;
  c.latency.barrier_cycles = 20;
  ir::Kernel kernel = kernel_of({qk(ir::MmaKind::mma_sync)});
  kernel.program.tiles[3].slice_cols = 16;  // of 64
  const auto stalls = [&](double fetch_cycles, int stages) {
    c.latency.l2_cycles = fetch_cycles;
    kernel.program.tiles[3].stages = stages;
    return select_instructions(kernel, c).agents[0].sections[0][0].stall_cycles;
  };
  CHECK(stalls(0, 2) == Approx(3 * (25 + 31 + 20)));
  // SMEM is busiest: one read of Q and four of K, 16 columns at a time.
  const double busy = (kRows + 4 * kCols) * 16 * 2 / 128.0;
  CHECK(stalls(1000, 2) == Approx(3 * (1000 - busy)));
  CHECK(stalls(1000, 3) == Approx(3 * (500 - busy)));
}

TEST_CASE("a chain waits for the product that it reads") {
  std::vector<ir::Op> ops{qk(ir::MmaKind::wgmma_ss)};
  for (ir::Op& o : softmax()) ops.push_back(o);
  const ir::Kernel kernel = kernel_of(ops);
  const SelectedKernel selected = select_instructions(kernel, chip());
  const auto& steps = selected.agents[0].sections[0];
  REQUIRE(steps.size() == 2);
  CHECK(steps[1].waits == std::vector<ir::TileId>{0});
}

TEST_CASE("an instruction that the isa lacks is an error that names both") {
  Chip c = chip();
  c.isa = "sm_80";
  const ir::Kernel kernel = kernel_of({qk(ir::MmaKind::wgmma_ss)});
  CHECK_THROWS_WITH(select_instructions(kernel, c), Catch::Contains("sm_80") && Catch::Contains("wgmma_ss"));
}

TEST_CASE("every shipped table loads, and extended tables keep what they do not override") {
  for (const std::string& isa : isa_names()) CHECK(load_isa_table(isa).name == isa);
  CHECK(load_isa_table("sm_90").mma.count(ir::MmaKind::mma_sync) == 1);
  CHECK(load_isa_table("sm_80").mma.count(ir::MmaKind::wgmma_ss) == 0);
}

namespace {

// Tiles: 0 s [128 x 128] f32 in TMEM, 1 copy in registers, 2 p bf16 in TMEM, 3 row maximum.
ir::Kernel tmem_kernel(std::vector<ir::Op> ops) {
  ir::Kernel kernel;
  ir::Program& p = kernel.program;
  p.axes = {{"rows", ir::AxisKind::fixed, 128, 128, 0}, {"kv", ir::AxisKind::fixed, 128, 128, 0}};
  p.tiles = {{"s", ir::Space::tmem, 0, 1, ir::DType::f32, 1, ir::kNone, ir::kNone},
             {"copy", ir::Space::registers, 0, 1, ir::DType::f32, 1, ir::kNone, 0},
             {"p", ir::Space::tmem, 0, 1, ir::DType::bf16, 1, 0, ir::kNone},
             {"m", ir::Space::registers, 0, ir::kUnit, ir::DType::f32, 1, ir::kNone, 0}};
  p.sections = {{"main", ir::SectionKind::once, ir::TripSource::runs}};
  p.agents = {{"softmax", 4, 192, {std::move(ops)}}};
  return kernel;
}

Chip blackwell() {
  Chip c = chip();
  c.isa = "sm_100";
  c.sm.tmem_kib = 256;
  c.sm.tmem_bytes_per_clk = 512;
  return c;
}

}  // namespace

TEST_CASE("a thread that reads rows from tensor memory reduces them without exchanges, three operands at a time") {
  const ir::Kernel kernel =
      tmem_kernel({op(ir::OpKind::unary, ir::Fn::copy, {0}, {1}), op(ir::OpKind::reduce_row, ir::Fn::maximum, {1}, {3})});
  const Step chain = select_instructions(kernel, blackwell()).agents[0].sections[0][0];
  CHECK(at(chain, Pipe::tmem) == Approx(128 * 128 * 4 / 512.0));
  CHECK(at(chain, Pipe::alu) == Approx(128 * 128 / 2 / 64.0));
  CHECK(chain.smem_bytes == 0);
}

TEST_CASE("packed arithmetic halves the issue slots and not the lane time") {
  ir::Op scale = op(ir::OpKind::binary, ir::Fn::multiply, {1}, {1});
  scale.scalar = 2;
  const Step chain =
      select_instructions(tmem_kernel({op(ir::OpKind::unary, ir::Fn::copy, {0}, {1}), scale}), blackwell()).agents[0].sections[0][0];
  CHECK(at(chain, Pipe::fp32) == Approx(128));
  CHECK(chain.warp_instructions == Approx(128 * 128 / 2 / 32.0));
}

TEST_CASE("a part of the exps moves from the SFU to the lanes, with six FP32 and two ALU operations each") {
  ir::Op exponential = op(ir::OpKind::unary, ir::Fn::exp2, {1}, {1});
  exponential.polynomial = 0.25;
  const ir::Kernel kernel = tmem_kernel({op(ir::OpKind::unary, ir::Fn::copy, {0}, {1}), exponential});
  const Step chain = select_instructions(kernel, blackwell()).agents[0].sections[0][0];
  constexpr double kElements = 128 * 128;
  CHECK(chain.exp_count == Approx(kElements));
  CHECK(at(chain, Pipe::sfu) == Approx(0.75 * kElements / 16));
  CHECK(at(chain, Pipe::fp32) == Approx(0.25 * kElements * 6 / 128));
  CHECK(at(chain, Pipe::alu) == Approx(0.25 * kElements * 2 / 64));
  Chip hopper = chip();
  CHECK_THROWS_WITH(select_instructions(kernel, hopper), Catch::Contains("sm_90") && Catch::Contains("polynomial"));
}

TEST_CASE("an op that acts in a tenth of all executions costs a tenth") {
  ir::Op rescale = op(ir::OpKind::binary, ir::Fn::multiply, {0, 3}, {0});
  rescale.share = 0.1;
  const Step chain = select_instructions(tmem_kernel({rescale}), blackwell()).agents[0].sections[0][0];
  CHECK(at(chain, Pipe::fp32) == Approx(12.8));
  CHECK(at(chain, Pipe::tmem) == Approx(0.1 * 2 * 128 * 128 * 4 / 512));
}

TEST_CASE("a part of an op costs its part, and its latency once more") {
  ir::Op exponential = op(ir::OpKind::unary, ir::Fn::exp2, {1}, {0});
  const Step whole = select_instructions(tmem_kernel({exponential}), blackwell()).agents[0].sections[0][0];
  exponential.parts = 2;
  const Step half = select_instructions(tmem_kernel({exponential}), blackwell()).agents[0].sections[0][0];
  CHECK(at(half, Pipe::sfu) == Approx(128 * 128 / 2 / 16.0));
  CHECK(at(half, Pipe::tmem) == Approx(at(whole, Pipe::tmem) / 2));
  CHECK(half.exp_count == Approx(whole.exp_count / 2));
  CHECK(half.latency_cycles == Approx(whole.latency_cycles));

  ir::Op product = qk(ir::MmaKind::wgmma_ss);
  product.parts = 4;
  CHECK(select_instructions(kernel_of({product}), chip()).agents[0].sections[0][0].tensor_flops == Approx(2.0 * kRows * kCols * 64 / 4));
}

TEST_CASE("chains of interleaved agents hold the special-function unit alone, and take as long as their longest pipe") {
  Chip c = chip();
  c.vector.chain_serialization = 0.5;
  ir::Kernel kernel = kernel_of(softmax());
  const Step plain = select_instructions(kernel, c).agents[0].sections[0][0];
  kernel.program.agents[0].interleaved = true;
  const Step step = select_instructions(kernel, c).agents[0].sections[0][0];
  const double longest = std::max({at(step, Pipe::sfu), at(step, Pipe::alu), at(step, Pipe::fp32)});
  CHECK(step.occupancy_cycles == Approx(kRows * kCols / 16.0));
  CHECK(step.occupancy_cycles + step.latency_cycles - plain.latency_cycles == Approx(longest));
  CHECK(plain.occupancy_cycles > longest);
  CHECK(step.demand == plain.demand);
}

TEST_CASE("each read of tensor memory in turn, and the write after them, adds its latency") {
  const auto latency = [](double rounds, double share, double tmem_cycles) {
    ir::Op rescale = op(ir::OpKind::binary, ir::Fn::multiply, {0, 3}, {0});
    rescale.tmem_rounds = rounds;
    rescale.share = share;
    Chip c = blackwell();
    c.latency.tmem_cycles = tmem_cycles;
    return select_instructions(tmem_kernel({rescale}), c).agents[0].sections[0][0].latency_cycles;
  };
  CHECK(latency(1, 1, 100) - latency(1, 1, 0) == Approx(2 * 100));
  CHECK(latency(4.5, 1, 100) - latency(4.5, 1, 0) == Approx(5.5 * 100));
  CHECK(latency(4.5, 0.1, 100) - latency(4.5, 0.1, 0) == Approx(55));
}

TEST_CASE("numbers per column stand in eight lanes of every warp, and integers have rates of their own") {
  ir::Kernel kernel = kernel_of({});
  ir::Program& p = kernel.program;
  const auto add_tile = [&](const char* name, ir::AxisId rows, ir::AxisId cols) {
    p.tiles.push_back({name, ir::Space::registers, rows, cols, ir::DType::i32, 1, ir::kNone, 0});
    return static_cast<ir::TileId>(p.tiles.size()) - 1;
  };
  const ir::TileId column = add_tile("column", ir::kUnit, 1);
  const ir::TileId row = add_tile("row", 0, ir::kUnit);
  const ir::TileId pair = add_tile("pair", 0, 1);
  const auto cost = [&](ir::Op o) {
    p.agents[0].sections[0] = {std::move(o)};
    return select_instructions(kernel, chip()).agents[0].sections[0][0];
  };
  // 4 warps x 8 lanes hold every one of 192 columns; 4 lanes every one of 64 rows.
  CHECK(at(cost(op(ir::OpKind::iota, ir::Fn::none, {}, {column})), Pipe::alu) == Approx(192 * 4 * 8 / 64.0));
  CHECK(at(cost(op(ir::OpKind::iota, ir::Fn::none, {}, {row})), Pipe::alu) == Approx(64 * 4 / 64.0));
  const Step sum = cost(op(ir::OpKind::binary, ir::Fn::subtract, {row, column}, {pair}));
  CHECK(at(sum, Pipe::alu) == Approx(64 * 192 / 64.0));
  CHECK(at(sum, Pipe::fp32) == 0);
  // A multiply takes the FP32 pipe at half its rate and one issue slot.
  const Step product = cost(op(ir::OpKind::binary, ir::Fn::multiply, {row, column}, {pair}));
  CHECK(at(product, Pipe::fp32) == Approx(2 * 64 * 192 / 128.0));
  CHECK(product.warp_instructions == Approx(64 * 192 / 32.0));
  ir::Op divide = op(ir::OpKind::binary, ir::Fn::floor_divide, {column}, {column});
  divide.scalar = 64;
  CHECK(at(cost(divide), Pipe::alu) == Approx(2 * 192 * 4 * 8 / 64.0));
  // Where the warps stand in two columns over all products, each holds half of the columns.
  ir::Op mma = op(ir::OpKind::mma, ir::Fn::none, {pair, pair}, {pair});
  mma.warp_columns = 2;
  const auto columns = [&](const std::vector<ir::Op>& products) {
    p.agents[0].sections[0] = products;
    return lane_layout(load_isa_table("sm_80"), p, p.agents[0]).column_vector;
  };
  CHECK(columns({mma}) == 4 * 8 / 2);
  ir::Op other = mma;
  other.warp_columns = 4;
  CHECK(columns({mma, other}) == 4 * 8);
}

TEST_CASE("a division by a number told at launch takes several pipes, and independent ones wait side by side") {
  ir::Kernel kernel = kernel_of({});
  ir::Program& p = kernel.program;
  Chip c = chip();
  c.latency.alu_cycles = 5;
  c.latency.fp32_cycles = 4;
  c.latency.sfu_cycles = 20;
  std::vector<ir::TileId> rows;
  for (const char* name : {"a", "b", "c", "by"}) {
    p.tiles.push_back({name, ir::Space::registers, 0, ir::kUnit, ir::DType::i32, 1, ir::kNone, 0});
    rows.push_back(static_cast<ir::TileId>(p.tiles.size()) - 1);
  }
  const auto divide = [&](int from, int to) {
    return op(ir::OpKind::binary, ir::Fn::floor_divide, {rows[static_cast<std::size_t>(from)], rows[3]},
              {rows[static_cast<std::size_t>(to)]});
  };
  const auto chain_of = [&](std::vector<ir::Op> ops) {
    p.agents[0].sections[0] = std::move(ops);
    return select_instructions(kernel, c).agents[0].sections[0][0];
  };
  // The reciprocal takes 2 integer instructions, 3 conversions and 3 multiply-adds, of which 2, 3 and 2 wait for each other, a quotient 9
  // and 5, of which 4 and 4 do.
  const Step one = chain_of({divide(0, 1)});
  const double lanes = 64 * 4;
  CHECK(at(one, Pipe::alu) == Approx((2 + 9) * lanes / 64));
  CHECK(at(one, Pipe::sfu) == Approx(3 * lanes / 16));
  CHECK(at(one, Pipe::fp32) == Approx((3 + 5) * 2 * lanes / 128));
  const double depth = 4 * 5 + 4 * 4;
  const double inverse = 2 * 5 + 3 * 20 + 2 * 4;
  CHECK(one.latency_cycles == Approx(inverse + depth));
  CHECK(at(chain_of({divide(0, 1), divide(0, 2)}), Pipe::sfu) == Approx(3 * lanes / 16));
  CHECK(chain_of({divide(0, 1), divide(0, 2)}).latency_cycles == Approx(inverse + depth));
  CHECK(chain_of({divide(0, 1), divide(1, 2)}).latency_cycles == Approx(inverse + 2 * depth));
}
