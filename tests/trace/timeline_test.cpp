// SPDX-License-Identifier: Apache-2.0
// The text timeline of kernels whose cycles are counted by hand.
#include "sim/trace/timeline.h"

#include <catch2/catch.hpp>

#include "sim/trace/chrome_trace.h"
#include "tests/support/toy_machine.h"

using namespace attnsim;
using namespace attnsim::test;

namespace {

std::vector<TimelineRow> rows_of(const ir::Kernel& kernel, const Chip& chip, int max_rows, const TraceWindow& window = {}) {
  const SelectedKernel selected = select_instructions(kernel, chip);
  TimelineRecorder recorder(window, max_rows);
  MachineConfig config = toy_config();
  config.listener = &recorder;
  try {
    (void)play(selected, {}, chip, config);
  } catch (const TraceEnd&) {
  }
  return recorder.rows();
}

// Two agents, two trips. Each softmax is 4096 exponentials on 16 lanes, 256 cycles, served in groups of 128, and 40 cycles of
// latency. Agent 1 awaits agent 0's signal of the same trip, 20 cycles after it.
ir::Kernel hand_counted() {
  return kernel_of({{exp_of(0), sync(ir::OpKind::signal, 0)}, {sync(ir::OpKind::await, 0), exp_of(1)}}, 2, 1);
}

Chip hand_counted_chip() {
  Chip chip = toy_chip();
  chip.latency.sfu_cycles = 40;
  chip.latency.barrier_cycles = 20;
  return chip;
}

}  // namespace

TEST_CASE("a timeline shows waits, queues, work and latency of a kernel counted by hand") {
  // agent0, trip 0: works 0-256, latency to 296, signal. Trip 1: its first group works 296-424, asks again at 424 behind agent1's
  // first group, works 552-680, latency to 720.
  // agent1: waits for 296 + 20 = 316. Trip 0: queues from 316, works 424-552, queues behind agent0's second group, works 680-808,
  // latency to 848. The signal of trip 1 has passed at 720. Trip 1: works 848-1104, latency to 1144.
  // (All a tick later: the first CTA is launched after one.) 54 columns are left for 1144 cycles: 50 per column.
  const std::string text = timeline_text(rows_of(hand_counted(), hand_counted_chip(), 20), 100);
  const std::string expected = R"(cycles 0 .. 1145, 50 per column
                            0         500       1000
item trip agent  step       |         |         |
   0    0 agent0 softmax    eeeeeE
   0    1 agent0 softmax         eee===eeeE
   0    0 agent1 await full DDDDDDE                 token 316
   0    0 agent1 softmax          ==eee===eeE
   0    1 agent1 softmax                    eeeeeeE

D  waits for a token, a copy, a tile or its CTA's start   =  issued, queues for a unit   e  a unit works on it
-  in flight: latency of its last group, or of memory     E  complete

Mean cycles per step
agent  step       times   waits D  queues =   works e   flies -
agent0 softmax        2       0.0      64.0     256.0      40.0
agent1 await full     1     316.0       0.0       0.0       0.0
agent1 softmax        2       0.0     118.0     256.0      40.0
)";
  CHECK(text == expected);
}

TEST_CASE("a timeline keeps to its rows, its window and its width") {
  const ir::Kernel kernel = kernel_of({{exp_of(0)}}, 40, 2);
  CHECK(rows_of(kernel, toy_chip(), 7).size() == 7);
  TraceWindow window;
  window.from_cycle = 10 * 256.0 - 1;
  window.to_cycle = 20 * 256.0 - 1;
  const std::vector<TimelineRow> rows = rows_of(kernel, toy_chip(), 1000, window);
  REQUIRE(rows.size() == 10);  // issued in it
  CHECK(rows.front().at.trip == 10);
  window = {};
  window.first_item = window.last_item = 1;
  CHECK(rows_of(kernel, toy_chip(), 1000, window).size() == 40);
  for (const int width : {100, 120, 160}) {
    const std::string text = timeline_text(rows, width);
    std::size_t longest = 0;
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = text.find('\n', begin);
      longest = std::max(longest, end - begin);
      begin = end + 1;
    }
    CHECK(longest <= static_cast<std::size_t>(std::max(width, 113)));  // the legend's line
  }
}

TEST_CASE("a window without steps says so") {
  TraceWindow window;
  window.from_cycle = 1e9;
  CHECK(timeline_text(rows_of(hand_counted(), hand_counted_chip(), 20, window), 120) == "no step in this window\n");
}
