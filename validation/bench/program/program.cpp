// SPDX-License-Identifier: Apache-2.0
#include "validation/bench/program/program.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <ostream>

#include "sim/core/data_dir.h"
#include "sim/core/output_file.h"
#include "validation/bench/overlay.h"
#include "validation/bench/plan.h"
#include "validation/bench/ragged.h"
#include "validation/bench/row.h"
#include "validation/bench/sampling.h"

namespace attnsim::bench {

namespace {

struct Arguments {
  std::string backend = "host";
  int threads = 0;
  int device = 0;
  bool list = false;
  bool check = false;
  int shapes = 12;
  std::uint64_t seed = 1;
  bool micro = false;
  std::string micro_prefix;
  double micro_seconds = 0.3;
  std::string plan;
  std::string kernel;
  std::string shape;
  bool cold = false;
  std::string rows;
  std::string overlay;
};

class Program {
 public:
  Program(const Arguments& arguments, Backend& backend, std::string version, std::ostream& out)
      : a_(arguments), backend_(backend), version_(std::move(version)), out_(out) {}

  int run() {
    if (a_.list) list();
    if (a_.check && !check()) return 1;
    if (a_.micro) micro();
    if (!a_.shape.empty()) one_shape();
    if (!a_.plan.empty()) plan();
    return 0;
  }

 private:
  void list() {
    const Device device = backend_.device();
    out_ << fmt::format("{} ({}), {:.0f} MHz\n", device.name, device.driver, device.clock_mhz);
    for (const KernelInfo& kernel : backend_.kernels())
      out_ << fmt::format("  {:<28} {}\n  {:<28} schedule {}, source {}\n", kernel.name, kernel.description, "", kernel.schedule,
                          kernel.source);
  }

  bool check() {
    bool passed = true;
    out_ << fmt::format("{:<24} {:<56} {:>9} {:>9} {:>9}\n", "kernel", "shape", "worst", "rms", "tolerance");
    for (const KernelInfo& kernel : backend_.kernels()) {
      if (!a_.kernel.empty() && kernel.name != a_.kernel) continue;
      std::uint64_t seed = a_.seed;
      const std::vector<Shape> shapes = ragged_shapes(backend_, kernel.name, a_.shapes, a_.seed);
      if (shapes.empty()) out_ << fmt::format("{:<24} refuses every shape that was drawn\n", kernel.name);
      for (const Shape& shape : shapes) {
        const Check c = backend_.check(kernel.name, shape, seed++);
        out_ << fmt::format("{:<24} {:<56} {:9.2e} {:9.2e} {:9.2e} {}{}\n", kernel.name, label(shape), c.worst, c.rms, c.tolerance,
                            c.passed ? "ok" : "FAILED", c.note.empty() ? "" : ", " + c.note);
        passed = passed && c.passed;
      }
    }
    out_ << (passed ? "all kernels agree with the double-precision reference\n" : "some kernel does not agree with the reference\n");
    return passed;
  }

  void micro() {
    OutputFile overlay(a_.overlay);
    const Device device = backend_.device();
    const std::vector<Microbenchmark> results = backend_.microbenchmarks(a_.micro_prefix, a_.micro_seconds);
    for (const Microbenchmark& m : results)
      out_ << fmt::format("{:<22} {:>12.5g} +- {:<9.2g} {:<14} {}{}\n", m.name, m.value, m.half_width, m.unit, m.conditions,
                          m.figure.empty() ? "" : "  -> " + m.figure);
    if (!overlay) return;
    overlay.commit(overlay_text(device, results, version_));
    out_ << "overlay written to " << a_.overlay << "\n";
  }

  void one_shape() {
    const JsonDocument document = parse_json(a_.shape, "--shape");
    FieldReader reader(document);
    Shape shape = read_shape(reader);
    reader.finish();
    if (!document.root.contains("dtype") && backend_.name() == "host") shape.dtype = "f32";
    TimingPolicy policy;
    policy.cold_l2 = a_.cold;
    bool any = false;
    for (const KernelInfo& kernel : backend_.kernels()) {
      if (!a_.kernel.empty() && kernel.name != a_.kernel) continue;
      const std::string why = backend_.refuses(kernel.name, shape);
      if (why.empty())
        any = true, time(kernel, shape, policy);
      else
        out_ << fmt::format("{}: not timed: {}\n", kernel.name, why);
    }
    if (!any) throw ConfigError({"", "--shape", a_.shape, "is run by no kernel", "see --list", ""});
  }

  void plan() {
    Plan plan = load_plan(a_.plan, backend_);
    plan.policy.cold_l2 = plan.policy.cold_l2 || a_.cold;
    for (const std::string& refused : plan.refused) out_ << "left out: " << refused << "\n";
    const std::vector<KernelInfo> kernels = backend_.kernels();
    std::size_t done = 0;
    for (const PlannedRow& row : plan.rows) {
      if (!a_.kernel.empty() && row.kernel != a_.kernel) continue;
      const auto info = std::find_if(kernels.begin(), kernels.end(), [&](const KernelInfo& k) { return k.name == row.kernel; });
      out_ << fmt::format("{:>4}/{} ", ++done, plan.rows.size());
      time(*info, row.shape, plan.policy);
    }
    out_ << fmt::format("{} rows\n", done);
  }

