// SPDX-License-Identifier: Apache-2.0
#include "validation/import/kernel_names.h"

#include <algorithm>

#include "sim/core/data_dir.h"
#include "sim/core/json_reader.h"

namespace attnsim {

namespace {

std::vector<std::string> texts(FieldReader& reader, const std::string& key) {
  std::vector<std::string> list;
  const Json* value = reader.raw(key);
  const bool fine = value != nullptr && value->is_array() && !value->empty() &&
                    std::all_of(value->begin(), value->end(), [](const Json& item) { return item.is_string() && !item.empty(); });
  if (fine)
    for (const Json& item : *value) list.push_back(item.get<std::string>());
  else
    reader.issue(key, "is no list of texts", "at least one text");
  return list;
}

// "0.6": places of arguments.
std::string path_of(FieldReader& reader, const char* key) {
  const std::string path = reader.text(key, {});
  const bool fine = !path.empty() && path.find_first_not_of("0123456789.") == std::string::npos && path.find("..") == std::string::npos &&
                    path.front() != '.' && path.back() != '.' && path.size() < 8;
  if (!fine) reader.issue(key, "is no place of a template argument", "numbers and points, such as 0.6");
  return fine ? path : "0";
}

KernelRule read_kernel(FieldReader& reader) {
  KernelRule rule;
  rule.contains = texts(reader, "contains");
  const std::string role = reader.text("role", {"kernel", "part", "other"});
  rule.role = role == "part" ? KernelRole::part : role == "other" ? KernelRole::other : KernelRole::kernel;
  static_cast<void>(reader.text("source", {}));
  if (rule.role == KernelRole::part) rule.of = reader.text("of", {});
  if (rule.role == KernelRole::other) rule.why = reader.text("why", {});
  if (rule.role != KernelRole::kernel) return rule;
  rule.library = reader.text("library", {});
  rule.kernel = reader.text("kernel", {});
  rule.phase = reader.text("phase", {}, "");
  rule.template_of = reader.text("template_of", {}, "");
  if (reader.has("template_arguments")) {
    FieldReader arguments = reader.child("template_arguments");
    for (const char* what : {"head_dim", "dtype", "causal", "local"})
      if (arguments.has(what)) rule.template_arguments[what] = path_of(arguments, what);
  }
  return rule;
}

OperatorRule read_operator(FieldReader& reader) {
  OperatorRule rule;
  rule.name = reader.text("name", {});
  rule.kind = reader.text("kind", {"attention", "gemm", "rows"});
  static_cast<void>(reader.text("source", {}));
  if (rule.kind == "attention") {
    rule.layout = reader.text("layout", {"bhsd", "bshd"});
    rule.causal = static_cast<std::size_t>(reader.integer("causal", {0, 64}));
  } else if (rule.kind == "gemm") {
    rule.first = static_cast<std::size_t>(reader.integer("first", {0, 64}));
  }
  return rule;
}

bool is_true(const std::string& text) {
  return text == "true" || text == "True" || text == "(bool)1" || text == "1";
}

bool is_false(const std::string& text) {
  return text == "false" || text == "False" || text == "(bool)0" || text == "0";
}

// Arguments between the angle brackets that open at `open`, split at commas of their own depth.
std::vector<std::string> arguments_at(const std::string& text, std::size_t open) {
  std::vector<std::string> arguments(1);
  int depth = 0;
  for (std::size_t i = open; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '<' || c == '(') {
      if (++depth == 1) continue;
    } else if (c == '>' || c == ')') {
      if (--depth == 0) break;
    } else if (c == ',' && depth == 1) {
      arguments.emplace_back();
      continue;
    }
    if (!arguments.back().empty() || c != ' ') arguments.back() += c;
  }
  return arguments;
}

void set_extents(RowFields& fields, const OperatorCall& call, const OperatorRule& rule, std::string& problem) {
  if (call.dims.size() < 3 || call.dims[0].size() != 4 || call.dims[1].size() != 4 || call.dims[2].size() != 4) {
    problem = call.dims.empty() ? "operator " + call.name + " states no shapes: profile with record_shapes=True"
                                : "operator " + call.name + " has no dense q, k, v of four dimensions (variable length?)";
    return;
  }
  const std::size_t heads = rule.layout == "bhsd" ? 1 : 2, tokens = rule.layout == "bhsd" ? 2 : 1;
  const auto set = [&](const char* name, std::int64_t value) { fields[name] = std::to_string(value); };
  set("batch", call.dims[0][0]);
  set("q_heads", call.dims[0][heads]);
  set("kv_heads", call.dims[1][heads]);
  set("q_len", call.dims[0][tokens]);
  set("kv_len", call.dims[1][tokens]);
  set("head_dim_qk", call.dims[0][3]);
  set("head_dim_v", call.dims[2][3]);
  if (rule.causal < call.values.size()) {
    const std::string& flag = call.values[rule.causal];
    if (is_true(flag)) fields["mask"] = "causal";
    if (is_false(flag)) fields["mask"] = "full";
  }
}

void set_product(RowFields& fields, const OperatorCall& call, const OperatorRule& rule, std::string& problem) {
  const std::size_t a = rule.first, b = rule.first + 1;
  if (call.dims.size() <= b || call.dims[a].size() != 2 || call.dims[b].size() != 2) {
    problem = "operator " + call.name + " states no two matrices: profile with record_shapes=True";
    return;
  }
  fields["m"] = std::to_string(call.dims[a][0]);
  fields["k"] = std::to_string(call.dims[a][1]);
  fields["n"] = std::to_string(call.dims[b][1]);
}

void set_rows(RowFields& fields, const OperatorCall& call, std::string& problem) {
  if (call.dims.empty() || call.dims[0].empty()) {
    problem = "operator " + call.name + " states no shape: profile with record_shapes=True";
    return;
  }
  std::int64_t rows = 1;
  for (std::size_t i = 0; i + 1 < call.dims[0].size(); ++i) rows *= call.dims[0][i];
  fields["m"] = std::to_string(rows);
  fields["n"] = std::to_string(call.dims[0].back());
}

}  // namespace

