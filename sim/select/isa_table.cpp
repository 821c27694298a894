// SPDX-License-Identifier: Apache-2.0
#include "sim/select/isa_table.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <mutex>

#include "sim/core/data_dir.h"
#include "sim/core/json_reader.h"

namespace attnsim {

namespace {

const std::map<std::string, VectorPipe> kPipes{
    {"none", VectorPipe::none}, {"fp32", VectorPipe::fp32}, {"alu", VectorPipe::alu}, {"sfu", VectorPipe::sfu}};
const std::map<std::string, ir::MmaKind> kMmaKinds{{"mma_sync", ir::MmaKind::mma_sync},
                                                   {"wgmma_ss", ir::MmaKind::wgmma_ss},
                                                   {"wgmma_rs", ir::MmaKind::wgmma_rs},
                                                   {"tcgen05", ir::MmaKind::tcgen05},
                                                   {"systolic", ir::MmaKind::systolic}};

template <class Map>
std::vector<std::string> keys_of(const Map& map) {
  std::vector<std::string> keys;
  for (const auto& entry : map) keys.push_back(entry.first);
  return keys;
}

std::filesystem::path table_dir() {
  return data_dir() / "sim" / "select" / "tables";
}

void read_rule(FieldReader& rule, ElementwiseRule& out) {
  out.pipe = kPipes.at(rule.text("pipe", keys_of(kPipes), "none"));
  out.instructions = rule.number("instructions", {.min = 0, .max = 64}, 1.0);
  out.elements = rule.number("elements", {.min = 1, .max = 16}, 1.0);
  out.width = rule.number("width", {.min = 1, .max = 16}, 1.0);
  out.depth = rule.number("depth", {.min = 0, .max = 64}, 1.0);
  out.then.clear();
  for (FieldReader& part : rule.children("then")) read_rule(part, out.then.emplace_back());
}

IsaTable read_table(const std::string& isa) {
  const JsonDocument document = read_json_file(table_dir() / (isa + ".json"));
  FieldReader reader(document);
  IsaTable table;
  const std::string base = reader.text("extends", isa_names(), "");
  if (!base.empty()) table = read_table(base);
  table.name = reader.text("isa", {});
  reader.text("description", {});
  reader.text("source", {});
  table.row_vector_replication = reader.number("row_vector_replication", {.min = 1, .max = 64}, table.row_vector_replication);
  table.column_vector_replication = reader.number("column_vector_replication", {.min = 1, .max = 64}, table.column_vector_replication);
  table.reduce_shuffle_steps = static_cast<int>(reader.integer("reduce_shuffle_steps", {.min = 0, .max = 8}, table.reduce_shuffle_steps));
  table.contract_multiply_add = reader.boolean("contract_multiply_add", table.contract_multiply_add);
  table.copy_bytes_per_lane = reader.number("copy_bytes_per_lane", {.min = 1, .max = 128}, table.copy_bytes_per_lane);
  table.atomic_bytes_per_lane = reader.number("atomic_bytes_per_lane", {.min = 1, .max = 128}, table.atomic_bytes_per_lane);
  table.copy_address_instructions = reader.number("copy_address_instructions", {.min = 0, .max = 64}, table.copy_address_instructions);
  FieldReader elementwise = reader.child("elementwise");
  for (const std::string& name : elementwise.keys()) {
    FieldReader rule = elementwise.child(name);
    read_rule(rule, table.elementwise[name]);
  }
  for (FieldReader& rule : reader.children("exp2_polynomial")) read_rule(rule, table.exp2_polynomial.emplace_back());
  table.tmem_row_vector_replication =
      reader.number("tmem_row_vector_replication", {.min = 1, .max = 64}, table.tmem_row_vector_replication);
  table.tmem_column_vector_replication =
      reader.number("tmem_column_vector_replication", {.min = 1, .max = 64}, table.tmem_column_vector_replication);
  table.tmem_reduce_shuffle_steps =
      static_cast<int>(reader.integer("tmem_reduce_shuffle_steps", {.min = 0, .max = 8}, table.tmem_reduce_shuffle_steps));
  FieldReader mma = reader.child("mma");
  for (const std::string& name : mma.keys()) {
    const auto kind = kMmaKinds.find(name);
    if (kind == kMmaKinds.end()) {
      mma.issue(name, "is no matrix instruction", "", nearest_name(name, keys_of(kMmaKinds)));
      continue;
    }
    FieldReader rule = mma.child(name);
    MmaRule& out = table.mma[kind->second];
    out.m = static_cast<int>(rule.integer("m", {.min = 1, .max = 1024}));
    out.n = static_cast<int>(rule.integer("n", {.min = 1, .max = 1024}));
    out.k = static_cast<int>(rule.integer("k", {.min = 1, .max = 1024}));
    out.b_read_per_warp = rule.boolean("b_read_per_warp");
    out.rate_fraction = rule.number("rate_fraction", {.min = 0.01, .max = 1}, 1.0);
  }
  reader.finish();
  return table;
}

}  // namespace

std::string rule_name(const ir::Op& op) {
  switch (op.kind) {
    case ir::OpKind::unary:
    case ir::OpKind::binary:
    case ir::OpKind::reduce_row:
    case ir::OpKind::reduce_col:
    case ir::OpKind::scan: return std::string(ir::name_of(op.fn));
    default: return std::string(ir::info(op.kind).name);
  }
}

bool divides_by_variable(const ir::Op& op) {
  return op.kind == ir::OpKind::binary && (op.fn == ir::Fn::floor_divide || op.fn == ir::Fn::modulo) && op.in.size() == 2;
}

const ElementwiseRule* elementwise_rule(const IsaTable& table, const ir::Program& program, const ir::Op& op) {
  const std::string name = rule_name(op);
  if (divides_by_variable(op)) {
    const auto own = table.elementwise.find(name + "_by_variable");
    if (own != table.elementwise.end()) return &own->second;
  }
  if (!op.out.empty() && program.tiles[static_cast<std::size_t>(op.out.front())].dtype == ir::DType::i32) {
    const auto own = table.elementwise.find("integer_" + name);
    if (own != table.elementwise.end()) return &own->second;
  }
  if (op.kind == ir::OpKind::convert && program.tiles[static_cast<std::size_t>(op.out.front())].dtype == ir::DType::f32) {
    const auto own = table.elementwise.find("widen");
    if (own != table.elementwise.end()) return &own->second;
  }
  if (op.kind == ir::OpKind::reduce_row || op.kind == ir::OpKind::reduce_col) {
    const auto own = table.elementwise.find("reduce_" + name);
    if (own != table.elementwise.end()) return &own->second;
  }
  if (op.precise) {
    const auto own = table.elementwise.find("precise_" + name);
    if (own != table.elementwise.end()) return &own->second;
  }
  const auto found = table.elementwise.find(name);
  return found == table.elementwise.end() ? nullptr : &found->second;
}

bool agent_uses_tmem(const ir::Program& program, const ir::Agent& agent) {
  for (const auto& section : agent.sections) {
    for (const ir::Op& op : section) {
      if (op.kind == ir::OpKind::mma) continue;
      for (const auto* tiles : {&op.in, &op.out}) {
        for (const ir::TileId t : *tiles) {
          if (program.tiles[static_cast<std::size_t>(t)].space == ir::Space::tmem) return true;
        }
      }
    }
  }
  return false;
}

namespace {

// The lanes of a row hold a part of B's columns each, and after their exchange every result.
void take_lane_product(const IsaTable& table, const ir::Program& program, const ir::Op& op, LaneLayout& layout) {
  constexpr int kWarp = 32;
  const ir::Tile& b = program.tiles[static_cast<std::size_t>(op.in.at(1))];
  const int vector = std::max(1, static_cast<int>(table.copy_bytes_per_lane * 8) / ir::bits_of(b.dtype));
  layout.row_lanes = std::min(kWarp, (program.padded(b.cols) + vector - 1) / vector);
  layout.repeated_columns = program.tiles[static_cast<std::size_t>(op.out.at(0))].cols;
  layout.row_vector = layout.row_lanes;
  layout.shuffle_steps = 0;
}

// Columns of the grid in which an agent's warps stand over the results of its products; 1 where they differ.
int warp_columns(const ir::Agent& agent) {
  int columns = 0;
  for (const auto& section : agent.sections) {
    for (const ir::Op& op : section) {
      if (op.kind != ir::OpKind::mma) continue;
      if (columns != 0 && op.warp_columns != columns) return 1;
      columns = op.warp_columns;
    }
  }
  return std::max(1, columns);
}

}  // namespace

LaneLayout lane_layout(const IsaTable& table, const ir::Program& program, const ir::Agent& agent) {
  const bool rows_in_threads = agent_uses_tmem(program, agent);
  LaneLayout layout;
  layout.row_vector = rows_in_threads ? table.tmem_row_vector_replication : table.row_vector_replication;
  layout.column_vector = (rows_in_threads ? table.tmem_column_vector_replication : table.column_vector_replication) * agent.warps;
  layout.column_vector = std::max(1.0, layout.column_vector / warp_columns(agent));
  layout.shuffle_steps = rows_in_threads ? table.tmem_reduce_shuffle_steps : table.reduce_shuffle_steps;
  for (const auto& section : agent.sections) {
    for (const ir::Op& op : section) {
      if (op.kind == ir::OpKind::mma && op.mma == ir::MmaKind::lanes && op.b_transposed) take_lane_product(table, program, op, layout);
    }
  }
  return layout;
}

double replication(const LaneLayout& layout, const ir::Tile& tile) {
  if (tile.cols == ir::kUnit) return layout.row_vector;
  if (tile.cols == layout.repeated_columns && tile.space == ir::Space::registers) return layout.row_lanes;
  return tile.rows == ir::kUnit ? layout.column_vector : 1;
}

std::vector<std::string> isa_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(table_dir())) {
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

const IsaTable& load_isa_table(const std::string& isa) {
  static std::mutex mutex;
  static std::map<std::string, IsaTable> cache;  // read-only data files, read once per process
  const std::lock_guard lock(mutex);
  auto found = cache.find(isa);
  if (found == cache.end()) found = cache.emplace(isa, read_table(isa)).first;
  return found->second;
}

}  // namespace attnsim