  void time(const KernelInfo& kernel, const Shape& shape, const TimingPolicy& policy) {
    Row row;
    row.backend = backend_.name();
    if (device_.name.empty()) device_ = backend_.device();
    row.device = device_;
    row.kernel = kernel;
    row.source_hash = hash_of_sources(kernel.source, data_dir());
    row.shape = shape;
    row.policy = policy;
    row.timing = backend_.time(kernel.name, shape, policy);
    // Harnesses of workloads/harnesses: a processor's cores hold their clock, a GPU settles under a loop of calls.
    const bool host = backend_.name() == "host";
    row.harness = policy.cold_l2 ? (host ? "default" : "benchmark-cold") : (host ? "single-launch" : "sustained-loop");
    row.version = version_;
    out_ << fmt::format("{:<24} {:<56} {:>11.2f} us +- {:<8.2g} {:>3} samples{}, {:.0f} MHz\n", kernel.name, label(shape), row.median_us(),
                        median_half_width(row.timing.sample_us), row.timing.sample_us.size(),
                        row.timing.throttled > 0 ? fmt::format(" ({} disturbed)", row.timing.throttled) : "", row.timing.clock_mhz)
         << std::flush;
    if (!a_.rows.empty()) append_line(a_.rows, to_line(row));
  }

  const Arguments& a_;
  Backend& backend_;
  std::string version_;
  std::ostream& out_;
  Device device_;
};

std::unique_ptr<Backend> make_backend(const Arguments& a, std::string& why_not) {
  if (a.backend == "host") return make_host_backend(a.threads, why_not);
#if defined(ATTNSIM_CUDA)
  return make_cuda_backend(a.device, why_not);
#else
  why_not = "built without CUDA: no nvcc was found when the project was configured";
  return nullptr;
#endif
}

}  // namespace

int run_program(int argc, const char* const* argv, const std::string& version, std::ostream& out, std::ostream& err) {
  Arguments a;
  CLI::App app("Checks, times and measures the attention kernels of a device");
  app.set_version_flag("--version", version);
  app.add_option("--backend", a.backend, "host or cuda")->check(CLI::IsMember({"host", "cuda"}))->capture_default_str();
  app.add_option("--threads", a.threads, "host: threads; 0: one per core")->check(CLI::Range(0, 1024))->capture_default_str();
  app.add_option("--device", a.device, "cuda: device number")->capture_default_str();
  app.add_flag("--list", a.list, "Device and kernels");
  app.add_flag("--check", a.check, "Every kernel against a double-precision reference on random ragged shapes");
  app.add_option("--shapes", a.shapes, "--check: shapes per kernel")->capture_default_str();
  app.add_option("--seed", a.seed, "--check: seed of shapes and inputs")->capture_default_str();
  app.add_option("--kernel", a.kernel, "Only this kernel")->type_name("NAME");
  CLI::Option* micro = app.add_option("--micro", a.micro_prefix, "Microbenchmarks, or those whose name begins with PREFIX")
                           ->type_name("PREFIX")
                           ->expected(0, 1);
  app.add_option("--seconds", a.micro_seconds, "--micro: most seconds of one")->capture_default_str();
  app.add_option("--plan", a.plan, "quick, full or a file: times all its rows")->type_name("PLAN");
  app.add_option("--shape", a.shape, R"(One problem as JSON: {"kv_len": 4096, "q_heads": 8, "head_dim": 64, "mask": "causal"})")
      ->type_name("JSON");
  app.add_flag("--cold", a.cold, "Overwrites the caches before each sample");
  app.add_option("--out", a.rows, "Appends one JSON line per timed row")->type_name("FILE.jsonl");
  app.add_option("--overlay", a.overlay, "--micro: writes the figures as an overlay of the chip")->type_name("FILE.json");
  app.footer("Examples:\n  attnsim-bench --backend host --check\n  attnsim-bench --backend host --plan quick --out rows.jsonl");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error, out, err) == 0 ? 0 : 2;
  }
  a.micro = micro->count() > 0;
  if (!a.list && !a.check && !a.micro && a.plan.empty() && a.shape.empty()) {
    err << "nothing to do: give --list, --check, --micro, --plan or --shape (--help for examples)\n";
    return 2;
  }
  std::string why_not;
  const std::unique_ptr<Backend> backend = make_backend(a, why_not);
  if (!backend) {
    err << "no " << a.backend << " device: " << why_not << "\n";
    return 3;
  }
  try {
    return Program(a, *backend, version, out).run();
  } catch (const ConfigError& error) {
    err << error.what() << "\n";
    return 2;
  } catch (const std::exception& error) {
    err << error.what() << "\n";
    return 1;
  }
}

}  // namespace attnsim::bench