KernelNames KernelNames::load() {
  return parse(read_json_file(data_dir() / "validation" / "import" / "kernel_names.json"));
}

KernelNames KernelNames::parse(const JsonDocument& document) {
  KernelNames names;
  FieldReader root(document);
  static_cast<void>(root.text("description", {}, ""));
  for (FieldReader& reader : root.children("kernels")) names.kernels_.push_back(read_kernel(reader));
  for (FieldReader& reader : root.children("operators")) names.operators_.push_back(read_operator(reader));
  for (FieldReader& reader : root.children("devices")) {
    const std::string contains = reader.text("contains", {});
    names.devices_.emplace_back(contains, reader.text("device", {}));
  }
  root.finish();
  return names;
}

const KernelRule* KernelNames::find(const std::string& kernel) const {
  for (const KernelRule& rule : kernels_)
    if (std::all_of(rule.contains.begin(), rule.contains.end(),
                    [&](const std::string& text) { return kernel.find(text) != std::string::npos; }))
      return &rule;
  return nullptr;
}

const OperatorRule* KernelNames::find_operator(const std::string& name) const {
  for (const OperatorRule& rule : operators_)
    if (rule.name == name) return &rule;
  return nullptr;
}

std::string KernelNames::device(const std::string& name) const {
  for (const auto& [contains, device] : devices_)
    if (name.find(contains) != std::string::npos) return device;
  return name;
}

std::optional<std::string> template_argument(const std::string& name, const std::string& of, const std::string& path) {
  const std::size_t at = name.find(of);
  if (of.empty() || at == std::string::npos) return std::nullopt;
  std::string text = name.substr(at);
  for (std::size_t start = 0; start <= path.size();) {
    const std::size_t end = std::min(path.find('.', start), path.size());
    const std::size_t index = static_cast<std::size_t>(std::stoul(path.substr(start, end - start)));
    const std::size_t open = text.find('<');
    if (open == std::string::npos) return std::nullopt;
    const std::vector<std::string> arguments = arguments_at(text, open);
    if (index >= arguments.size()) return std::nullopt;
    text = arguments[index];
    start = end + 1;
  }
  return text;
}

std::string dtype_of_type(const std::string& type) {
  const auto holds = [&](const char* text) { return type.find(text) != std::string::npos; };
  if (holds("bfloat16") || holds("BFloat16") || holds("bf16")) return "bf16";
  if (holds("half") || holds("Half") || holds("fp16") || holds("f16")) return "fp16";
  if (holds("e4m3") || holds("Float8") || holds("fp8")) return "fp8";
  return "";
}

RowFields fields_of_name(const KernelRule& rule, const std::string& name) {
  RowFields fields;
  const auto argument = [&](const char* what) -> std::string {
    const auto path = rule.template_arguments.find(what);
    if (path == rule.template_arguments.end()) return "";
    return template_argument(name, rule.template_of, path->second).value_or("");
  };
  const std::string head_dim = argument("head_dim");
  if (!head_dim.empty() && head_dim.find_first_not_of("0123456789") == std::string::npos)
    fields["head_dim_qk"] = fields["head_dim_v"] = head_dim;
  const std::string dtype = dtype_of_type(argument("dtype"));
  if (!dtype.empty()) fields["dtype"] = dtype;
  const std::string causal = argument("causal");
  if (is_true(argument("local"))) return fields;  // a window whose size the name does not state
  if (is_true(causal)) fields["mask"] = "causal";
  if (is_false(causal)) fields["mask"] = "full";
  return fields;
}

RowFields fields_of_operators(const KernelNames& names, const std::vector<OperatorCall>& operators, std::string& problem) {
  RowFields fields;
  // The flag may stand on an outer operator only: the innermost statement of each field counts.
  for (const OperatorCall& call : operators) {
    const OperatorRule* rule = names.find_operator(call.name);
    if (rule == nullptr) continue;
    RowFields stated;
    if (rule->kind == "attention")
      set_extents(stated, call, *rule, problem);
    else if (rule->kind == "gemm")
      set_product(stated, call, *rule, problem);
    else
      set_rows(stated, call, problem);
    const std::size_t first = rule->kind == "gemm" ? rule->first : 0;
    const std::string dtype = first < call.types.size() ? dtype_of_type(call.types[first]) : "";
    if (!dtype.empty()) stated["dtype"] = dtype;
    fields.merge(stated);
  }
  if (fields.contains("batch") || fields.contains("m")) problem.clear();
  return fields;
}

}  // namespace attnsim
