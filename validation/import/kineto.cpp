// SPDX-License-Identifier: Apache-2.0
// Chrome traces of PyTorch's profiler (Kineto): kernels are complete events of category "kernel" with grid, block, stream and an
// "External id" that names the CPU operator which launched them. With record_shapes=True an operator carries "Input Dims", "Input type"
// and, in newer versions, "Concrete Inputs". Operators enclose each other by thread and time.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "sim/core/error.h"
#include "validation/import/recording.h"

namespace attnsim {

namespace {

using nlohmann::json;
constexpr std::size_t kNone = static_cast<std::size_t>(-1);

// Any scalar as text: ids are numbers in one version and texts in another.
std::string text_of(const json& value) {
  return value.is_string() ? value.get<std::string>() : value.is_null() ? "" : value.dump();
}

const json& member(const json& object, const char* key) {
  static const json kNull;
  if (!object.is_object()) return kNull;
  const auto found = object.find(key);
  return found == object.end() ? kNull : *found;
}

double number_or(const json& value, double fallback) {
  return value.is_number() ? value.get<double>() : fallback;
}

bool is_category(const json& event, std::initializer_list<std::string_view> names) {
  const json& category = member(event, "cat");
  return category.is_string() && std::find(names.begin(), names.end(), category.get_ref<const std::string&>()) != names.end();
}

std::vector<std::string> texts_of(const json& list) {
  std::vector<std::string> texts;
  if (list.is_array())
    for (const json& item : list) texts.push_back(text_of(item));
  return texts;
}

std::vector<std::vector<std::int64_t>> dims_of(const json& list) {
  std::vector<std::vector<std::int64_t>> all;
  if (!list.is_array()) return all;
  for (const json& item : list) {
    std::vector<std::int64_t>& dims = all.emplace_back();
    if (!item.is_array()) continue;
    for (const json& extent : item)
      if (extent.is_number_integer()) dims.push_back(extent.get<std::int64_t>());
  }
  return all;
}

std::array<std::int64_t, 3> triple(const json& list) {
  std::array<std::int64_t, 3> values{};
  if (!list.is_array() || list.size() != 3) return values;
  for (std::size_t i = 0; i < 3; ++i) values[i] = list[i].is_number_integer() ? list[i].get<std::int64_t>() : 0;
  return values;
}

struct Operator {
  OperatorCall call;
  std::string thread, external_id;
  double start = 0, end = 0;
  std::size_t parent = kNone;
};

// Parents by thread: the innermost operator that is open when another starts.
void link_parents(std::vector<Operator>& operators) {
  std::vector<std::size_t> order(operators.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return operators[a].start != operators[b].start ? operators[a].start < operators[b].start : operators[a].end > operators[b].end;
  });
  std::map<std::string, std::vector<std::size_t>> open;
  for (const std::size_t i : order) {
    std::vector<std::size_t>& stack = open[operators[i].thread];
    while (!stack.empty() && operators[stack.back()].end <= operators[i].start) stack.pop_back();
    if (!stack.empty()) operators[i].parent = stack.back();
    stack.push_back(i);
  }
}

std::vector<Operator> operators_of(const json& events) {
  std::vector<Operator> operators;
  for (const json& event : events) {
    if (!is_category(event, {"cpu_op", "Operator", "operator"})) continue;
    const json& args = member(event, "args");
    Operator op;
    op.call.name = text_of(member(event, "name"));
    op.call.dims = dims_of(member(args, "Input Dims").is_array() ? member(args, "Input Dims") : member(args, "Input dims"));
    op.call.types = texts_of(member(args, "Input type"));
    op.call.values = texts_of(member(args, "Concrete Inputs"));
    op.thread = text_of(member(event, "pid")) + "/" + text_of(member(event, "tid"));
    op.external_id = text_of(member(args, "External id"));
    op.start = number_or(member(event, "ts"), 0);
    op.end = op.start + number_or(member(event, "dur"), 0);
    operators.push_back(std::move(op));
  }
  link_parents(operators);
  return operators;
}

std::map<std::string, std::string> devices_of(const json& document) {
  std::map<std::string, std::string> names;
  const json& list = member(document, "deviceProperties");
  if (list.is_array())
    for (const json& device : list) names[text_of(member(device, "id"))] = text_of(member(device, "name"));
  return names;
}

const json& events_of(const json& document) {
  return document.is_array() ? document : member(document, "traceEvents");
}

}  // namespace

bool is_kineto(std::string_view text) {
  const std::size_t start = text.find_first_not_of(" \t\r\n");
  return start != std::string_view::npos && (text[start] == '{' || text[start] == '[') &&
         (text.find("\"traceEvents\"") != std::string_view::npos || text.find("\"ph\"") != std::string_view::npos);
}

Recording read_kineto(const std::string& text, const std::string& file) {
  const json document = json::parse(text, nullptr, false);
  if (document.is_discarded())
    throw ConfigError({file, "", "", "is no valid JSON", "a trace that torch.profiler exported, not cut off", ""});
  const json& events = events_of(document);
  if (!events.is_array()) throw ConfigError({file, "/traceEvents", "", "is no list of events", "a trace that torch.profiler exported", ""});

  const std::map<std::string, std::string> devices = devices_of(document);
  const std::vector<Operator> operators = operators_of(events);
  std::map<std::string, std::size_t> by_external_id;  // the last to open is the innermost
  for (std::size_t i = 0; i < operators.size(); ++i) {
    if (operators[i].external_id.empty()) continue;
    const auto [slot, fresh] = by_external_id.try_emplace(operators[i].external_id, i);
    if (!fresh && operators[i].start >= operators[slot->second].start) slot->second = i;
  }

  Recording recording;
  recording.harness = "profiler-kernel";
  for (std::size_t e = 0; e < events.size(); ++e) {
    const json& event = events[e];
    if (!is_category(event, {"kernel", "Kernel"})) continue;
    const json& args = member(event, "args");
    KernelRecord kernel;
    kernel.place = fmt::format("event {}", e);
    kernel.name = text_of(member(event, "name"));
    kernel.time_us = number_or(member(event, "dur"), 0);
    kernel.start_us = number_or(member(event, "ts"), -1);
    kernel.stream = text_of(member(args, "device")) + "/" + text_of(member(args, "stream"));
    kernel.grid = triple(member(args, "grid"));
    kernel.block = triple(member(args, "block"));
    const auto device = devices.find(text_of(member(args, "device")));
    if (device != devices.end()) kernel.device = device->second;
    const auto launcher = by_external_id.find(text_of(member(args, "External id")));
    for (std::size_t op = launcher == by_external_id.end() ? kNone : launcher->second; op != kNone; op = operators[op].parent)
      kernel.operators.push_back(operators[op].call);
    if (kernel.time_us > 0)
      recording.kernels.push_back(std::move(kernel));
    else
      recording.rejected.push_back({kernel.place, kernel.name, "no duration"});
  }
  if (recording.kernels.empty() && recording.rejected.empty())
    throw ConfigError({file, "/traceEvents", "", "holds no kernel", "a trace taken with ProfilerActivity.CUDA", ""});
  std::stable_sort(recording.kernels.begin(), recording.kernels.end(),
                   [](const KernelRecord& a, const KernelRecord& b) { return a.start_us < b.start_us; });
  return recording;
}

}  // namespace attnsim
