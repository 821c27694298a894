// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <memory>
#include <ostream>

#include "sim/cli/command.h"
#include "sim/cli/table.h"
#include "sim/core/json_reader.h"
#include "sim/core/output_file.h"
#include "validation/import/import.h"

namespace attnsim::cli {

namespace {

struct ImportArguments {
  std::string file, format = "auto", device, out, config;
  std::vector<std::string> shape;
  bool each = false;
};

RowFields fields_of(const std::vector<std::string>& shape) {
  RowFields fields;
  for (const std::string& text : shape) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      throw ConfigError({"command line", "--shape", '"' + text + '"', "is no NAME=VALUE",
                         "such as batch=1,q_heads=32,q_len=4096,head_dim=128,mask=causal", ""});
    const std::string name = text.substr(0, equals), value = text.substr(equals + 1);
    if (name == "head_dim")
      fields["head_dim_qk"] = fields["head_dim_v"] = value;
    else
      fields[name] = value;
  }
  return fields;
}

std::string import_text(const Imported& imported, const std::string& file) {
  std::string text = fmt::format("{}: format {}, {} entries: {} in {} rows, {} of them parts of others, {} unmatched\n", file,
                                 imported.format, imported.launches, imported.launches - imported.unmatched_count(), imported.rows.size(),
                                 imported.parts, imported.unmatched_count());
  if (!imported.matched.empty()) {
    TextTable table({"library", "kernel", ">launches", ">time"});
    for (const MatchedKernel& m : imported.matched) table.add({m.library, m.kernel, std::to_string(m.launches), microseconds(m.time_us)});
    text += table.render(2);
  }
  if (!imported.unmatched.empty()) {
    TextTable table({">unmatched", ">time", "reason", "such as"});
    for (const UnmatchedReason& u : imported.unmatched)
      table.add({std::to_string(u.count), u.time_us > 0 ? microseconds(u.time_us) : "-", u.reason, u.examples.front()});
    text += table.render(2, 160);
  }
  for (const std::string& note : imported.notes) text += "  note: " + note + "\n";
  return text;
}

Json import_json(const Imported& imported) {
  Json matched = Json::array(), unmatched = Json::array();
  for (const MatchedKernel& m : imported.matched)
    matched.push_back({{"library", m.library}, {"kernel", m.kernel}, {"launches", m.launches}, {"time_us", m.time_us}});
  for (const UnmatchedReason& u : imported.unmatched)
    unmatched.push_back({{"reason", u.reason}, {"count", u.count}, {"time_us", u.time_us}, {"examples", u.examples}});
  return {{"format", imported.format}, {"entries", imported.launches}, {"parts", imported.parts}, {"rows", imported.rows},
          {"matched", matched},        {"unmatched", unmatched},       {"notes", imported.notes}};
}

void run_import(const Context& context, const ImportArguments& arguments) {
  const Imported imported = import_rows({.file = arguments.file,
                                         .format = arguments.format,
                                         .device = arguments.device,
                                         .set = fields_of(arguments.shape),
                                         .merge = !arguments.each});
  std::string text = import_text(imported, arguments.file);
  if (!arguments.out.empty()) {
    OutputFile(arguments.out).commit(rows_csv(imported.rows));
    text += fmt::format("written: {}; attnsim validate --file {}\n", arguments.out, arguments.out);
  }
  if (!arguments.config.empty()) {
    std::vector<std::string> left_out;
    const Json config = run_config_of(imported.rows, left_out);
    for (const std::string& line : left_out) text += "  not in the config: " + line + "\n";
    if (config.at("workloads").empty())
      throw ConfigError({arguments.file, "", "", "has no row that a schedule stands for: no config written", "", ""});
    OutputFile(arguments.config).commit(config.dump(2) + "\n");
    text += fmt::format("written: {}; attnsim explain {} --workload {}\n", arguments.config, arguments.config,
                        config["workloads"].front()["name"].get<std::string>());
  }
  if (context.json)
    context.out << import_json(imported).dump(2) << '\n';
  else
    context.out << text;
  if (imported.unmatched_count() > 0) context.err << "attnsim: warning: " << imported.unmatched_count() << " entries made no row\n";
}

}  // namespace

void add_import(CLI::App& app, Context& context) {
  const auto arguments = std::make_shared<ImportArguments>();
  app.add_option("file", arguments->file, "What a profiler wrote")->required()->type_name("FILE");
  app.add_option("--format", arguments->format, "auto, ncu-csv, kineto, natten or csv")->capture_default_str();
  app.add_option("--device", arguments->device, "GPU, where the file does not say it or says it wrongly")->type_name("NAME");
  app.add_option("--shape", arguments->shape,
                 "Columns that hold for every row: batch=1,q_heads=32,q_len=4096,head_dim=128,mask=causal,dtype=bf16")
      ->delimiter(',')
      ->type_name("NAME=VALUE,...");
  app.add_option("--out", arguments->out, "Write the rows here, for validate --file and calibrate --file")->type_name("ROWS.csv");
  app.add_option("--config", arguments->config, "Write a run config with measured times here, for explain")->type_name("CONFIG.json");
  app.add_flag("--each", arguments->each, "One row per launch; otherwise equal launches become one row with their median");
  app.footer(
      "Examples:\n"
      "  attnsim import trace.json --out rows.csv && attnsim validate --file ./rows.csv\n"
      "  attnsim import ncu.csv --device H100-SXM5-80GB --shape batch=1,q_heads=16,q_len=4096,mask=causal --out rows.csv\n"
      "  attnsim import natten.txt --device B200 --shape batch=1,q_heads=24,q_len=4096,head_dim=128,mask=full,dtype=fp16 --config c.json");
  app.callback([&context, arguments] { context.action = [&context, arguments] { run_import(context, *arguments); }; });
}

}  // namespace attnsim::cli
