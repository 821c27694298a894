// SPDX-License-Identifier: Apache-2.0
#include "sim/trace/json_events.h"

#include <fmt/format.h>

#include <cmath>
#include <ostream>

#include "sim/core/json_reader.h"

namespace attnsim {

namespace {

std::string quoted(const std::string& text) {
  return Json(text).dump();
}

// Both ends of a slice are rounded alike, so slices that touch still touch.
double thousandths(double cycles) {
  return std::round(cycles * 1000);
}

std::string time_text(double cycles) {
  return fmt::format("{:.3f}", thousandths(cycles) / 1000);
}

std::string span_text(double begin, double end) {
  return fmt::format("{:.3f}", (thousandths(end) - thousandths(begin)) / 1000);
}

}  // namespace

JsonEvents::JsonEvents(std::ostream& out, const Json& other_data) : out_(out) {
  out_ << R"({"displayTimeUnit":"ns","otherData":)" << other_data.dump() << R"(,"traceEvents":[)";
}

void JsonEvents::close() {
  out_ << "\n]}\n";
}

void JsonEvents::line(std::string_view text) {
  out_ << (written_ == 0 ? "\n" : ",\n") << text;
  ++written_;
}

void JsonEvents::name_process(int pid, const std::string& name) {
  line(fmt::format(R"({{"ph":"M","pid":{},"name":"process_name","args":{{"name":{}}}}})", pid, quoted(name)));
  line(fmt::format(R"({{"ph":"M","pid":{},"name":"process_sort_index","args":{{"sort_index":{}}}}})", pid, pid));
}

void JsonEvents::name_thread(TraceThread thread, const std::string& name) {
  line(fmt::format(R"({{"ph":"M","pid":{},"tid":{},"name":"thread_name","args":{{"name":{}}}}})", thread.pid, thread.tid, quoted(name)));
  line(fmt::format(R"({{"ph":"M","pid":{},"tid":{},"name":"thread_sort_index","args":{{"sort_index":{}}}}})", thread.pid, thread.tid,
                   thread.tid));
}

void JsonEvents::slice(TraceThread thread, double begin, double end, const std::string& name, std::string_view args) {
  line(fmt::format(R"({{"ph":"X","pid":{},"tid":{},"ts":{},"dur":{},"name":{},"args":{}}})", thread.pid, thread.tid, time_text(begin),
                   span_text(begin, end), quoted(name), args));
}

void JsonEvents::instant(TraceThread thread, double at, const std::string& name, std::string_view args) {
  line(fmt::format(R"({{"ph":"i","s":"t","pid":{},"tid":{},"ts":{},"name":{},"args":{}}})", thread.pid, thread.tid, time_text(at),
                   quoted(name), args));
}

void JsonEvents::in_flight(int pid, std::int64_t id, double begin, double end, const std::string& name, std::string_view args) {
  line(fmt::format(R"({{"ph":"b","cat":"copy","id":{},"pid":{},"ts":{},"name":{},"args":{}}})", id, pid, time_text(begin), quoted(name),
                   args));
  line(fmt::format(R"({{"ph":"e","cat":"copy","id":{},"pid":{},"ts":{},"name":{}}})", id, pid, time_text(end), quoted(name)));
}

void JsonEvents::counter(int pid, double at, const std::string& name, std::string_view unit, double value) {
  line(fmt::format(R"({{"ph":"C","pid":{},"ts":{},"name":{},"args":{{"{}":{:.6g}}}}})", pid, time_text(at), quoted(name), unit, value));
}

void JsonEvents::flow(std::int64_t id, TraceThread from, double from_time, TraceThread to, double to_time) {
  line(fmt::format(R"({{"ph":"s","cat":"token","id":{},"pid":{},"tid":{},"ts":{},"name":"signal"}})", id, from.pid, from.tid,
                   time_text(from_time)));
  line(fmt::format(R"({{"ph":"f","bp":"e","cat":"token","id":{},"pid":{},"tid":{},"ts":{},"name":"signal"}})", id, to.pid, to.tid,
                   time_text(to_time)));
}

}  // namespace attnsim
