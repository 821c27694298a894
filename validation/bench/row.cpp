// SPDX-License-Identifier: Apache-2.0
#include "validation/bench/row.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <sstream>

#include "validation/bench/sampling.h"

namespace attnsim::bench {

namespace {

constexpr std::int64_t kMost = std::int64_t{1} << 40;
constexpr double kMostUs = 1e12;

std::vector<std::int64_t> optional_integers(FieldReader& reader, const char* key) {
  if (!reader.has(key)) return {};
  return reader.integers(key, {.min = 0, .max = kMost});
}

std::vector<double> numbers(FieldReader& reader, const char* key) {
  std::vector<double> out;
  const Json* list = reader.raw(key);
  if (list == nullptr || !list->is_array()) {
    reader.issue(key, "is no list of numbers", "[12.5, 12.7]");
    return out;
  }
  for (const Json& value : *list) {
    if (!value.is_number() || value.get<double>() <= 0) {
      reader.issue(key, "holds what is no time", "numbers > 0");
      return {};
    }
    out.push_back(value.get<double>());
  }
  return out;
}

std::vector<Counter> read_counters(FieldReader& reader) {
  std::vector<Counter> out;
  const Json* object = reader.has("counters") ? reader.raw("counters") : nullptr;
  if (object == nullptr) return out;
  for (const auto& [name, value] : object->items()) {
    if (!object->is_object() || !value.is_number() || value.get<double>() < 0) {
      reader.issue("counters", "holds what is no amount", R"({"tensor_flops": 1.2e9})");
      return {};
    }
    out.push_back({name, value.get<double>()});
  }
  return out;
}

// Four significant digits after the point are more than a timing is worth.
double rounded(double us) {
  return std::stod(fmt::format("{:.6g}", us));
}

}  // namespace

double Row::median_us() const {
  return median(timing.sample_us);
}

Json to_json(const Shape& s) {
  Json json{{"batch", s.batch},   {"q_heads", s.q_heads},   {"kv_heads", s.kv_heads}, {"q_len", s.q_len},
            {"kv_len", s.kv_len}, {"head_dim", s.head_dim}, {"dtype", s.dtype},       {"mask", s.mask}};
  if (s.mask == "window") json["left"] = s.left, json["right"] = s.right;
  if (s.mask == "block-sparse") json["density"] = s.density, json["seed"] = s.seed;
  if (!s.layout.empty()) json["layout"] = s.layout, json["window"] = s.window, json["stride"] = s.stride, json["dilation"] = s.dilation;
  if (s.page > 0) json["page"] = s.page;
  if (s.backward) json["backward"] = true;
  return json;
}

Shape read_shape(FieldReader& reader) {
  Shape s;
  s.batch = reader.integer("batch", {.min = 1, .max = kMost}, 1);
  s.q_heads = reader.integer("q_heads", {.min = 1, .max = kMost}, 1);
  s.kv_heads = reader.integer("kv_heads", {.min = 1, .max = kMost}, s.q_heads);
  s.kv_len = reader.integer("kv_len", {.min = 1, .max = kMost});
  s.q_len = reader.integer("q_len", {.min = 1, .max = kMost}, s.kv_len);
  s.head_dim = static_cast<int>(reader.integer("head_dim", {.min = 1, .max = 1 << 20}, 128));
  s.dtype = reader.text("dtype", {"bf16", "f16", "f32"}, "bf16");
  s.mask = reader.text("mask", {"dense", "causal", "window", "block-sparse", "gna"}, "dense");
  s.left = reader.integer("left", {.min = -1, .max = kMost}, -1);
  s.right = reader.integer("right", {.min = -1, .max = kMost}, s.mask == "window" ? 0 : -1);
  s.density = reader.number("density", {.min = 0, .max = 1}, 1.0);
  s.seed = static_cast<std::uint64_t>(reader.integer("seed", {.min = 0}, 0));
  s.layout = optional_integers(reader, "layout");
  s.window = optional_integers(reader, "window");
  s.stride = optional_integers(reader, "stride");
  s.dilation = optional_integers(reader, "dilation");
  s.page = reader.integer("page", {.min = 0, .max = kMost}, 0);
  s.backward = reader.boolean("backward", false);
  return s;
}

std::string label(const Shape& s) {
  std::string mask = s.mask;
  if (s.mask == "window") mask = fmt::format("window {}/{}", s.left, s.right);
  if (s.mask == "block-sparse") mask = fmt::format("block-sparse {}", s.density);
  if (s.mask == "gna") mask = fmt::format("gna {} window {}", fmt::join(s.layout, "x"), fmt::join(s.window, "x"));
  return fmt::format("{}x{}/{} q{} kv{} d{} {} {}{}{}", s.batch, s.q_heads, s.kv_heads, s.q_len, s.kv_len, s.head_dim, mask, s.dtype,
                     s.page > 0 ? fmt::format(" pages of {}", s.page) : "", s.backward ? " backward" : "");
}

std::string to_line(const Row& row) {
  std::vector<double> samples;
  for (const double us : row.timing.sample_us) samples.push_back(rounded(us));
  Json json{{"backend", row.backend},
            {"device", row.device.name},
            {"driver", row.device.driver},
            {"chip", row.device.chip},
            {"device_clock_mhz", rounded(row.device.clock_mhz)},
            {"kernel", row.kernel.name},
            {"schedule", row.kernel.schedule},
            {"source", row.kernel.source},
            {"source_hash", row.source_hash},
            {"shape", to_json(row.shape)},
            {"policy",
             {{"min_samples", row.policy.min_samples},
              {"max_samples", row.policy.max_samples},
              {"noise", row.policy.noise},
              {"seconds", row.policy.seconds}}},
            {"l2", row.policy.cold_l2 ? "cold" : "warm"},
            {"median_us", rounded(row.median_us())},
            {"half_width_us", rounded(median_half_width(row.timing.sample_us))},
            {"samples_us", samples},
            {"throttled", row.timing.throttled},
            {"clock_mhz", rounded(row.timing.clock_mhz)},
            {"kernel_cycles", rounded(row.timing.kernel_cycles)},
            {"harness", row.harness},
            {"version", row.version}};
  for (const Counter& counter : row.timing.counters) json["counters"][counter.name] = counter.value;
  return json.dump();
}

Row parse_row(const std::string& line, const std::string& file) {
  const JsonDocument document = parse_json(line, file);
  FieldReader reader(document);
  Row row;
  row.backend = reader.text("backend", {});
  row.device.name = reader.text("device", {});
  row.device.driver = reader.text("driver", {}, "");
  row.device.chip = reader.text("chip", {}, "");
  row.device.clock_mhz = reader.number("device_clock_mhz", {.min = 0}, 0.0);
  row.kernel.name = reader.text("kernel", {});
  row.kernel.schedule = reader.text("schedule", {}, "");
  row.kernel.source = reader.text("source", {}, "");
  row.source_hash = reader.text("source_hash", {}, "");
  FieldReader shape = reader.child("shape");
  row.shape = read_shape(shape);
  FieldReader policy = reader.child("policy");
  row.policy.min_samples = static_cast<int>(policy.integer("min_samples", {.min = 1, .max = 1 << 20}, 10));
  row.policy.max_samples = static_cast<int>(policy.integer("max_samples", {.min = 1, .max = 1 << 20}, 200));
  row.policy.noise = policy.number("noise", {.min = 0, .max = 1}, 0.005);
  row.policy.seconds = policy.number("seconds", {.min = 0, .max = 1e6}, 2.0);
  row.policy.cold_l2 = reader.text("l2", {"cold", "warm"}, "warm") == "cold";
  reader.number("median_us", {.min = 0, .max = kMostUs, .min_exclusive = true});
  reader.number("half_width_us", {.min = 0, .max = kMostUs}, 0.0);
  row.timing.sample_us = numbers(reader, "samples_us");
  row.timing.throttled = static_cast<int>(reader.integer("throttled", {.min = 0, .max = kMost}, 0));
  row.timing.clock_mhz = reader.number("clock_mhz", {.min = 0, .max = 1e6}, 0.0);
  row.timing.kernel_cycles = reader.number("kernel_cycles", {.min = 0}, 0.0);
  row.timing.counters = read_counters(reader);
  row.harness = reader.text("harness", {});
  row.version = reader.text("version", {}, "");
  reader.finish();
  return row;
}

std::vector<Row> read_rows(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw ConfigError({path.string(), "", "", "can't be read", "a file of measurement rows", ""});
  std::stringstream buffer;
  buffer << stream.rdbuf();
  const std::string text = buffer.str();
  std::vector<Row> rows;
  int number = 0;
  for (std::size_t begin = 0, end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    ++number;
    if (end > begin) rows.push_back(parse_row(text.substr(begin, end - begin), fmt::format("{}:{}", path.string(), number)));
  }
  return rows;
}

void append_line(const std::filesystem::path& path, const std::string& line) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "ab"), std::fclose);
  const std::string text = line + "\n";
  const bool written = file && std::fwrite(text.data(), 1, text.size(), file.get()) == text.size() && std::fflush(file.get()) == 0 &&
                       fsync(fileno(file.get())) == 0;
  if (!written) throw ConfigError({path.string(), "", "", "can't be written", "", ""});
}

}  // namespace attnsim::bench
