// SPDX-License-Identifier: Apache-2.0
#include "validation/bench/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "sim/core/data_dir.h"
#include "validation/bench/row.h"

namespace attnsim::bench {

namespace {

constexpr std::int64_t kMostTokens = std::int64_t{1} << 40;

bool matches(const std::string& pattern, const std::string& name) {
  if (!pattern.empty() && pattern.back() == '*') return name.rfind(pattern.substr(0, pattern.size() - 1), 0) == 0;
  return pattern == name;
}

std::vector<std::string> texts(FieldReader& reader, const char* key, std::vector<std::string> fallback) {
  if (!reader.has(key)) return fallback;
  const Json* list = reader.raw(key);
  std::vector<std::string> out;
  if (list->is_array()) {
    for (const Json& value : *list) {
      if (value.is_string()) out.push_back(value.get<std::string>());
    }
  }
  if (out.empty() || out.size() != list->size()) reader.issue(key, "is no list of names", "[\"name\"]");
  return out;
}

std::vector<std::int64_t> integers(FieldReader& reader, const char* key, std::vector<std::int64_t> fallback) {
  return reader.has(key) ? reader.integers(key, {.min = 1, .max = kMostTokens}) : fallback;
}

// Masks with their parameters, each as a shape that has nothing else set.
std::vector<Shape> masks(FieldReader& reader) {
  std::vector<Shape> out;
  const Json* list = reader.raw("masks");
  if (list == nullptr) return {Shape{}};
  if (!list->is_array() || list->empty()) {
    reader.issue("masks", "is no list of masks", R"(["causal", {"mask": "window", "left": 1023, "right": 0}])");
    return {Shape{}};
  }
  for (const Json& entry : *list) {
    JsonDocument document{"", entry.is_string() ? Json{{"mask", entry}} : entry};
    document.root["kv_len"] = 1;  // read_shape wants one; the entry's own lengths take its place
    FieldReader mask(document);
    out.push_back(read_shape(mask));
    mask.finish();
  }
  return out;
}

// SplitMix64's step, so that the order is the same everywhere.
std::uint64_t mixed(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

void expand(FieldReader& entry, const Backend& backend, Plan& plan) {
  const std::vector<std::string> patterns = texts(entry, "kernels", {"*"});
  const std::vector<std::string> dtypes = texts(entry, "dtype", {backend.name() == "host" ? "f32" : "bf16"});
  const auto batches = integers(entry, "batch", {1});
  const auto q_heads = integers(entry, "q_heads", {1});
  const auto kv_heads = integers(entry, "kv_heads", {0});
  const auto kv_lens = integers(entry, "kv_len", {});
  const auto q_lens = integers(entry, "q_len", {0});
  const auto head_dims = integers(entry, "head_dim", {128});
  const std::int64_t tokens = entry.integer("tokens", {.min = 0, .max = kMostTokens}, 0);  // > 0: batch = tokens / kv_len
  const std::int64_t page = entry.integer("page", {.min = 0, .max = kMostTokens}, 0);
  const bool backward = entry.boolean("backward", false);
  const std::vector<Shape> mask_list = masks(entry);
  if (kv_lens.empty()) entry.issue("kv_len", "is missing", "a list of lengths");
  for (const KernelInfo& kernel : backend.kernels()) {
    const auto pattern = std::find_if(patterns.begin(), patterns.end(), [&](const std::string& p) { return matches(p, kernel.name); });
    if (pattern == patterns.end()) continue;
    for (const Shape& mask : mask_list)
      for (const std::string& dtype : dtypes)
        for (const std::int64_t d : head_dims)
          for (const std::int64_t kv : kv_lens)
            for (const std::int64_t q : q_lens)
              for (const std::int64_t batch : batches)
                for (const std::int64_t heads : q_heads)
                  for (const std::int64_t kv_head : kv_heads) {
                    Shape s = mask;
                    s.dtype = dtype;
                    s.head_dim = static_cast<int>(d);
                    s.kv_len = kv;
                    s.q_len = q == 0 ? kv : q;
                    s.batch = tokens > 0 ? std::max<std::int64_t>(1, tokens / kv) : batch;
                    s.q_heads = heads;
                    s.kv_heads = kv_head == 0 ? heads : kv_head;
                    s.page = page;
                    s.backward = backward;
                    const std::string why = backend.refuses(kernel.name, s);
                    if (why.empty()) {
                      plan.rows.push_back({kernel.name, s});
                    } else if (*pattern == kernel.name) {
                      plan.refused.push_back(fmt::format("{}: {}: {}", kernel.name, label(s), why));
                    }
                  }
  }
}

std::filesystem::path plan_path(const std::string& name, const Backend& backend) {
  if (name.find('/') != std::string::npos || name.find(".json") != std::string::npos) return name;
  const std::filesystem::path folder = data_dir() / "validation" / "bench" / "plans";
  const std::filesystem::path path = folder / (backend.name() + "-" + name + ".json");
  if (!std::filesystem::exists(path))
    throw ConfigError({"", "--plan", '"' + name + '"', "is no plan of backend " + backend.name(), "quick, full or a file",
                       nearest_name(name, {"quick", "full"})});
  return path;
}

}  // namespace

Plan load_plan(const std::string& name, const Backend& backend) {
  const JsonDocument document = read_json_file(plan_path(name, backend));
  FieldReader reader(document);
  Plan plan;
  plan.name = reader.text("name", {});
  reader.text("description", {}, "");
  FieldReader policy = reader.child("policy");
  plan.policy.seconds = policy.number("seconds", {.min = 0, .max = 600}, plan.policy.seconds);
  plan.policy.min_samples = static_cast<int>(policy.integer("min_samples", {.min = 1, .max = 1000}, plan.policy.min_samples));
  plan.policy.max_samples = static_cast<int>(policy.integer("max_samples", {.min = 1, .max = 100000}, plan.policy.max_samples));
  plan.policy.noise = policy.number("noise", {.min = 0, .max = 1}, plan.policy.noise);
  plan.policy.cold_l2 = policy.boolean("cold_l2", false);
  for (FieldReader& entry : reader.children("rows")) expand(entry, backend, plan);
  reader.finish();
  std::vector<std::pair<std::uint64_t, std::size_t>> order;
  for (std::size_t i = 0; i < plan.rows.size(); ++i) order.emplace_back(mixed(i), i);
  std::sort(order.begin(), order.end());
  std::vector<PlannedRow> shuffled;
  for (const auto& [key, index] : order) shuffled.push_back(plan.rows[index]);
  plan.rows = std::move(shuffled);
  return plan;
}

}  // namespace attnsim::bench
