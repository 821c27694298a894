// SPDX-License-Identifier: Apache-2.0
// Writes the JSON object form of the Trace Event Format, one event a line, as they come. Times are SM cycles and shown as
// microseconds, so that a thousandth of a cycle survives in viewers that keep nanoseconds.
//   {"displayTimeUnit":"ns","otherData":{...},"traceEvents":[
//   {"ph":"M","pid":1,"name":"process_name","args":{"name":"SM 0"}},
//   {"ph":"X","pid":1,"tid":3,"ts":12.000,"dur":256.000,"name":"softmax","args":{"item":0,"trip":2}},
//   ...]}
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>

#include "sim/core/json_fwd.h"

namespace attnsim {

struct TraceThread {
  int pid = 0;
  int tid = 0;
};

class JsonEvents {
 public:
  JsonEvents(std::ostream& out, const Json& other_data);
  void close();  // ends the document

  void name_process(int pid, const std::string& name);
  void name_thread(TraceThread thread, const std::string& name);
  // `args` is the text of a JSON object.
  void slice(TraceThread thread, double begin, double end, const std::string& name, std::string_view args);
  void instant(TraceThread thread, double at, const std::string& name, std::string_view args);
  void in_flight(int pid, std::int64_t id, double begin, double end, const std::string& name, std::string_view args);
  void counter(int pid, double at, const std::string& name, std::string_view unit, double value);
  // An arrow between the slices that lie under the two times.
  void flow(std::int64_t id, TraceThread from, double from_time, TraceThread to, double to_time);

  [[nodiscard]] std::int64_t written() const { return written_; }

 private:
  void line(std::string_view text);
  std::ostream& out_;
  std::int64_t written_ = 0;
};

}  // namespace attnsim
