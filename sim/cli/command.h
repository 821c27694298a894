// SPDX-License-Identifier: Apache-2.0
// What the commands share. A command is one file with one `add_*` function and one line in the table of cli.cpp: it declares its
// options on `app` and leaves its work in `context.action`.
#pragma once

#include <CLI/CLI.hpp>

#include "sim/cli/context.h"

namespace attnsim::cli {

void add_run(CLI::App& app, Context& context);
void add_explain(CLI::App& app, Context& context);
void add_sweep(CLI::App& app, Context& context);
void add_tune(CLI::App& app, Context& context);
void add_validate(CLI::App& app, Context& context);
void add_calibrate(CLI::App& app, Context& context);
void add_import(CLI::App& app, Context& context);
void add_list(CLI::App& app, Context& context);
void add_show(CLI::App& app, Context& context);
void add_graph(CLI::App& app, Context& context);
void add_program(CLI::App& app, Context& context);
void add_trace(CLI::App& app, Context& context);
void add_dump(CLI::App& app, Context& context);

}  // namespace attnsim::cli
