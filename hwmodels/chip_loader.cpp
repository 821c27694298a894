// SPDX-License-Identifier: Apache-2.0
#include "hwmodels/chip_loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "hwmodels/figures.h"
#include "sim/core/data_dir.h"
#include "sim/core/json_reader.h"

namespace attnsim {

namespace {

std::vector<std::string> to_strings(std::span<const std::string_view> names) {
  return {names.begin(), names.end()};
}

FigureStatus status_of(const std::string& name) {
  const auto names = status_names();
  const auto found = std::find(names.begin(), names.end(), name);
  return found == names.end() ? FigureStatus::estimated : static_cast<FigureStatus>(found - names.begin());
}

// Reads one document; collects every issue in the reader.
class ChipParser {
 public:
  explicit ChipParser(const JsonDocument& document) : root_(document) {}

  Chip parse() {
    chip_.name = root_.text("name", {});
    chip_.description = root_.text("description", {});
    chip_.vendor = root_.text("vendor", {});
    chip_.isa = root_.text("isa", to_strings(isa_choices()));
    chip_.overlay = root_.text("overlay", {}, "");
    for (const Figure& figure : figure_table()) read_table_figure(figure);
    if (chip_.hbm.scattered_write_cost == 0) chip_.hbm.scattered_write_cost = chip_.hbm.write_cost;
    read_instructions();
    read_links();
    check_fitted();
    if (root_.ok()) check_across_figures();
    root_.finish();
    Json resolved = root_.json();
    resolved.erase("$schema");
    chip_.resolved_json = canonical(resolved);
    return std::move(chip_);
  }

 private:
  // The reader of a section such as "tensor.flop_per_clk_per_sm"; none if it is absent, which is reported once.
  FieldReader* section(const std::string& path) {
    const auto known = sections_.find(path);
    if (known != sections_.end()) return known->second ? &*known->second : nullptr;
    const std::size_t dot = path.rfind('.');
    FieldReader* parent = dot == std::string::npos ? &root_ : section(path.substr(0, dot));
    std::optional<FieldReader>& slot = sections_[path];
    if (parent == nullptr) return nullptr;
    const std::string key = dot == std::string::npos ? path : path.substr(dot + 1);
    if (!parent->has(key)) {
      (void)parent->raw(key);
      parent->issue(key, "is missing", "an object");
      return nullptr;
    }
    const bool is_object = parent->json().at(key).is_object();
    FieldReader reader = parent->child(key);
    if (!is_object) return nullptr;
    slot = reader;
    return &*slot;
  }

  void read_table_figure(const Figure& figure) {
    const std::string path(figure.path);
    const std::size_t dot = path.rfind('.');
    FieldReader* parent = section(path.substr(0, dot));
    if (parent == nullptr) return;
    const std::string key = path.substr(dot + 1);
    if (!parent->has(key)) {
      (void)parent->raw(key);
      if (!figure.optional) parent->issue(key, "is missing", R"({"value", "status", "source"})");
      return;
    }
    if (!parent->json().at(key).is_object()) {
      (void)parent->raw(key);
      parent->issue(key, "is not a figure", R"({"value", "status", "source"})");
      return;
    }
    FieldReader reader = parent->child(key);
    figure.set(chip_, read_value(reader, figure));
    read_provenance(reader, path);
  }

  static double read_value(FieldReader& reader, const Figure& figure) {
    switch (figure.kind) {
      case FigureKind::boolean: return reader.boolean("value") ? 1 : 0;
      case FigureKind::integer:
        return static_cast<double>(reader.integer("value", {static_cast<std::int64_t>(figure.min), static_cast<std::int64_t>(figure.max)}));
      case FigureKind::number: break;
    }
    return reader.number("value", {figure.min, figure.max, figure.min_exclusive});
  }

  void read_provenance(FieldReader& reader, const std::string& path) {
    Provenance& provenance = chip_.provenance[path];
    provenance.status = status_of(reader.text("status", to_strings(status_names())));
    provenance.source = reader.text("source", {});
    if (reader.has("source") && provenance.source.empty()) reader.issue("source", "is empty", "where the value comes from");
    const std::string uncertainty = reader.text("uncertainty", {}, "");
    if (!uncertainty.empty()) provenance.source += "; uncertainty " + uncertainty;
  }

