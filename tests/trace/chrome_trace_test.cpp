// SPDX-License-Identifier: Apache-2.0
// Structure of a trace: valid JSON, slices of a thread nest or follow one another, units are never held twice, and the sums are
// what the run reports.
#include "sim/trace/chrome_trace.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <sstream>

#include "sim/core/json_reader.h"
#include "sim/engine/machine.h"
#include "tests/support/toy_machine.h"
#include "tests/support/toy_programs.h"

using namespace attnsim;
using namespace attnsim::test;

namespace {

struct Traced {
  Json document;
  MachineResult result;
  bool over_limit = false;
};

Traced trace(const ir::Kernel& kernel, const std::vector<ir::Tensor>& tensors, const Chip& chip, MachineConfig config,
             const TraceWindow& window = {}, std::int64_t max_events = 1000000) {
  const SelectedKernel selected = select_instructions(kernel, chip);
  std::ostringstream text;
  JsonEvents events(text, {{"chip", "toy"}});
  ChromeTrace listener(events, window, max_events);
  config.listener = &listener;
  Traced out;
  try {
    out.result = play(selected, tensors, chip, config);
  } catch (const TraceEnd&) {
    listener.flush();
  }
  events.close();
  out.document = Json::parse(text.str());
  out.over_limit = listener.over_limit();
  return out;
}

Chip chip_with_latencies() {
  Chip chip = toy_chip();
  chip.latency = LatencyModel{4, 5, 22, 26, 31, 25, 52, 22, 270, 130, 700, 350};
  chip.sm.registers_kib = 256;
  chip.sm.smem_kib = 228;
  chip.sm.smem_per_cta_kib = 227;
  chip.launch.cta_start_cycles = 500;
  return chip;
}

Traced traced_attention(const TraceWindow& window = {}, std::int64_t max_events = 1000000) {
  const ir::Pipeline pipeline = toy_fa3({6, 200, 300, 32, false}, 128, 32, 2);
  MachineConfig config = toy_config();
  config.sms = 3;
  return trace(std::get<ir::Kernel>(pipeline.nodes()[0].work), pipeline.tensors(), chip_with_latencies(), config, window, max_events);
}

using Thread = std::pair<int, int>;
struct Slice {
  double begin = 0;
  double end = 0;
};
std::map<Thread, std::vector<Slice>> slices_of(const Json& document) {
  std::map<Thread, std::vector<Slice>> out;
  for (const Json& e : document.at("traceEvents")) {
    if (e.at("ph") != "X") continue;
    const double begin = e.at("ts");
    out[{e.at("pid"), e.at("tid")}].push_back({begin, begin + e.at("dur").get<double>()});
  }
  for (auto& [thread, slices] : out)
    std::sort(slices.begin(), slices.end(), [](const Slice& a, const Slice& b) { return a.begin < b.begin; });
  return out;
}

std::map<Thread, std::string> thread_names(const Json& document) {
  std::map<Thread, std::string> out;
  for (const Json& e : document.at("traceEvents")) {
    if (e.at("ph") == "M" && e.at("name") == "thread_name") out[{e.at("pid"), e.at("tid")}] = e.at("args").at("name");
  }
  return out;
}

// Cycles of all slices of one unit, over all SMs.
double held(const Json& document, const std::string& unit) {
  const auto names = thread_names(document);
  double sum = 0;
  for (const auto& [thread, slices] : slices_of(document)) {
    if (names.at(thread) != unit) continue;
    for (const Slice& s : slices) sum += s.end - s.begin;
  }
  return sum;
}

constexpr double kRounding = 0.0021;  // times are written to thousandths of a cycle

}  // namespace

TEST_CASE("slices of a thread never overlap, and every thread and process has a name", "[trace]") {
  const Traced traced = traced_attention();
  const auto names = thread_names(traced.document);
  const auto threads = slices_of(traced.document);
  CHECK(threads.size() > 3 * 5);
  for (const auto& [thread, slices] : threads) {
    INFO(names.at(thread));
    for (std::size_t i = 1; i < slices.size(); ++i) CHECK(slices[i].begin >= slices[i - 1].end - kRounding);
  }
  std::set<int> named;
  for (const Json& e : traced.document.at("traceEvents")) {
    if (e.at("ph") == "M" && e.at("name") == "process_name") named.insert(e.at("pid").get<int>());
  }
  CHECK(named == std::set<int>{0, 1, 2, 3});
}

