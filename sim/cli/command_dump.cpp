// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <ostream>

#include "sim/cli/command.h"
#include "sim/core/error.h"
#include "sim/store/store.h"

namespace attnsim::cli {

void add_dump(CLI::App& app, Context& context) {
  app.footer("Example:\n  attnsim dump --canonical --db results.sqlite > results.txt");
  const auto canonical = std::make_shared<bool>(false);
  app.add_flag("--canonical", *canonical, "Results only, no run records, in a stable order: two databases can be compared")->required();
  app.callback([&context, canonical] {
    context.action = [&context, canonical] {
      if (context.database.empty()) throw ConfigError({"command line", "/--db", "", "is missing", "--db FILE", ""});
      context.out << Store(context.database, Access::existing).dump_canonical();
    };
  });
}

}  // namespace attnsim::cli
