// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <memory>
#include <ostream>

#include "sim/cli/catalogue.h"
#include "sim/cli/command.h"
#include "sim/cli/table.h"
#include "sim/core/json_reader.h"

namespace attnsim::cli {

namespace {

void list(const Context& context, const Kind& kind) {
  const std::vector<Entry> entries = kind.entries();
  if (context.json) {
    Json document = Json::array();
    for (const Entry& entry : entries) document.push_back({{"name", entry.name}, {"description", entry.description}});
    context.out << document.dump(2) << '\n';
    return;
  }
  TextTable table({std::string(kind.singular), "description"});
  for (const Entry& entry : entries) table.add({entry.name, entry.description});
  context.out << table.render(0);
}

void list_named(const Context& context, const std::string& what) {
  std::vector<std::string> names;
  std::string allowed;
  for (const Kind& kind : kinds()) {
    if (kind.plural == what) return list(context, kind);
    names.emplace_back(kind.plural);
    allowed += (allowed.empty() ? "" : ", ") + names.back();
  }
  throw ConfigError({"command line", "/list", '"' + what + '"', "can't be listed", allowed, nearest_name(what, names)});
}

void show(const Context& context, const std::string& name, bool fitted) {
  std::vector<std::string> names;
  Json found = Json::array();
  std::string text;
  for (const Kind& kind : kinds()) {
    if (kind.text == nullptr) continue;
    for (const Entry& entry : kind.entries()) {
      names.push_back(entry.name);
      if (entry.name != name) continue;
      found.push_back({{"kind", std::string(kind.singular)}, {"name", name}, {"document", kind.json(name)}});
      text += (text.empty() ? "" : "\n") + kind.text(name, fitted);
    }
  }
  if (found.empty())
    throw ConfigError({"command line", "/show", '"' + name + '"', "is no variant, schedule, chip or harness",
                       "names that attnsim list prints", nearest_name(name, names)});
  if (context.json)
    context.out << (found.size() == 1 ? found[0] : found).dump(2) << '\n';
  else
    context.out << text;
}

}  // namespace

void add_list(CLI::App& app, Context& context) {
  const auto what = std::make_shared<std::string>();
  app.add_option("what", *what, "variants, schedules, chips, harnesses, rungs, metrics, effects, parameters")
      ->required()
      ->type_name("WHAT");
  app.callback([&context, what] { context.action = [&context, what] { list_named(context, *what); }; });
}

void add_show(CLI::App& app, Context& context) {
  const auto name = std::make_shared<std::string>();
  const auto fitted = std::make_shared<bool>(false);
  app.add_option("name", *name, "A variant, schedule, chip or harness")->required()->type_name("NAME");
  app.add_flag("--fitted", *fitted, "Only figures that were fitted, with what they were fitted on");
  app.footer("Examples:\n  attnsim show h100-sxm --fitted\n  attnsim show sliding-window");
  app.callback([&context, name, fitted] { context.action = [&context, name, fitted] { show(context, *name, *fitted); }; });
}

}  // namespace attnsim::cli