TEST_CASE("slices of the units add up to the run's busy cycles", "[trace]") {
  const Traced traced = traced_attention();
  const auto busy = [&](Pipe p) { return traced.result.busy_cycles[static_cast<std::size_t>(p)]; };
  CHECK(held(traced.document, "tensor") == Approx(busy(Pipe::tensor)).epsilon(1e-3));
  CHECK(held(traced.document, "l2 port") == Approx(traced.result.l2_bytes / 32).epsilon(1e-3));  // 32 B/clk, all hits
  // The lanes' shares of the chains are in the agents' slices.
  std::map<std::string, double> args;
  for (const Json& e : traced.document.at("traceEvents")) {
    if (e.at("ph") != "X" || !e.at("args").contains("section") || e.at("tid").get<int>() < 100) continue;
    for (const auto& [key, value] : e.at("args").items()) {
      if (key.size() > 7 && key.substr(key.size() - 7) == "_cycles") args[key] += value.get<double>();
    }
  }
  for (const Pipe p : {Pipe::fp32, Pipe::alu, Pipe::sfu}) CHECK(args[std::string(name_of(p)) + "_cycles"] == Approx(busy(p)).epsilon(1e-3));
}

TEST_CASE("the bandwidth counter holds every byte that moved", "[trace]") {
  const Traced traced = traced_attention();
  double bytes = 0;
  double last_time = 0;
  double last_value = 0;
  for (const Json& e : traced.document.at("traceEvents")) {
    if (e.at("ph") != "C" || e.at("name") != "L2 bandwidth") continue;
    const double time = e.at("ts");
    CHECK(time >= last_time);
    bytes += last_value * (time - last_time);  // GB/s at 1000 MHz are bytes per cycle
    last_time = time;
    last_value = e.at("args").at("GB/s");
  }
  CHECK(last_value == 0);
  CHECK(bytes == Approx(traced.result.l2_bytes).epsilon(1e-3));
}

TEST_CASE("arrows start and end inside slices, forward in time, and copies start before they end", "[trace]") {
  const Traced traced = traced_attention();
  const auto threads = slices_of(traced.document);
  const auto inside = [&](const Json& e) {
    const double at = e.at("ts");
    const auto& slices = threads.at({e.at("pid"), e.at("tid")});
    return std::any_of(slices.begin(), slices.end(), [&](const Slice& s) { return at >= s.begin && at < s.end; });
  };
  std::map<std::int64_t, double> starts;
  std::map<std::int64_t, double> copies;
  int arrows = 0;
  for (const Json& e : traced.document.at("traceEvents")) {
    const std::string ph = e.at("ph");
    if (ph == "s") {
      CHECK(inside(e));
      starts[e.at("id")] = e.at("ts");
    } else if (ph == "f") {
      CHECK(inside(e));
      CHECK(e.at("ts").get<double>() >= starts.at(e.at("id")));
      ++arrows;
    } else if (ph == "b") {
      copies[e.at("id")] = e.at("ts");
    } else if (ph == "e") {
      CHECK(e.at("ts").get<double>() >= copies.at(e.at("id")));
      copies.erase(e.at("id").get<std::int64_t>());
    }
  }
  CHECK(arrows > 20);
  CHECK(copies.empty());
}

TEST_CASE("a window shows its SMs and cycles only, and the run ends with it", "[trace]") {
  TraceWindow window;
  window.node = 0;
  window.first_sm = window.last_sm = 1;
  window.from_cycle = 2000;
  window.to_cycle = 3000;
  const Traced traced = traced_attention(window);
  CHECK(traced.result.ticks == 0);  // not played to its end
  CHECK_FALSE(traced.over_limit);
  int slices = 0;
  for (const Json& e : traced.document.at("traceEvents")) {
    if (e.at("ph") != "X" || e.at("pid") == 0) continue;
    ++slices;
    CHECK(e.at("pid") == 2);
    CHECK(e.at("ts").get<double>() <= 3000);
    CHECK(e.at("ts").get<double>() + e.at("dur").get<double>() >= 2000 - kRounding);
  }
  CHECK(slices > 10);
}

TEST_CASE("at the limit of events the trace ends whole and says so", "[trace]") {
  const Traced traced = traced_attention({}, 300);
  CHECK(traced.over_limit);
  CHECK(traced.document.at("traceEvents").size() < 400);
}

TEST_CASE("a window of items shows no step of another item", "[trace]") {
  TraceWindow window;
  window.first_item = window.last_item = 2;
  const Traced traced = traced_attention(window);
  int steps = 0;
  for (const Json& e : traced.document.at("traceEvents")) {
    if (!e.contains("args") || !e.at("args").contains("item")) continue;
    ++steps;
    CHECK(e.at("args").at("item") == 2);
  }
  CHECK(steps > 20);
}
