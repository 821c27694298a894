// SPDX-License-Identifier: Apache-2.0
// Starts of a pipeline's nodes over streams, counted by hand. Durations are given, not simulated.
#include "sim/engine/node_schedule.h"

#include <catch2/catch.hpp>
#include <map>
#include <string>

#include "tests/support/toy_machine.h"

using namespace attnsim;
using namespace attnsim::test;

namespace {

ir::Kernel named(const std::string& name, bool programmatic = false) {
  ir::Kernel kernel = kernel_of({{exp_of(0)}}, 1, 1);
  kernel.name = name;
  kernel.program.tokens.clear();
  kernel.grid.programmatic_launch = programmatic;
  return kernel;
}
ir::Transfer transfer(const std::string& name) {
  return ir::Transfer{name, Bytes(1000), ir::TransferPattern::p2p, 2};
}

Chip launching_chip() {
  Chip chip = toy_chip();
  chip.sm.max_ctas = 1;
  chip.sm.registers_kib = 256;
  chip.sm.smem_kib = 228;
  chip.launch.kernel_us = 5;
  chip.launch.dependent_kernel_us = 2;
  chip.launch.stream_kernel_us = 3;
  chip.launch.cta_start_cycles = 1000;  // 1 us at 1000 MHz
  return chip;
}

struct Played {
  std::map<std::string, NodeStart> starts;
  double end_us = 0;
};
Played played_nodes(const ir::Pipeline& pipeline, const std::map<std::string, double>& duration_us,
                    const std::vector<double>& drains_us = {}, const Conditions& conditions = {}) {
  const Chip chip = launching_chip();
  NodeSchedule schedule(pipeline, chip, conditions, 1000);
  Played out;
  for (NodeStart start = schedule.next(); start.node >= 0; start = schedule.next()) {
    const std::string name = pipeline.nodes()[static_cast<std::size_t>(start.node)].name();
    out.starts[name] = start;
    schedule.done(start, duration_us.at(name), drains_us);
  }
  out.end_us = schedule.end_us();
  return out;
}

}  // namespace

TEST_CASE("kernels of one stream follow one another with launch gaps") {
  ir::PipelineBuilder builder("one stream");
  builder.add(named("a"));
  builder.add(named("b"));
  const Played p = played_nodes(builder.build(), {{"a", 10}, {"b", 20}});
  CHECK(p.starts.at("a").start_us == 5);
  CHECK(p.starts.at("b").start_us == 5 + 10 + 2);
  CHECK(p.starts.at("b").gap_us == 2);
  CHECK(p.end_us == 5 + 10 + 2 + 20);
}

TEST_CASE("a transfer of another stream runs beside a kernel, and what needs both waits for the later") {
  ir::PipelineBuilder builder("overlap");
  const int a = builder.add(named("a"));
  const int send = builder.add(transfer("send"), 1);
  builder.add(named("b"));
  const int c = builder.add(named("c"));
  builder.depend(a, send);
  builder.depend(send, c);
  // a 5-15; send 15-45 beside b 17-27; c waits for send: 45 + 2.
  const Played p = played_nodes(builder.build(), {{"a", 10}, {"send", 30}, {"b", 10}, {"c", 10}});
  CHECK(p.starts.at("send").start_us == 15);
  CHECK(p.starts.at("b").start_us == 17);
  CHECK(p.starts.at("c").start_us == 47);
  CHECK(p.end_us == 57);
}

TEST_CASE("kernels of two streams share the chip one after the other, and hide each other's launch gaps") {
  ir::PipelineBuilder builder("two streams");
  builder.add(named("a0"), 0);
  builder.add(named("a1"), 0);
  builder.add(named("b0"), 1);
  builder.add(named("b1"), 1);
  // a0 5-15; b0 is ready at 5, gets the chip at 15, 15-25; a1 (ready 17) 25-35; b1 (ready 27) 35-45: no gap shows but the first.
  const Played p = played_nodes(builder.build(), {{"a0", 10}, {"a1", 10}, {"b0", 10}, {"b1", 10}});
  CHECK(p.starts.at("b0").start_us == 15);
  CHECK(p.starts.at("a1").start_us == 25);
  CHECK(p.starts.at("a1").gap_us == 0);
  CHECK(p.end_us == 45);
}

