// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "sim/trace/timeline.h"

namespace attnsim {

namespace {

constexpr int kNameWidth = 22;
constexpr int kReasonWidth = 18;
constexpr int kRuler = 10;  // columns between marks

constexpr const char* kLegend =
    "D  waits for a token, a copy, a tile or its CTA's start   =  issued, queues for a unit   e  a unit works on it\n"
    "-  in flight: latency of its last group, or of memory     E  complete\n";

// 1, 2, 5, 10, ... at least span / columns.
double cycles_per_column(double span, int columns) {
  double step = 1;
  while (true) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      if (span < step * factor * columns) return step * factor;
    }
    step *= 10;
  }
}

double covered(const std::vector<TimelineRow::Span>& spans, double begin, double end) {
  double sum = 0;
  double until = begin;  // spans of several units may overlap
  for (const TimelineRow::Span& s : spans) {
    const double from = std::max(s.begin, until);
    const double to = std::min(s.end, end);
    if (to <= from) continue;
    sum += to - from;
    until = to;
  }
  return sum;
}

double overlap(double a, double b, double begin, double end) {
  return std::max(0.0, std::min(b, end) - std::max(a, begin));
}

struct Shares {
  double waits = 0;
  double queues = 0;
  double works = 0;
  double flies = 0;
};

std::vector<TimelineRow::Span> sorted(std::vector<TimelineRow::Span> spans) {
  std::sort(spans.begin(), spans.end(), [](const auto& a, const auto& b) { return a.begin < b.begin; });
  return spans;
}

Shares shares(const TimelineRow& row, double begin, double end) {
  Shares out;
  if (row.waited) out.waits = overlap(row.wait_since, row.issue, begin, end);
  const double live = overlap(row.issue, row.complete, begin, end);
  const double from = std::max(begin, row.issue);
  const double to = std::min(end, row.complete);
  out.works = std::min(live, covered(sorted(row.holds), from, to));
  out.queues = std::min(live - out.works, covered(sorted(row.queued), from, to));
  out.flies = live - out.works - out.queues;
  return out;
}

char letter(const TimelineRow& row, double begin, double end) {
  if (row.complete >= begin && row.complete < end) return 'E';
  const Shares s = shares(row, begin, end);
  const std::array<std::pair<double, char>, 4> states{{{s.works, 'e'}, {s.waits, 'D'}, {s.queues, '='}, {s.flies, '-'}}};
  const auto largest = std::max_element(states.begin(), states.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  return largest->first > 0 ? largest->second : ' ';
}

std::string shortened(const std::string& name) {
  return name.size() <= kNameWidth ? name : name.substr(0, kNameWidth - 1) + "~";
}

std::string trimmed(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  return line + '\n';
}

std::string means(const std::vector<TimelineRow>& rows, int agent_width, int step_width) {
  struct Sum {
    int count = 0;
    Shares total;
  };
  std::vector<std::pair<std::pair<std::string, std::string>, Sum>> sums;  // in order of first appearance
  for (const TimelineRow& row : rows) {
    const std::pair key{row.agent, shortened(row.step)};
    auto entry = std::find_if(sums.begin(), sums.end(), [&](const auto& s) { return s.first == key; });
    if (entry == sums.end()) entry = sums.insert(sums.end(), {key, Sum{}});
    const Shares s = shares(row, -std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity());
    ++entry->second.count;
    entry->second.total.waits += s.waits;
    entry->second.total.queues += s.queues;
    entry->second.total.works += s.works;
    entry->second.total.flies += s.flies;
  }
  std::string out = trimmed(fmt::format("{:<{}} {:<{}} {:>5} {:>9} {:>9} {:>9} {:>9}", "agent", agent_width, "step", step_width, "times",
                                        "waits D", "queues =", "works e", "flies -"));
  for (const auto& [key, sum] : sums) {
    const double n = sum.count;
    out += fmt::format("{:<{}} {:<{}} {:>5} {:>9.1f} {:>9.1f} {:>9.1f} {:>9.1f}\n", key.first, agent_width, key.second, step_width,
                       sum.count, sum.total.waits / n, sum.total.queues / n, sum.total.works / n, sum.total.flies / n);
  }
  return out;
}

}  // namespace

std::string timeline_text(const std::vector<TimelineRow>& rows, int width) {
  if (rows.empty()) return "no step in this window\n";
  double begin = std::numeric_limits<double>::infinity();
  double end = 0;
  int agent_width = 5;
  int step_width = 4;
  for (const TimelineRow& row : rows) {
    begin = std::min(begin, row.waited ? row.wait_since : row.issue);
    end = std::max(end, row.complete);
    agent_width = std::max(agent_width, static_cast<int>(row.agent.size()));
    step_width = std::max(step_width, static_cast<int>(shortened(row.step).size()));
  }
  const int left = 4 + 1 + 4 + 1 + agent_width + 1 + step_width + 1;
  const int columns = std::max(kRuler, width - left - kReasonWidth);
  // One column is kept for the start that is rounded down.
  const double scale = cycles_per_column(end - begin, columns - 1);
  begin = std::floor(begin / scale) * scale;
  const int used = std::min(columns, static_cast<int>((end - begin) / scale) + 1);

  std::string out = fmt::format("cycles {:.0f} .. {:.0f}, {:g} per column\n", begin, std::ceil(end), scale);
  std::string labels(static_cast<std::size_t>(left), ' ');
  std::string marks = fmt::format("{:>4} {:>4} {:<{}} {:<{}} ", "item", "trip", "agent", agent_width, "step", step_width);
  for (int c = 0; c < used; c += kRuler) {
    labels += fmt::format("{:<{}}", fmt::format("{:.0f}", begin + c * scale), kRuler);
    marks += fmt::format("{:<{}}", "|", kRuler);
  }
  out += trimmed(labels) + trimmed(marks);
  for (const TimelineRow& row : rows) {
    std::string line =
        fmt::format("{:>4} {:>4} {:<{}} {:<{}} ", row.at.item, row.at.trip, row.agent, agent_width, shortened(row.step), step_width);
    for (int c = 0; c < used; ++c) line += letter(row, begin + c * scale, begin + (c + 1) * scale);
    if (row.waited) line += fmt::format(" {} {:.0f}", name_of(row.wait), row.issue - row.wait_since);
    out += trimmed(line);
  }
  return out + '\n' + kLegend + "\nMean cycles per step\n" + means(rows, agent_width, step_width);
}

}  // namespace attnsim
