// SPDX-License-Identifier: Apache-2.0
#include "sim/cli/report_attribution.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/cli/table.h"

namespace attnsim::cli {

namespace {

constexpr double kSmallPart = 0.005;       // of a kernel's time; less is summed up in one line
constexpr std::size_t kShownFigures = 14;  // JSON has all
constexpr std::size_t kShownSuspects = 12;

std::string or_dash(const std::string& text) {
  return text.empty() ? "-" : text;
}

std::string counter_value(const CounterInfo& counter, double value) {
  if (!std::isfinite(value)) return "-";
  if (counter.unit == "%") return fmt::format("{:.1f}", value);
  if (value < 1e6 && value == std::floor(value)) return fmt::format("{:.0f}", value);
  return value < 1000 ? fmt::format("{:.2f}", value) : engineering(value);
}

std::string unit_text(const CounterInfo& counter, double value) {
  return value >= 1e6 && counter.unit == "byte" ? "byte" : std::string(counter.unit);
}

std::string signed_percent(double fraction) {
  return fmt::format("{:+.1f} %", fraction * 100);
}

}  // namespace

std::string critical_text(const CriticalSequence& sequence, bool sampled) {
  std::string text = fmt::format("    critical sequence, backwards from the end{}:\n", sampled ? " (of a sample of items on one SM)" : "");
  TextTable table({">share", "step", "agent", "hangs on", ">times"});
  double small = 0;
  std::size_t parts = 0;
  for (const CriticalPart& part : sequence.parts) {
    if (part.share < kSmallPart) {
      small += part.share;
      ++parts;
      continue;
    }
    table.add({percent(part.share), or_dash(part.role), or_dash(part.agent), part.cause, fmt::format("{}", part.times)});
  }
  if (parts > 0) table.add({percent(small), fmt::format("{} smaller", parts), "", "", ""});
  return text + table.render(4);
}

std::string counters_text(const KernelResult& kernel) {
  TextTable table({"counter, as ncu names it", ">value", "unit"});
  for (const CounterInfo& counter : counters()) {
    const double value = counter.get(kernel);
    table.add({std::string(counter.name), counter_value(counter, value), unit_text(counter, value)});
  }
  return table.render(4);
}

std::string helps_text(const Sensitivities& helps) {
  std::string text = fmt::format("  what would help ({} engine, {} as it is; d ln T / d ln p over +-10 %):\n", name_of(helps.engine),
                                 microseconds(helps.base_us));
  TextTable chip({"chip figure", ">dlnT/dlnp", "change", ">time", ">gain"});
  for (std::size_t i = 0; i < std::min(kShownFigures, helps.chip.size()); ++i) {
    const Sensitivity& s = helps.chip[i];
    chip.add({s.parameter, fmt::format("{:+.3f}", s.elasticity.value_or(0)), s.change, microseconds(s.time_us), percent(s.gain)});
  }
  text += chip.render(4);
  if (helps.chip.size() > kShownFigures) text += fmt::format("    and {} figures that matter less\n", helps.chip.size() - kShownFigures);
  if (helps.schedule.empty()) return text;
  TextTable schedule({"schedule", "change", ">time", ">gain"});
  for (const Sensitivity& s : helps.schedule) schedule.add({s.parameter, s.change, microseconds(s.time_us), signed_percent(s.gain)});
  return text + schedule.render(4);
}

std::string verdict_text(const Verdict& verdict) {
  const double off = verdict.base_us > 0 ? verdict.measured_us / verdict.base_us - 1 : 0;
  std::string text =
      fmt::format("  measured {}, predicted {} ({} engine): {:.1f} % {}.", microseconds(verdict.measured_us), microseconds(verdict.base_us),
                  name_of(verdict.engine), std::abs(off) * 100, off >= 0 ? "slower" : "faster");
  if (verdict.suspects.empty()) return text + " No single mechanism leads there.\n";
  text += " What would explain it, nearest first:\n";
  TextTable table({"if", ">predicts", ">closes", "that is"});
  for (std::size_t i = 0; i < std::min(kShownSuspects, verdict.suspects.size()); ++i) {
    const Suspect& s = verdict.suspects[i];
    table.add({s.name, microseconds(s.time_us), fmt::format("{:.0f} %", s.closes * 100), s.explanation});
  }
  return text + table.render(4);
}

Json counters_json(const KernelResult& kernel) {
  Json list = Json::array();
  for (const CounterInfo& counter : counters()) {
    const double value = counter.get(kernel);
    list.push_back({{"name", std::string(counter.name)},
                    {"unit", std::string(counter.unit)},
                    {"value", std::isfinite(value) ? Json(value) : Json(nullptr)}});
  }
  return list;
}

Json explanation_json(const Explanation& explanation) {
  Json critical = Json::array();
  for (const CriticalSequence& sequence : explanation.critical) {
    Json parts = Json::array();
    for (const CriticalPart& p : sequence.parts)
      parts.push_back(
          {{"role", p.role}, {"agent", p.agent}, {"cause", p.cause}, {"cycles", p.cycles}, {"share", p.share}, {"times", p.times}});
    critical.push_back({{"kernel", sequence.kernel}, {"cycles", sequence.cycles}, {"sms", sequence.sms}, {"parts", parts}});
  }
  Json out{{"critical", critical}, {"critical_is_sample", explanation.sampled}};
  if (explanation.helps) {
    const auto rows = [](const std::vector<Sensitivity>& list) {
      Json array = Json::array();
      for (const Sensitivity& s : list)
        array.push_back({{"parameter", s.parameter},
                         {"change", s.change},
                         {"elasticity", s.elasticity ? Json(*s.elasticity) : Json(nullptr)},
                         {"time_us", s.time_us},
                         {"gain", s.gain}});
      return array;
    };
    out["what_would_help"] = {{"engine", std::string(name_of(explanation.helps->engine))},
                              {"base_us", explanation.helps->base_us},
                              {"chip", rows(explanation.helps->chip)},
                              {"schedule", rows(explanation.helps->schedule)}};
  }
  if (explanation.verdict) {
    Json suspects = Json::array();
    for (const Suspect& s : explanation.verdict->suspects)
      suspects.push_back({{"name", s.name}, {"explanation", s.explanation}, {"time_us", s.time_us}, {"closes", s.closes}});
    out["measured"] = {{"measured_us", explanation.verdict->measured_us},
                       {"predicted_us", explanation.verdict->base_us},
                       {"engine", std::string(name_of(explanation.verdict->engine))},
                       {"suspects", suspects}};
  }
  return out;
}

}  // namespace attnsim::cli