TEST_CASE("transfers share the link one after the other and host gaps hold nothing") {
  ir::PipelineBuilder builder("links");
  builder.add(transfer("x"), 0);
  builder.add(transfer("y"), 1);
  builder.add(ir::HostGap{"sleep", Nanoseconds(7000)}, 2);
  const Played p = played_nodes(builder.build(), {{"x", 10}, {"y", 10}, {"sleep", 7}});
  CHECK(p.starts.at("y").start_us == 10);
  CHECK(p.starts.at("sleep").start_us == 0);
  CHECK(p.end_us == 20);
}

TEST_CASE("a programmatic launch hides its CTA start where its predecessor has left enough SMs, and no more than that") {
  // CTA start is 1 us; one CTA per SM; of four SMs the predecessor leaves one 3 us before its end, one 0.5, one 0.25, one at the end.
  const std::vector<double> drains{3, 0.5, 0.25, 0};
  const auto start_with = [&](std::int64_t ctas, const Conditions& conditions = {}) {
    ir::PipelineBuilder builder("pdl");
    builder.add(named("a"));
    ir::Kernel b = named("b", true);
    b.families[0].slab_count = ctas;
    builder.add(b);
    return played_nodes(builder.build(), {{"a", 10}, {"b", 20}}, drains, conditions);
  };
  CHECK(start_with(1).starts.at("b").start_us == 14);
  CHECK(start_with(1).starts.at("b").gap_us == -1);
  CHECK(start_with(1).end_us == 34);
  CHECK(start_with(2).starts.at("b").start_us == 14.5);
  CHECK(start_with(3).starts.at("b").start_us == 14.75);
  CHECK(start_with(4).starts.at("b").start_us == 15);
  CHECK(start_with(400).starts.at("b").start_us == 15);
  Conditions without;
  without.without = {"cta_start"};
  CHECK(start_with(1, without).starts.at("b").start_us == 15);
}

TEST_CASE("a kernel without programmatic launch waits for its predecessor's end, whatever that leaves") {
  ir::PipelineBuilder builder("plain");
  builder.add(named("a"));
  builder.add(named("b"));
  CHECK(played_nodes(builder.build(), {{"a", 10}, {"b", 20}}, {3, 3}).starts.at("b").start_us == 17);
}

TEST_CASE("plain launches take the stream's gap, graph launches the node's, programmatic ones none") {
  ir::PipelineBuilder builder("kinds");
  builder.add(named("a"));
  builder.add(named("b"));
  builder.add(named("c", true));
  const ir::Pipeline pipeline = builder.build();
  Conditions plain;
  plain.launches = LaunchKind::plain;
  const std::map<std::string, double> durations{{"a", 10}, {"b", 20}, {"c", 30}};
  CHECK(played_nodes(pipeline, durations).end_us == 5 + 10 + 2 + 20 + 30);
  CHECK(played_nodes(pipeline, durations, {}, plain).end_us == 5 + 10 + 3 + 20 + 30);
}

TEST_CASE("a launch that the harness does not count costs nothing, the gaps between kernels still do") {
  ir::PipelineBuilder builder("uncounted");
  builder.add(named("a"));
  builder.add(named("b"));
  Conditions conditions;
  conditions.include_launch = false;
  CHECK(played_nodes(builder.build(), {{"a", 10}, {"b", 20}}, {}, conditions).end_us == 10 + 2 + 20);
}

TEST_CASE("in a chain of calls the first kernel has the gap of one behind another, unless the host comes between") {
  ir::PipelineBuilder builder("chained");
  builder.add(named("a"));
  builder.add(named("b"));
  Conditions conditions;
  conditions.chained = true;
  CHECK(played_nodes(builder.build(), {{"a", 10}, {"b", 20}}, {}, conditions).end_us == 2 + 10 + 2 + 20);
}