  void read_instructions() {
    FieldReader* tensor = section("tensor");
    if (tensor == nullptr) return;
    const Json* list = tensor->raw("instructions");
    const std::vector<std::string> choices = to_strings(instruction_choices());
    const std::string allowed = fmt::format("an array of {}", fmt::join(choices, ", "));
    if (list == nullptr) {
      tensor->issue("instructions", "is missing", allowed);
      return;
    }
    if (!list->is_array() || list->empty()) {
      tensor->issue("instructions", "is not a list of matrix instructions", allowed);
      return;
    }
    for (const Json& element : *list) {
      const std::string name = element.is_string() ? element.get<std::string>() : "";
      if (std::find(choices.begin(), choices.end(), name) == choices.end()) {
        tensor->issue("instructions", "names an unknown matrix instruction", allowed, nearest_name(name, choices));
        return;
      }
      chip_.tensor.instructions.push_back(name);
    }
  }

  void read_links() {
    std::size_t index = 0;
    for (FieldReader& reader : root_.children("links")) {
      Link link;
      link.name = reader.text("name", {});
      const std::string path = fmt::format("links.{}.", index++);
      FieldReader bandwidth = reader.child("bandwidth_gb_per_s");
      link.bandwidth_gb_per_s = bandwidth.number("value", {0, 1e6, true});
      read_provenance(bandwidth, path + "bandwidth_gb_per_s");
      FieldReader latency = reader.child("latency_us");
      link.latency_us = latency.number("value", {0, 1e4});
      read_provenance(latency, path + "latency_us");
      chip_.links.push_back(link);
    }
  }

  void check_fitted() {
    const auto fitted = std::count_if(chip_.provenance.begin(), chip_.provenance.end(),
                                      [](const auto& entry) { return entry.second.status == FigureStatus::fitted; });
    if (fitted > kMostFittedFigures) {
      root_.issue("name", fmt::format("has {} fitted figures", fitted), fmt::format("at most {}", kMostFittedFigures));
    }
  }

  void refuse_above(const char* low_section, const char* low, double low_value, const char* high, double high_value) {
    if (low_value <= high_value) return;
    FieldReader* reader = section(low_section);
    FieldReader figure = reader->child(low);
    figure.issue("value", fmt::format("is above {}.{}", low_section, high), fmt::format("at most {}", high_value));
  }

  void check_across_figures() {
    refuse_above("sm", "smem_per_cta_kib", chip_.sm.smem_per_cta_kib, "smem_kib", chip_.sm.smem_kib);
    refuse_above("sm", "lanes_per_warp", chip_.sm.lanes_per_warp, "max_threads", chip_.sm.max_threads);
    refuse_above("sm", "gpcs", chip_.sm.gpcs, "count", chip_.sm.count);
    refuse_above("clock", "min_mhz", chip_.clock.min_mhz, "boost_mhz", chip_.clock.boost_mhz);
    refuse_above("clock", "step_mhz", chip_.clock.step_mhz, "boost_mhz", chip_.clock.boost_mhz);
    refuse_above("power", "idle_w", chip_.power.idle_w, "cap_w", chip_.power.cap_w);
    if (chip_.tensor.flop_per_clk_per_sm.empty()) {
      section("tensor")->issue("flop_per_clk_per_sm", "names no matrix rate", "at least one of f16, bf16, f8, f32");
    }
    check_instruction("wgmma", {"sm_90"});
    check_instruction("tcgen05", {"sm_100", "sm_103"});
  }

  void check_instruction(const std::string& instruction, const std::vector<std::string>& isas) {
    const auto& names = chip_.tensor.instructions;
    if (std::find(names.begin(), names.end(), instruction) == names.end()) return;
    if (std::find(isas.begin(), isas.end(), chip_.isa) != isas.end()) return;
    section("tensor")->issue("instructions", instruction + " does not exist on isa " + chip_.isa,
                             fmt::format("{} needs isa {}", instruction, fmt::join(isas, " or ")));
  }

  FieldReader root_;
  Chip chip_;
  std::map<std::string, std::optional<FieldReader>> sections_;
};

}  // namespace

Chip parse_chip(const JsonDocument& document) {
  return ChipParser(document).parse();
}

Chip load_chip(const std::string& name) {
  return parse_chip(chip_document(name));
}

std::vector<std::string> chip_names() {
  std::vector<std::string> names;
  const std::filesystem::path folder = data_dir() / "hwmodels" / "chips";
  std::error_code error;
  for (auto it = std::filesystem::directory_iterator(folder, error); !error && it != std::filesystem::directory_iterator();
       it.increment(error)) {
    if (it->path().extension() == ".json") names.push_back(it->path().stem().string());
  }
  if (error) throw ConfigError(ConfigIssue{folder.string(), "", "", "can't be listed: " + error.message(), "", ""});
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace attnsim
