// SPDX-License-Identifier: Apache-2.0
#include "sim/predict/identity.h"

#include <fstream>
#include <iterator>
#include <map>
#include <mutex>

#include "attnsim_version.h"  // made at build time by sim/predict/version.cmake
#include "sim/core/data_dir.h"
#include "sim/core/json_reader.h"

namespace attnsim {

namespace {

Json json_of(const Params& params) {
  Json object = Json::object();
  for (const auto& [name, value] : params) std::visit([&, &key = name](const auto& v) { object[key] = v; }, value);
  return object;
}

Json json_of(const Score& score) {
  Json object = Json::object();
  if (score.softcap > 0) object["softcap"] = score.softcap;
  if (score.alibi) object["alibi"] = true;
  if (!score.bias_radius.empty()) object["bias_radius"] = score.bias_radius;
  if (!score.bias_layout.empty()) object["bias_layout"] = score.bias_layout;
  return object;
}

Json json_of(const Problem& p) {
  if (p.m > 0) {
    Json shape = {{"m", p.m}, {"n", p.n}, {"dtype", std::string(ir::name_of(p.dtype))}, {"params", json_of(p.params)}};
    if (p.k > 0) shape["k"] = p.k;
    return shape;
  }
  Json shape = {{"batch", p.batch},           {"q_heads", p.q_heads},
                {"kv_heads", p.kv_heads},     {"q_len", p.q_len},
                {"kv_len", p.kv_len},         {"head_dim_qk", p.head_dim_qk},
                {"head_dim_v", p.head_dim_v}, {"dtype", std::string(ir::name_of(p.dtype))},
                {"params", json_of(p.params)}};
  if (p.kv_dtype() != p.dtype) shape["dtype_kv"] = std::string(ir::name_of(p.kv_dtype()));
  if (p.pass == Pass::backward) shape["pass"] = "backward";
  if (!p.score.plain()) shape["score"] = json_of(p.score);
  return shape;
}

std::string_view name_of(ClockPolicy policy) {
  switch (policy) {
    case ClockPolicy::locked: return "locked";
    case ClockPolicy::boost: return "boost";
    case ClockPolicy::sustained: return "sustained";
  }
  throw Invariant("unknown clock policy");
}

Json json_of(const Conditions& c) {
  Json extras = Json::array();
  for (const ExtraKernel extra : c.extra_kernels) extras.push_back(std::string(name_of(extra)));
  Json conditions = {{"clock", std::string(name_of(c.clock))},
                     {"l2", c.l2 == L2Start::cold ? "cold" : "warm"},
                     {"constant_us", c.constant_us},
                     {"include_launch", c.include_launch},
                     {"extra_kernels", extras},
                     {"without", c.without}};
  if (c.settle_us > 0) conditions["settle_us"] = c.settle_us;
  if (c.l2_dirty > 0) conditions["l2_dirty"] = c.l2_dirty;
  if (c.host_us > 0) conditions["host_us"] = c.host_us;
  if (c.chained) conditions["chained"] = true;
  if (c.operand_sets > 1) conditions["operand_sets"] = c.operand_sets;
  if (c.launches != LaunchKind::graph) conditions["launches"] = "plain";
  if (c.clock == ClockPolicy::locked) conditions["locked_mhz"] = c.locked_mhz;
  return conditions;
}

// A chip or schedule brings its canonical text along.
std::string embedded(const std::string& resolved, const std::string& name) {
  return resolved.empty() ? canonical(Json(name)) : resolved;
}

// Instruction-selection tables are data that reach every number. Read once per process.
std::string selection_table_hash(const std::string& isa) {
  static std::mutex mutex;
  static std::map<std::string, std::string> hashes;
  const std::lock_guard lock(mutex);
  auto found = hashes.find(isa);
  if (found == hashes.end()) {
    std::ifstream stream(data_dir() / "sim" / "select" / "tables" / (isa + ".json"), std::ios::binary);
    found = hashes.emplace(isa, content_hash({std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()})).first;
  }
  return found->second;
}

}  // namespace

// Members in the order of canonical(); chip and schedule are canonical text already and are not parsed again.
std::string resolved_config(const Request& request) {
  std::string text = "{\"chip\":" + embedded(request.chip.resolved_json, request.chip.name);
  text += ",\"conditions\":" + canonical(json_of(request.conditions));
  text += ",\"engine\":" + canonical(Json(std::string(name_of(request.engine))));
  if (request.measured_us) text += ",\"measured_us\":" + canonical(Json(*request.measured_us));
  text += ",\"problem\":" + canonical(json_of(request.problem));
  text += ",\"schedule\":" + embedded(request.schedule.resolved_json, request.schedule.name);
  text += ",\"variant\":" + canonical(Json(std::string(request.variant->name))) + "}";
  return text;
}

std::string git_version() {
  return ATTNSIM_GIT_VERSION;
}

std::string source_hash() {
  return ATTNSIM_SOURCE_HASH;
}

std::string version_text() {
  const std::string build = git_version().empty() ? "sources " + source_hash().substr(0, 12) : git_version();
  return std::string("attnsim ") + ATTNSIM_VERSION + " (" + build + ")";
}

std::string model_hash(const Request& request) {
  return model_hash(request, resolved_config(request));
}

std::string model_hash(const Request& request, const std::string& resolved) {
  return content_hash(source_hash() + '\n' + selection_table_hash(request.chip.isa) + '\n' + resolved);
}

}  // namespace attnsim
